// Package metrics declares every metric of Hooktroupe once, with its unit in its name and a sentence of help, and hands
// it out as a typed field, so that no other package spells a metric's name. A Set owns its registry; nothing is global.
//
// The one invariant: labels take values from closed sets only (configured names, statuses, reasons), so that no sender
// can make a scrape grow.
package metrics

import (
	"io"
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/common/expfmt"
)

// prefix begins the name of every metric of ours.
const prefix = "hooktroupe_"

// ContentType is that of what Write produces.
const ContentType = "text/plain; version=0.0.4; charset=utf-8"

// Set is all metrics of one daemon. Its fields are safe for use by many goroutines.
type Set struct {
	// Ingress is what happens to requests before they become tasks.
	Ingress Ingress
	// Sources is how the senders are answered.
	Sources Sources
	// Tasks is what happens to tasks.
	Tasks Tasks
	// Actors is how the actors fare.
	Actors Actors
	// Journal is what happens on the disk.
	Journal Journal
	// Cluster is how a member of a cluster stands.
	Cluster Cluster
	// Traces is what becomes of traces.
	Traces Traces
	// Config is what happens to the configuration.
	Config Config

	build    Gauges
	registry *prometheus.Registry
	catalog  []Metric
}

// Metric describes one metric for documents and tests.
type Metric struct {
	// Name is as it is scraped, with its unit.
	Name string
	// Kind is counter, gauge or histogram.
	Kind string
	// Help is one sentence.
	Help string
	// Labels are in the order in which With takes their values.
	Labels []string
}

// New declares all metrics on a registry of its own, with those of the Go runtime and of the process beside them.
func New() *Set {
	d := declarer{registry: prometheus.NewRegistry()}
	d.registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	s := &Set{
		Ingress:  newIngress(&d),
		Sources:  newSources(&d),
		Tasks:    newTasks(&d),
		Actors:   newActors(&d),
		Journal:  newJournal(&d),
		Cluster:  newCluster(&d),
		Traces:   newTraces(&d),
		Config:   newConfig(&d),
		build:    d.gauges("build_info", "Always 1; its labels say what runs.", "version", "revision", "go_version"),
		registry: d.registry,
	}
	s.catalog = d.catalog
	return s
}

// SetBuild publishes which version and revision of the source runs. It is called once, at start.
func (s *Set) SetBuild(version, revision string) {
	s.build.With(version, revision, runtime.Version()).Set(1)
}

// Catalog lists every metric of ours, in the order of declaration. The slice is the caller's.
func (s *Set) Catalog() []Metric { return append([]Metric(nil), s.catalog...) }

// Gatherer is what a scrape reads.
func (s *Set) Gatherer() prometheus.Gatherer { return s.registry }

// Write gathers and writes all metrics in the text format of Prometheus; ContentType names it.
func (s *Set) Write(w io.Writer) error {
	families, err := s.registry.Gather()
	if err != nil {
		return err
	}
	for _, family := range families {
		if _, err := expfmt.MetricFamilyToText(w, family); err != nil {
			return err
		}
	}
	return nil
}
