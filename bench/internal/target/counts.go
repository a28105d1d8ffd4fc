//go:build linux

package target

import (
	"io"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// The names of what is asked, as package metrics declares them.
const (
	acceptedTotal   = "hooktroupe_tasks_accepted_total"
	finishedTotal   = "hooktroupe_tasks_finished_total"
	tasksNow        = "hooktroupe_tasks"
	writtenTotal    = "hooktroupe_journal_written_bytes_total"
	compactedTotal  = "hooktroupe_journal_compactions_total"
	recycledTotal   = "hooktroupe_journal_segments_recycled_total"
	rewrittenTotal  = "hooktroupe_journal_segments_rewritten_total"
	removedTotal    = "hooktroupe_journal_segments_removed_total"
	syncsTotal      = "hooktroupe_journal_syncs_total"
	recoverySeconds = "hooktroupe_journal_recovery_seconds"
	goroutinesNow   = "go_goroutines"
)

// Counts is what the daemon says of itself at one moment. What it never counted is zero.
type Counts struct {
	// Accepted is new tasks, Completed and Failed those that became final, since the process began.
	Accepted, Completed, Failed float64
	// Retrying is how many tasks wait for another attempt now.
	Retrying float64
	// WrittenBytes is what the journal wrote; Syncs how often it was synced.
	WrittenBytes, Syncs float64
	// Compactions is how many ended; Recycled, Rewritten and Removed what they did with segments.
	Compactions, Recycled, Rewritten, Removed float64
	// RecoverySeconds is how long the start took to rebuild the state.
	RecoverySeconds float64
	// Goroutines is how many there are now.
	Goroutines float64
}

// ParseCounts reads the text format of Prometheus.
func ParseCounts(r io.Reader) (Counts, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(r)
	if err != nil {
		return Counts{}, err
	}
	sum := func(name string, status ...string) float64 { return sum(families[name], status) }
	return Counts{
		Accepted:  sum(acceptedTotal),
		Completed: sum(finishedTotal, "completed"), Failed: sum(finishedTotal, "failed"),
		Retrying:     sum(tasksNow, "retrying"),
		WrittenBytes: sum(writtenTotal), Syncs: sum(syncsTotal),
		Compactions: sum(compactedTotal), Recycled: sum(recycledTotal),
		Rewritten: sum(rewrittenTotal), Removed: sum(removedTotal),
		RecoverySeconds: sum(recoverySeconds), Goroutines: sum(goroutinesNow),
	}, nil
}

// sum adds up the members of a family: those with one of the statuses, or all if none is given.
func sum(family *dto.MetricFamily, statuses []string) float64 {
	total := 0.0
	for _, m := range family.GetMetric() {
		if len(statuses) == 0 || hasStatus(m, statuses) {
			total += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return total
}

func hasStatus(m *dto.Metric, statuses []string) bool {
	for _, label := range m.GetLabel() {
		for _, status := range statuses {
			if label.GetName() == "status" && label.GetValue() == status {
				return true
			}
		}
	}
	return false
}
