package metrics

import "github.com/prometheus/client_golang/prometheus"

// Ingress is what happens to requests before they become tasks. A source that is not configured is counted under the
// name that the caller chose for all such, never under what the request said.
type Ingress struct {
	// Requests counts answers {source, code}.
	Requests Counters
	// Rejected counts requests of which nothing was stored {source, reason}.
	Rejected Counters
	// Ignored counts verified deliveries that no handler wants {source}.
	Ignored Counters
	// RouteErrors counts expressions that failed on a delivery, which then did not match {route}.
	RouteErrors Counters
	// AckSeconds is from the last byte of a request to its 2xx {source}.
	AckSeconds Histograms
	// InflightRequests is how many requests are being read or wait for their answer.
	InflightRequests prometheus.Gauge
	// InflightBytes is how much memory their bodies were granted.
	InflightBytes prometheus.Gauge
	// Panics counts requests that ended in a panic, which was recovered and answered with 500.
	Panics prometheus.Counter
}

func newIngress(d *declarer) Ingress {
	return Ingress{
		Requests: d.counters("ingress_requests_total",
			"Requests answered, by source and HTTP status.", "source", "code"),
		Rejected: d.counters("ingress_rejected_total",
			"Requests refused with nothing stored, by source and reason.", "source", "reason"),
		Ignored: d.counters("ingress_ignored_total",
			"Verified deliveries that no handler wants.", "source"),
		RouteErrors: d.counters("ingress_route_errors_total",
			"Expressions of routes that failed on a delivery, which then did not match.", "route"),
		AckSeconds: d.histograms("ingress_ack_seconds",
			"Time from the last byte of a delivery to its 2xx answer, the journal's sync included.",
			fastBuckets(), "source"),
		InflightRequests: d.gauge("ingress_inflight_requests",
			"Requests admitted and not answered yet."),
		InflightBytes: d.gauge("ingress_inflight_bytes",
			"Bytes of memory granted to the bodies of requests in flight."),
		Panics: d.counter("ingress_panics_total",
			"Requests that ended in a recovered panic."),
	}
}

// fastBuckets suit what waits for one sync of the disk: from 100 µs to about 13 s, doubling.
func fastBuckets() []float64 { return prometheus.ExponentialBuckets(0.0001, 2, 18) }

// slowBuckets suit what waits for a handler: from 1 ms to about 18 h, times four.
func slowBuckets() []float64 { return prometheus.ExponentialBuckets(0.001, 4, 14) }
