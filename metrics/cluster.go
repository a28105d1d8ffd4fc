package metrics

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// Cluster is how a member stands in its cluster. What the member counts itself is not counted twice: WatchStats reads it at each
// scrape. On one machine nothing of it changes, and what WatchStats reads is absent.
type Cluster struct {
	// StoreSeconds is the duration of one round trip to the store for leases.
	StoreSeconds prometheus.Histogram
	// StaleWrites counts writes that the store refused, for another member has the shard.
	StaleWrites prometheus.Counter
	// Questions counts those to other members {outcome}: answered, away, unreachable, busy, unsupported, failed.
	Questions Counters
	// QuestionSeconds is the time from a question to its answer, or to giving up.
	QuestionSeconds prometheus.Histogram
	// Asked counts questions of other members {outcome}: answered, away, unsupported, failed.
	Asked Counters

	stats *clusterStats
}

// The closed sets of the labels.
var (
	// MemberStates are those of members.
	MemberStates = []string{"alive", "leaving", "silent"}
	// ShardStates are those of shards, as one member sees them: held by it, with others, with nobody, and its own on their way out.
	ShardStates = []string{"held", "elsewhere", "unowned", "draining", "stopping", "stuck"}
	// DropReasons are why a member gives shards back.
	DropReasons = []string{"moved", "leaving", "overdue", "lapsed", "lost", "stopped"}
)

// ClusterStats is what a member knows of its cluster. Spans of time are in seconds.
type ClusterStats struct {
	// Ready says that the member takes deliveries.
	Ready bool
	// LeaseRemaining is how long its leases are valid if the store is not heard of again; LeaseAge how long ago they were renewed.
	LeaseRemaining, LeaseAge float64
	// Members are by MemberStates, Shards by ShardStates.
	Members, Shards map[string]float64
	// Moving is how many shards have an owner that is not their place, as this member sees it.
	Moving float64
	// GenerationMax is the highest generation of a shard, GenerationSum that of all.
	GenerationMax, GenerationSum float64
	// StoreRequests, of which StoreFailures failed, Sessions and Taken count since the start; Dropped are by DropReasons.
	StoreRequests, StoreFailures, Sessions, Taken float64
	Dropped                                       map[string]float64
	// PeersRefused counts messages of others that were not let through.
	PeersRefused float64
}

func newCluster(d *declarer) Cluster {
	return Cluster{
		StoreSeconds: d.histogram("cluster_store_seconds",
			"Time of one round trip to the store that renews, takes and gives back leases.", fastBuckets()),
		StaleWrites: d.counter("cluster_stale_writes_total",
			"Shards whose writes the store refused, for another member had taken them; nothing was written."),
		Questions: d.counters("cluster_questions_total",
			"Questions and commands sent to other members, by outcome.", "outcome").
			from("answered", "away", "unreachable", "busy", "unsupported", "failed"),
		QuestionSeconds: d.histogram("cluster_question_seconds",
			"Time from a question to another member to its answer, or to giving up.", fastBuckets()),
		Asked: d.counters("cluster_asked_total",
			"Questions and commands of other members, by what they were answered.", "outcome").
			from("answered", "away", "unsupported", "failed"),
		stats: newClusterStats(d),
	}
}

// WatchStats names the function that each scrape asks how the member stands. It is called from the goroutine of the scrape and
// must not block. Before the first WatchStats those metrics are absent.
func (c Cluster) WatchStats(read func() ClusterStats) { c.stats.read.Store(&read) }

// clusterStats is a collector that turns one reading into many metrics.
type clusterStats struct {
	read   atomic.Pointer[func() ClusterStats]
	values []clusterValue
}

// clusterValue is one member of one metric.
type clusterValue struct {
	desc   *prometheus.Desc
	kind   prometheus.ValueType
	labels []string
	of     func(*ClusterStats) float64
}

