// Package source is where a delivery's sender is known: what proves a request, and what it says. A Source judges bytes
// and headers at a given time and nothing else; it never sees fasthttp, an actor or a disk, and it is built by the
// composition root from a table, so that a new sender costs one small package and one line.
//
// The one invariant: nothing of a request is parsed, and nothing of it is answered, before Verify vouched for its raw
// bytes. The exceptions that senders force on us (an unsigned connection test, an OPTIONS handshake) are spelled out
// by the Greeter interface and nowhere else.
package source

import (
	"net/netip"
	"time"
)

// Request is one HTTP request as it came off the wire, copied once at the border. It is read-only.
type Request struct {
	// Method is upper case.
	Method string
	// Path is the path of the URL, decoded.
	Path string
	// Query is the query string, undecoded and without the question mark.
	Query string
	// Header is the header block: no trailers.
	Header Header
	// Body is every byte of the body as it was sent.
	Body []byte
	// ClientAddr is the peer, or what a trusted proxy says it is.
	ClientAddr netip.Addr
	// ReceivedAt is when the last byte of the body arrived.
	ReceivedAt time.Time
}

// Delivery is what a verified request says.
type Delivery struct {
	// EventType is the sender's name for what happened, with its action where there is one: pull_request.opened.
	// It is at most MaxNameBytes of printable ASCII.
	EventType string
	// DeliveryID tells duplicates of one configured source; empty when the sender gives nothing to tell them by.
	// It is at most MaxNameBytes.
	DeliveryID string
	// Key is the default ordering key, such as the repository and the pull request; empty means none.
	Key string
	// Answer, when set, is sent as the whole response and no task is made: a ping, a challenge.
	Answer *Answer
}

// Answer is a response that a sender expects in place of 202.
type Answer struct {
	// Status is the HTTP status, 200 for most handshakes.
	Status int
	// ContentType is that of Body.
	ContentType string
	// Header is added to the response; nil for most.
	Header map[string]string
	// Body may be empty.
	Body []byte
}

// MaxNameBytes bounds an event type and a delivery ID.
const MaxNameBytes = 256

// Source proves and reads the deliveries of one sender. Its methods are called from many goroutines at once and keep no
// reference to the request.
type Source interface {
	// Verify says whether the raw bytes of the request come from the holder of one of the secrets. Every refusal is a
	// *Refusal, compares in constant time, and names no part of a secret.
	Verify(req *Request, now time.Time) error
	// Parse reads a request that Verify accepted. A body that is not what its content type says is a *Malformed error.
	Parse(req *Request) (Delivery, error)
}

// Greeter is a Source that answers some requests without proof, because the sender offers none: a connection test, the
// OPTIONS handshake of CloudEvents. It is asked before Verify, must recognise such a request narrowly, and what it
// answers makes no task and reflects nothing but what the handshake demands.
type Greeter interface {
	// Greet returns the answer and true when this request is such a handshake.
	Greet(req *Request) (*Answer, bool)
}

// Signer is a Source that can sign as its sender does: for trials, for tests, never on the path of a delivery. Sign adds
// to the headers what authenticates the body at the given time with the first secret.
type Signer interface {
	Sign(header Header, body []byte, now time.Time) (Header, error)
}

// Sampler is a Source that has a small built-in sample of each of its common events.
type Sampler interface {
	// Sample returns a request of that event, unsigned, with a fresh delivery ID; an empty event means the usual one.
	// An unknown event is an error that lists those there are.
	Sample(event, deliveryID string) (Header, []byte, error)
}

// RefusalReason is why a request proved nothing; a closed set, for it becomes a label.
type RefusalReason string

// The reasons, each as it is counted and logged.
const (
	ReasonMissing   RefusalReason = "missing_signature"   // no signature, token or credentials at all
	ReasonMalformed RefusalReason = "malformed_signature" // not in the form that this sender uses
	ReasonRepeated  RefusalReason = "repeated_signature"  // the header came twice
	ReasonMismatch  RefusalReason = "signature_mismatch"  // matches none of the secrets
	ReasonStale     RefusalReason = "stale_timestamp"     // signed too long ago, or in the future
)

// Refusal is an error of Verify: the request is not authentic.
type Refusal struct {
	// Reason is one of a closed set.
	Reason RefusalReason
	// Detail says what was looked for, in words that fit in a log; it holds nothing of a secret or a signature.
	Detail string
}

// Error joins reason and detail.
func (r *Refusal) Error() string { return string(r.Reason) + ": " + r.Detail }

// Malformed is an error of Parse: an authentic request whose body or headers are not what they claim to be.
type Malformed struct {
	// Detail says what is wrong, without quoting the body.
	Detail string
}

// Error is the detail.
func (m *Malformed) Error() string { return m.Detail }
