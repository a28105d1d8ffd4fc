package metrics

import (
	"maps"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// maxLabels is the most labels that any metric of ours has.
const maxLabels = 3

// Family is one metric with labels. With costs one look-up in an immutable map: no lock, no allocation.
type Family[M any] struct {
	resolve func(values ...string) M
	remove  func(values ...string) bool
	// seen is replaced, never changed, when a new combination of values appears.
	seen *atomic.Pointer[map[labels]M]
}

// labels are the values of one member of a family, the unused ones empty.
type labels [maxLabels]string

// The families there are.
type (
	// Counters only grow.
	Counters = Family[prometheus.Counter]
	// Gauges go up and down.
	Gauges = Family[prometheus.Gauge]
	// Histograms sort observations into buckets.
	Histograms = Family[prometheus.Observer]
)

// With returns the member with these label values, in the order of declaration; as many as were declared, or it panics.
func (f Family[M]) With(values ...string) M {
	var key labels
	copy(key[:], values)
	if m, ok := (*f.seen.Load())[key]; ok {
		return m
	}
	return f.remember(key, len(values))
}

// from makes members for the values of a family's only label, so that each is scraped as zero before it is first used: the
// first step of a counter that appears with it is none to whoever computes rates.
func (f Family[M]) from(values ...string) Family[M] {
	for _, value := range values {
		f.With(value)
	}
	return f
}

// remember resolves a combination for the first time. When two goroutines race, both get the same member, for the
// registry owns it.
func (f Family[M]) remember(key labels, n int) M {
	m := f.resolve(key[:n]...)
	for {
		old := f.seen.Load()
		next := maps.Clone(*old)
		next[key] = m
		if f.seen.CompareAndSwap(old, &next) {
			return m
		}
	}
}

// Forget takes the member with these label values out of scrapes, until With makes a new one. It is for what was
// configured and is not any more.
func (f Family[M]) Forget(values ...string) {
	var key labels
	copy(key[:], values)
	for {
		old := f.seen.Load()
		next := maps.Clone(*old)
		delete(next, key)
		if f.seen.CompareAndSwap(old, &next) {
			break
		}
	}
	f.remove(values...)
}

func newFamily[M any](resolve func(values ...string) M, remove func(values ...string) bool) Family[M] {
	f := Family[M]{resolve: resolve, remove: remove, seen: new(atomic.Pointer[map[labels]M])}
	f.seen.Store(&map[labels]M{})
	return f
}

// declarer makes metrics, registers them and keeps the catalog. Two metrics of one name are a programmer's error and
// panic.
type declarer struct {
	registry *prometheus.Registry
	catalog  []Metric
}

func (d *declarer) note(kind, name, help string, labels ...string) string {
	d.catalog = append(d.catalog, Metric{Name: prefix + name, Kind: kind, Help: help, Labels: labels})
	return prefix + name
}

func (d *declarer) counter(name, help string) prometheus.Counter {
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: d.note("counter", name, help), Help: help})
	d.registry.MustRegister(c)
	return c
}

func (d *declarer) counters(name, help string, labels ...string) Counters {
	opts := prometheus.CounterOpts{Name: d.note("counter", name, help, labels...), Help: help}
	vec := prometheus.NewCounterVec(opts, labels)
	d.registry.MustRegister(vec)
	return newFamily(vec.WithLabelValues, vec.DeleteLabelValues)
}

func (d *declarer) gauge(name, help string) prometheus.Gauge {
	g := prometheus.NewGauge(prometheus.GaugeOpts{Name: d.note("gauge", name, help), Help: help})
	d.registry.MustRegister(g)
	return g
}

func (d *declarer) gauges(name, help string, labels ...string) Gauges {
	opts := prometheus.GaugeOpts{Name: d.note("gauge", name, help, labels...), Help: help}
	vec := prometheus.NewGaugeVec(opts, labels)
	d.registry.MustRegister(vec)
	return newFamily(vec.WithLabelValues, vec.DeleteLabelValues)
}

func (d *declarer) histogram(name, help string, buckets []float64) prometheus.Histogram {
	opts := prometheus.HistogramOpts{Name: d.note("histogram", name, help), Help: help, Buckets: buckets}
	h := prometheus.NewHistogram(opts)
	d.registry.MustRegister(h)
	return h
}

func (d *declarer) histograms(name, help string, buckets []float64, labels ...string) Histograms {
	opts := prometheus.HistogramOpts{Name: d.note("histogram", name, help, labels...), Help: help, Buckets: buckets}
	vec := prometheus.NewHistogramVec(opts, labels)
	d.registry.MustRegister(vec)
	return newFamily(vec.WithLabelValues, vec.DeleteLabelValues)
}
