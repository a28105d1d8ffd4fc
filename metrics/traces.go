package metrics

import "github.com/prometheus/client_golang/prometheus"

// Traces is what becomes of the spans of sampled traces.
type Traces struct {
	// Exported counts spans that the collector took.
	Exported prometheus.Counter
	// Dropped counts spans that it never got {reason}: queue_full, export_failed.
	Dropped Counters
}

func newTraces(d *declarer) Traces {
	return Traces{
		Exported: d.counter("traces_exported_spans_total", "Spans that the collector took."),
		Dropped: d.counters("traces_dropped_spans_total",
			"Spans that the collector never got, by reason.", "reason").from("queue_full", "export_failed"),
	}
}
