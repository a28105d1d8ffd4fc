package metrics_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/hooktroupe/hooktroupe/metrics"
)

// touch uses every metric once, so that each appears in a scrape.
func touch(s *metrics.Set) {
	s.SetBuild("1.2.3", "abcdef")
	s.Ingress.Requests.With("github", "202").Inc()
	s.Ingress.Rejected.With("github", "too_large").Inc()
	s.Ingress.Ignored.With("github").Inc()
	s.Ingress.RouteErrors.With("reviews").Inc()
	s.Ingress.AckSeconds.With("github").Observe(0.001)
	s.Sources.ConsecutiveFailures.With("github").Set(2)
	s.Sources.Limit.With("github").Set(4)
	s.Sources.State.With("github").Set(1)
	s.Sources.LastAccepted.With("github").Set(1.7e9)
	s.Sources.SlowAcks.With("github").Inc()
	s.Tasks.Accepted.With("github").Inc()
	s.Tasks.Duplicates.With("github").Inc()
	s.Tasks.Redelivered.With("github").Inc()
	s.Tasks.Attempts.With("forward", "succeeded").Inc()
	s.Tasks.BreakerOpen.With("forward").Set(1)
	s.Tasks.AttemptSeconds.With("forward").Observe(0.5)
	s.Tasks.Finished.With("completed").Inc()
	s.Tasks.Tasks.With("queued").Set(3)
	s.Tasks.Unfinished.With("reviews", "queued").Set(2)
	s.Tasks.Lanes.With("reviews", "2-9").Set(2)
	s.Actors.MailboxDepth.With("registry").Set(2)
	s.Actors.Restarts.With("attempt").Inc()
	s.Traces.Dropped.With("queue_full").Inc()
	s.Cluster.WatchStats(func() metrics.ClusterStats {
		return metrics.ClusterStats{Ready: true, Shards: map[string]float64{"held": 7}, Dropped: map[string]float64{"lost": 2}}
	})
	s.Config.RestartNeeded.Set(1)
	s.Journal.Errors.With("sync").Inc()
	s.Journal.WatchStats(func() metrics.JournalStats {
		return metrics.JournalStats{Segments: 2, Bytes: 128, Full: true, WrittenBytes: 512, Recycled: 7}
	})
}

func scrape(t *testing.T, s *metrics.Set) string {
	t.Helper()
	var out bytes.Buffer
	if err := s.Write(&out); err != nil {
		t.Fatalf("Write: %v", err)
	}
	return out.String()
}

// value reads a counter.
func value(t *testing.T, c prometheus.Counter) float64 {
	t.Helper()
	var m dto.Metric
	if err := c.Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetCounter().GetValue()
}

func TestScrapeHoldsTheCatalog(t *testing.T) {
	s := metrics.New()
	touch(s)
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(scrape(t, s)))
	if err != nil {
		t.Fatalf("the scrape does not parse: %v", err)
	}
	for _, m := range s.Catalog() {
		family := families[m.Name]
		if family == nil {
			t.Errorf("%s is declared but not scraped", m.Name)
			continue
		}
		if got := strings.ToLower(family.GetType().String()); got != m.Kind {
			t.Errorf("%s is a %s, declared as %s", m.Name, got, m.Kind)
		}
		if family.GetHelp() != m.Help || !strings.HasSuffix(m.Help, ".") {
			t.Errorf("%s: help %q, declared %q", m.Name, family.GetHelp(), m.Help)
		}
		if got := len(family.GetMetric()[0].GetLabel()); got != len(m.Labels) {
			t.Errorf("%s has %d labels, declared %v", m.Name, got, m.Labels)
		}
		delete(families, m.Name)
	}
	for name := range families {
		if strings.HasPrefix(name, "hooktroupe_") {
			t.Errorf("%s is scraped but not in the catalog", name)
		}
	}
	if families["go_goroutines"] == nil || families["process_open_fds"] == nil {
		t.Error("the metrics of the runtime and of the process are missing")
	}
}

var update = flag.Bool("update", false, "write docs/METRICS.md")

const reference = "../docs/METRICS.md"

// marker separates what people write from what is generated.
const marker = "<!-- generated from package metrics: go test ./metrics -update -->\n"