func newClusterStats(d *declarer) *clusterStats {
	c := &clusterStats{}
	const gauge, counter = prometheus.GaugeValue, prometheus.CounterValue
	add := func(kind prometheus.ValueType, name, help string, of func(*ClusterStats) float64) {
		desc := prometheus.NewDesc(d.note(kindWord(kind), name, help), help, nil, nil)
		c.values = append(c.values, clusterValue{desc: desc, kind: kind, of: of})
	}
	each := func(kind prometheus.ValueType, name, help, label string, values []string, of func(*ClusterStats) map[string]float64) {
		desc := prometheus.NewDesc(d.note(kindWord(kind), name, help, label), help, []string{label}, nil)
		for _, value := range values {
			c.values = append(c.values, clusterValue{
				desc: desc, kind: kind, labels: []string{value}, of: func(s *ClusterStats) float64 { return of(s)[value] },
			})
		}
	}
	add(gauge, "cluster_ready", "1 while this member takes deliveries, else 0.",
		func(s *ClusterStats) float64 { return boolean(s.Ready) })
	add(gauge, "cluster_lease_remaining_seconds", "How long this member's leases are valid if the store is not heard of again; 0 when they are not.",
		func(s *ClusterStats) float64 { return s.LeaseRemaining })
	add(gauge, "cluster_lease_age_seconds", "Time since this member's leases were last renewed.",
		func(s *ClusterStats) float64 { return s.LeaseAge })
	each(gauge, "cluster_members", "Members by state, as this one sees them; silent ones are past their time.", "state", MemberStates,
		func(s *ClusterStats) map[string]float64 { return s.Members })
	each(gauge, "cluster_shards", "Shards by where they are, as this member sees them.", "state", ShardStates,
		func(s *ClusterStats) map[string]float64 { return s.Shards })
	add(gauge, "cluster_shards_moving", "Shards whose owner is not their place, as this member sees them.",
		func(s *ClusterStats) float64 { return s.Moving })
	add(gauge, "cluster_generation_max", "The highest generation of a shard: how often one was taken, by whomever.",
		func(s *ClusterStats) float64 { return s.GenerationMax })
	add(counter, "cluster_generations_total", "How often shards were taken since the store was made, by whomever: the sum of all generations.",
		func(s *ClusterStats) float64 { return s.GenerationSum })
	add(counter, "cluster_shards_taken_total", "Shards that this member took.",
		func(s *ClusterStats) float64 { return s.Taken })
	each(counter, "cluster_shards_dropped_total", "Shards that this member gave back, or had to stop, by reason.", "reason", DropReasons,
		func(s *ClusterStats) map[string]float64 { return s.Dropped })
	add(counter, "cluster_sessions_total", "Times that this member tried to join; more than one means that it was taken for dead, or could not join at once.",
		func(s *ClusterStats) float64 { return s.Sessions })
	add(counter, "cluster_store_requests_total", "Requests for leases to the store.",
		func(s *ClusterStats) float64 { return s.StoreRequests })
	add(counter, "cluster_store_failures_total", "Requests for leases that the store did not answer, or refused.",
		func(s *ClusterStats) float64 { return s.StoreFailures })
	add(counter, "cluster_peers_refused_total", "Messages and calls at the members' listener that were not let through.",
		func(s *ClusterStats) float64 { return s.PeersRefused })
	d.registry.MustRegister(c)
	return c
}

func kindWord(kind prometheus.ValueType) string {
	if kind == prometheus.GaugeValue {
		return "gauge"
	}
	return "counter"
}

// Describe sends the descriptions of all values.
func (c *clusterStats) Describe(out chan<- *prometheus.Desc) {
	for _, v := range c.values {
		out <- v.desc
	}
}

// Collect reads once and sends all values of that reading.
func (c *clusterStats) Collect(out chan<- prometheus.Metric) {
	read := c.read.Load()
	if read == nil {
		return
	}
	stats := (*read)()
	for _, v := range c.values {
		out <- prometheus.MustNewConstMetric(v.desc, v.kind, v.of(&stats), v.labels...)
	}
}
