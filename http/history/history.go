// Package history keeps an hour of samples of the metrics, for the charts of the dashboard: rates, latencies and counts. It
// is no replacement for a monitoring system, but needs none.
package history

import (
	"slices"
	"strings"
	"sync"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/hooktroupe/hooktroupe/internal/clock"
	"github.com/hooktroupe/hooktroupe/metrics"
)

// SampleInterval is the time between samples, and Samples how many are kept: those of an hour.
const (
	SampleInterval = 10 * time.Second
	Samples        = 360
)

// Sample is what the charts show of one moment. Rates are per second since the sample before.
type Sample struct {
	At         time.Time `json:"at"`
	Accepted   float64   `json:"accepted"`
	Refused    float64   `json:"refused"`
	Finished   float64   `json:"finished"`
	Failed     float64   `json:"failed"`
	Waiting    float64   `json:"waiting"`
	Running    float64   `json:"running"`
	OldestAge  float64   `json:"oldest_age"`
	AckP50     *float64  `json:"ack_p50"` // seconds; nil where nothing was accepted
	AckP99     *float64  `json:"ack_p99"`
	AttemptP50 *float64  `json:"attempt_p50"`
	AttemptP99 *float64  `json:"attempt_p99"`
}

// History samples the metrics for the charts. It is safe for use by many goroutines.
type History struct {
	set   *metrics.Set
	clock clock.Clock

	mu      sync.Mutex // guards what follows
	last    reading
	samples []Sample // oldest first, at most Samples
	timer   clock.Timer
	stopped bool
}

// reading is the counters at one moment.
type reading struct {
	at                                  time.Time
	accepted, refused, finished, failed float64
	ack, attempt                        histogram
}

// histogram is cumulative counts by upper bound.
type histogram struct {
	bounds []float64
	counts []float64
	total  float64
}

// New starts sampling. Stop ends it.
func New(set *metrics.Set, c clock.Clock) *History {
	h := &History{set: set, clock: c}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last, _ = h.read()
	h.arm()
	return h
}

// arm is called with mu held.
func (h *History) arm() { h.timer = h.clock.AfterFunc(SampleInterval, h.sample) }

// Stop ends sampling.
func (h *History) Stop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stopped = true
	h.timer.Stop()
}

// Samples returns what is kept, oldest first.
func (h *History) Samples() []Sample {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.samples)
}

func (h *History) sample() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stopped {
		return
	}
	h.arm()
	now, gauges := h.read()
	seconds := now.at.Sub(h.last.at).Seconds()
	if seconds <= 0 {
		return
	}
	s := gauges
	s.At = now.at
	s.Accepted = (now.accepted - h.last.accepted) / seconds
	s.Refused = (now.refused - h.last.refused) / seconds
	s.Finished = (now.finished - h.last.finished) / seconds
	s.Failed = (now.failed - h.last.failed) / seconds
	ack, attempt := now.ack.since(h.last.ack), now.attempt.since(h.last.attempt)
	s.AckP50, s.AckP99 = ack.quantile(0.5), ack.quantile(0.99)
	s.AttemptP50, s.AttemptP99 = attempt.quantile(0.5), attempt.quantile(0.99)
	h.last = now
	if len(h.samples) == Samples {
		h.samples = append(h.samples[:0], h.samples[1:]...)
	}
	h.samples = append(h.samples, s)
}

// read takes the counters, and the gauges as a sample without rates.
func (h *History) read() (reading, Sample) {
	now := reading{at: h.clock.Now()}
	var gauges Sample
	families, err := h.set.Gatherer().Gather()
	if err != nil {
		return now, gauges
	}
	for _, f := range families {
		switch strings.TrimPrefix(f.GetName(), "hooktroupe_") {
		case "tasks_accepted_total":
			now.accepted = sum(f, nil)
		case "ingress_rejected_total":
			now.refused = sum(f, nil)
		case "tasks_finished_total":
			now.finished = sum(f, nil)
			now.failed = sum(f, map[string]string{"status": "failed"})
		case "ingress_ack_seconds":
			now.ack = merge(f)
		case "tasks_attempt_seconds":
			now.attempt = merge(f)
		case "tasks":
			gauges.Waiting = sum(f, map[string]string{"status": "queued"}) + sum(f, map[string]string{"status": "retrying"})
			gauges.Running = sum(f, map[string]string{"status": "processing"})
		case "tasks_oldest_waiting_seconds":
			gauges.OldestAge = sum(f, nil)
		}
	}
	return now, gauges
}

// sum adds up the members of a family whose labels are those; all of them for nil.
func sum(f *dto.MetricFamily, labels map[string]string) float64 {
	total := 0.0
	for _, m := range f.GetMetric() {
		matches := true
		for _, pair := range m.GetLabel() {
			if want, named := labels[pair.GetName()]; named && want != pair.GetValue() {
				matches = false
			}
		}
		if matches {
			total += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return total
}

// merge adds up the histograms of a family, which have the same bounds.
func merge(f *dto.MetricFamily) histogram {
	var merged histogram
	for _, m := range f.GetMetric() {
		buckets := m.GetHistogram().GetBucket()
		if merged.bounds == nil {
			merged.bounds, merged.counts = make([]float64, len(buckets)), make([]float64, len(buckets))
		}
		for i, b := range buckets[:min(len(buckets), len(merged.bounds))] {
			merged.bounds[i] = b.GetUpperBound()
			merged.counts[i] += float64(b.GetCumulativeCount())
		}
		merged.total += float64(m.GetHistogram().GetSampleCount())
	}
	return merged
}

// since is what was observed after an earlier reading.
func (h histogram) since(earlier histogram) histogram {
	if len(earlier.counts) != len(h.counts) {
		return h
	}
	difference := histogram{bounds: h.bounds, counts: make([]float64, len(h.counts)), total: h.total - earlier.total}
	for i := range h.counts {
		difference.counts[i] = h.counts[i] - earlier.counts[i]
	}
	return difference
}

// quantile is estimated within its bucket as Prometheus does; nil where nothing was observed.
func (h histogram) quantile(q float64) *float64 {
	if h.total <= 0 || len(h.bounds) == 0 {
		return nil
	}
	rank, lower, below := q*h.total, 0.0, 0.0
	for i, bound := range h.bounds {
		if h.counts[i] >= rank {
			value := lower
			if inside := h.counts[i] - below; inside > 0 {
				value = lower + (bound-lower)*(rank-below)/inside
			}
			return &value
		}
		lower, below = bound, h.counts[i]
	}
	return &lower
}
