//go:build linux

package target_test

import (
	"strings"
	"testing"

	"github.com/hooktroupe/hooktroupe/bench/internal/target"
)

const scrape = `# TYPE hooktroupe_tasks_accepted_total counter
hooktroupe_tasks_accepted_total{source="github"} 40
hooktroupe_tasks_accepted_total{source="gitlab"} 2
# TYPE hooktroupe_tasks_finished_total counter
hooktroupe_tasks_finished_total{status="completed"} 30
hooktroupe_tasks_finished_total{status="failed"} 3
# TYPE hooktroupe_tasks gauge
hooktroupe_tasks{status="retrying"} 5
hooktroupe_tasks{status="waiting"} 4
# TYPE hooktroupe_journal_written_bytes_total counter
hooktroupe_journal_written_bytes_total 1.5e+06
# TYPE hooktroupe_journal_compactions_total counter
hooktroupe_journal_compactions_total 7
# TYPE go_goroutines gauge
go_goroutines 27
# TYPE something_else histogram
something_else_bucket{le="+Inf"} 1
something_else_sum 1
something_else_count 1
`

func TestParseCounts(t *testing.T) {
	got, err := target.ParseCounts(strings.NewReader(scrape))
	want := target.Counts{Accepted: 42, Completed: 30, Failed: 3, Retrying: 5, WrittenBytes: 1.5e6, Compactions: 7, Goroutines: 27}
	if err != nil || got != want {
		t.Errorf("%+v, %v\nwant %+v", got, err, want)
	}
	if got, err := target.ParseCounts(strings.NewReader("")); err != nil || got != (target.Counts{}) {
		t.Errorf("of nothing: %+v, %v", got, err)
	}
	if _, err := target.ParseCounts(strings.NewReader("hooktroupe_tasks{ 5\n")); err == nil {
		t.Error("what is no text format is taken")
	}
}
