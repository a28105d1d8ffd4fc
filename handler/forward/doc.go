// Package forward is the handler that hands a delivery on: it POSTs the body, byte for byte, to one configured URL and
// turns the answer into an outcome. It refuses to choose its target from a delivery, to follow a redirect, and to dial
// an address that the operator did not mean.
//
// The one invariant: one attempt is one exchange with the sink, and nothing that a sender wrote decides where it goes.
//
// # Outcomes
//
//	2xx                       completed; the result is the start of the answer's body
//	400, 410, 413, 415, 422   discarded: the sink has judged this delivery and will not judge another copy better; or the
//	                          statuses in Config.DiscardStatuses instead
//	429, 503, any other       another attempt, no sooner than Retry-After asks (seconds or an HTTP date, at most 24 h)
//	no answer, or half a 2xx  another attempt
//	header not fit for HTTP   discarded, and nothing is sent
//
// That a redirect, 401, 403, 404 or 405 is tried again is on purpose: those tell of a sink, or of a configuration, that
// somebody repairs while the attempts go on.
//
// # What the sink receives
//
// The sender's headers, less those that concern one hop only, those that carry a sender's credentials, those that say
// where a request came from (Forwarded and its kin: the sink may trust them), and names with an underscore (which some
// sinks cannot tell from a hyphen). To them are added, over any of the same name:
//
//	User-Agent               Hooktroupe/VERSION
//	X-Hooktroupe-Task-Id     the webhook_id; with the attempt, an idempotency key
//	X-Hooktroupe-Attempt     from 1
//	X-Hooktroupe-Source      the configured name of the source
//	X-Hooktroupe-Event       the event type
//	X-Hooktroupe-Delivery-Id the sender's ID for the delivery, where there is one
//
// With signing keys the request also carries a Standard Webhooks signature (webhook-id, webhook-timestamp,
// webhook-signature) in the place of the sender's. Its traceparent and tracestate name the trace that the attempt is part of:
// the daemon's or, where it traces nothing, the sender's.
//
// # Connections
//
// HTTP/1.1 over kept-alive connections, so that an attempt which is cancelled closes the connection under it and the
// sink can notice. Proxy variables of the environment are ignored.
package forward
