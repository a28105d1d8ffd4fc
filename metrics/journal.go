package metrics

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// Journal is what happens on the disk. What the journal counts itself is not counted twice: WatchStats reads it at each
// scrape.
type Journal struct {
	// AppendSeconds is the duration of one Append of a group, its sync included if it has one.
	AppendSeconds prometheus.Histogram
	// SyncSeconds is the duration of one sync.
	SyncSeconds prometheus.Histogram
	// GroupRecords is how many records one group held.
	GroupRecords prometheus.Histogram
	// Errors counts failed operations {operation}: append, sync, read, compact.
	Errors Counters
	// SnapshotSeconds is the duration of one snapshot.
	SnapshotSeconds prometheus.Histogram
	// SnapshotErrors counts snapshots that failed; the one before each is still the newest.
	SnapshotErrors prometheus.Counter
	// Compactions counts finished compactions.
	Compactions prometheus.Counter
	// CompactionSeconds is the duration of one compaction.
	CompactionSeconds prometheus.Histogram
	// SnapshotTimestamp is when the newest snapshot was finished.
	SnapshotTimestamp prometheus.Gauge
	// RecoverySeconds is how long the last start took to rebuild its state.
	RecoverySeconds prometheus.Gauge
	// RecoveredTasks is how many tasks the last start found.
	RecoveredTasks prometheus.Gauge

	stats *journalStats
}

// JournalStats is what a journal counts itself, in bytes, segments and calls since it was opened.
type JournalStats struct {
	// Segments and Bytes are what lies on disk now.
	Segments, Bytes float64
	// BudgetBytes bounds Bytes; zero means no bound.
	BudgetBytes float64
	// Full says that new deliveries are refused for lack of room.
	Full bool
	// Groups, Records and Syncs count what was appended, WrittenBytes all that was written.
	Groups, Records, Syncs, WrittenBytes float64
	// Recycled, Rewritten and Removed count segments by what compaction did with them.
	Recycled, Rewritten, Removed float64
}

func newJournal(d *declarer) Journal {
	return Journal{
		AppendSeconds: d.histogram("journal_append_seconds",
			"Time to append one group of records, with its sync if anybody waits for it.", fastBuckets()),
		SyncSeconds: d.histogram("journal_sync_seconds", "Time of one sync of the journal.", fastBuckets()),
		GroupRecords: d.histogram("journal_group_records",
			"Records in one appended group.", prometheus.ExponentialBuckets(1, 2, 13)),
		Errors: d.counters("journal_errors_total", "Journal operations that failed.", "operation").
			from("append", "sync", "read", "compact"),
		SnapshotSeconds: d.histogram("journal_snapshot_seconds",
			"Time to write one snapshot.", slowBuckets()),
		SnapshotErrors: d.counter("journal_snapshot_errors_total",
			"Snapshots that failed; the one before each is still the newest."),
		Compactions: d.counter("journal_compactions_total", "Compactions that ended."),
		CompactionSeconds: d.histogram("journal_compaction_seconds",
			"Time of one compaction.", slowBuckets()),
		SnapshotTimestamp: d.gauge("journal_snapshot_timestamp_seconds",
			"When the newest snapshot of this process was finished, in seconds since 1970; zero before the first."),
		RecoverySeconds: d.gauge("journal_recovery_seconds",
			"Time that the last start took to rebuild its state."),
		RecoveredTasks: d.gauge("journal_recovered_tasks", "Tasks that the last start found."),
		stats:          newJournalStats(d),
	}
}

// WatchStats names the function that each scrape asks for the journal's own numbers. It is called from the goroutine of
// the scrape and must not block. Before the first WatchStats those metrics are absent; a later one takes the place of an
// earlier.
func (j Journal) WatchStats(read func() JournalStats) { j.stats.read.Store(&read) }

// journalStats is a collector that turns one reading into many metrics.
type journalStats struct {
	read   atomic.Pointer[func() JournalStats]
	values []statValue
}

// statValue is one metric of a reading.
type statValue struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	of   func(*JournalStats) float64
}

func newJournalStats(d *declarer) *journalStats {
	c := &journalStats{}
	add := func(kind prometheus.ValueType, name, help string, of func(*JournalStats) float64) {
		desc := prometheus.NewDesc(d.note(kindWord(kind), name, help), help, nil, nil)
		c.values = append(c.values, statValue{desc: desc, kind: kind, of: of})
	}
	gauge, counter := prometheus.GaugeValue, prometheus.CounterValue
	add(gauge, "journal_segments", "Segments on disk, spare ones included.",
		func(s *JournalStats) float64 { return s.Segments })
	add(gauge, "journal_bytes", "Bytes that the journal takes on disk.",
		func(s *JournalStats) float64 { return s.Bytes })
	add(gauge, "journal_budget_bytes", "Bytes that the journal may take; zero for no bound.",
		func(s *JournalStats) float64 { return s.BudgetBytes })
	add(gauge, "journal_full", "1 while deliveries are refused for lack of room, else 0.",
		func(s *JournalStats) float64 { return boolean(s.Full) })
	add(counter, "journal_groups_total", "Groups appended.",
		func(s *JournalStats) float64 { return s.Groups })
	add(counter, "journal_records_total", "Records appended.",
		func(s *JournalStats) float64 { return s.Records })
	add(counter, "journal_syncs_total", "Syncs of the journal's files.",
		func(s *JournalStats) float64 { return s.Syncs })
	add(counter, "journal_written_bytes_total", "Bytes given to the operating system, compaction included.",
		func(s *JournalStats) float64 { return s.WrittenBytes })
	add(counter, "journal_segments_recycled_total", "Segments that compaction made ready for use again.",
		func(s *JournalStats) float64 { return s.Recycled })
	add(counter, "journal_segments_rewritten_total", "Segments that compaction rewrote without their dead records.",
		func(s *JournalStats) float64 { return s.Rewritten })
	add(counter, "journal_segments_removed_total", "Segments that compaction removed.",
		func(s *JournalStats) float64 { return s.Removed })
	d.registry.MustRegister(c)
	return c
}

// Describe sends the descriptions of all values.
func (c *journalStats) Describe(out chan<- *prometheus.Desc) {
	for _, v := range c.values {
		out <- v.desc
	}
}

// Collect reads once and sends all values of that reading.
func (c *journalStats) Collect(out chan<- prometheus.Metric) {
	read := c.read.Load()
	if read == nil {
		return
	}
	stats := (*read)()
	for _, v := range c.values {
		out <- prometheus.MustNewConstMetric(v.desc, v.kind, v.of(&stats))
	}
}

func boolean(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