func TestReferenceIsUpToDate(t *testing.T) {
	data, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	written, _, found := strings.Cut(string(data), marker)
	if !found {
		t.Fatalf("%s has no marker", reference)
	}
	var table strings.Builder
	table.WriteString("\n| metric | kind | labels | meaning |\n|---|---|---|---|\n")
	for _, m := range metrics.New().Catalog() {
		labels := strings.Join(m.Labels, "`, `")
		if labels != "" {
			labels = "`" + labels + "`"
		}
		fmt.Fprintf(&table, "| `%s` | %s | %s | %s |\n", m.Name, m.Kind, labels, m.Help)
	}
	want := written + marker + table.String()
	if *update {
		if err := os.WriteFile(reference, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(data) != want {
		t.Errorf("%s is stale: go test ./metrics -update", reference)
	}
}

func TestNamesAreLintClean(t *testing.T) {
	s := metrics.New()
	touch(s)
	problems, err := promlint.New(strings.NewReader(scrape(t, s))).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "hooktroupe_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}

func TestWithReturnsOneMemberPerCombination(t *testing.T) {
	s := metrics.New()
	var wait sync.WaitGroup
	const goroutines, each = 8, 200
	for range goroutines {
		wait.Go(func() {
			for i := range each {
				s.Ingress.Requests.With("github", []string{"202", "401", "503"}[i%3]).Inc()
			}
		})
	}
	wait.Wait()
	total := 0.0
	for _, code := range []string{"202", "401", "503"} {
		total += value(t, s.Ingress.Requests.With("github", code))
	}
	if total != goroutines*each {
		t.Errorf("counted %v, want %d", total, goroutines*each)
	}
	// The order of values matters: these are two members.
	s.Tasks.Attempts.With("a", "b").Inc()
	if got := value(t, s.Tasks.Attempts.With("b", "a")); got != 0 {
		t.Errorf("attempts{b,a} = %v, want 0", got)
	}
}

func TestWithRefusesTheWrongNumberOfValues(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("With took one value for two labels")
		}
	}()
	metrics.New().Ingress.Requests.With("github")
}

func TestJournalStatsAreReadAtEachScrape(t *testing.T) {
	s := metrics.New()
	if strings.Contains(scrape(t, s), "hooktroupe_journal_bytes") {
		t.Error("journal_bytes is scraped before anybody said where to read it")
	}
	calls := 0
	s.Journal.WatchStats(func() metrics.JournalStats {
		calls++
		return metrics.JournalStats{Bytes: float64(100 * calls), Full: calls == 1}
	})
	for n, wanted := range [][]string{
		{"hooktroupe_journal_bytes 100\n", "hooktroupe_journal_full 1\n"},
		{"hooktroupe_journal_bytes 200\n", "hooktroupe_journal_full 0\n"},
	} {
		got := scrape(t, s)
		for _, want := range wanted {
			if !strings.Contains(got, want) {
				t.Errorf("scrape %d lacks %q", n+1, want)
			}
		}
	}
	if calls != 2 {
		t.Errorf("the journal was asked %d times by 2 scrapes", calls)
	}
}

func TestSetsAreIndependent(t *testing.T) {
	a, b := metrics.New(), metrics.New()
	a.Tasks.Crashes.Inc()
	if got := value(t, b.Tasks.Crashes); got != 0 {
		t.Errorf("a crash in one set counts %v in another", got)
	}
	families, err := a.Gatherer().Gather()
	if err != nil || len(families) == 0 {
		t.Errorf("Gather: %d families, %v", len(families), err)
	}
}

func TestCatalogIsTheCallers(t *testing.T) {
	s := metrics.New()
	s.Catalog()[0].Name = "changed"
	if s.Catalog()[0].Name == "changed" {
		t.Error("a caller changed the catalog")
	}
}

func TestHotPathDoesNotAllocate(t *testing.T) {
	s := metrics.New()
	touch(s)
	allocs := testing.AllocsPerRun(1000, func() {
		s.Ingress.Requests.With("github", "202").Inc()
		s.Ingress.AckSeconds.With("github").Observe(0.002)
	})
	if allocs != 0 {
		t.Errorf("counting one request allocates %v times, want 0", allocs)
	}
}

func BenchmarkWith(b *testing.B) {
	s := metrics.New()
	touch(s)
	b.ReportAllocs()
	for b.Loop() {
		s.Ingress.Requests.With("github", "202").Inc()
	}
}
