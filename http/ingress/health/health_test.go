package health_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"
	"pgregory.net/rapid"

	"github.com/hooktroupe/hooktroupe/http/ingress/health"
	"github.com/hooktroupe/hooktroupe/internal/clock"
	"github.com/hooktroupe/hooktroupe/metrics"
	"github.com/hooktroupe/hooktroupe/source"
	"github.com/hooktroupe/hooktroupe/source/sources"
)

// watch is a Board of one source, s, with everything that it touches.
type watch struct {
	*health.Board
	t       testing.TB
	clock   *clock.Fake
	metrics *metrics.Set
	log     *logtest.Hook
}

func newWatch(t testing.TB, p source.Patience) *watch {
	logger, hook := logtest.NewNullLogger()
	w := &watch{t: t, clock: clock.NewFake(time.Unix(1_700_000_000, 0)), metrics: metrics.New(), log: hook}
	w.Board = health.New([]health.Source{{Name: "s", Type: "forge", Paths: []string{"/webhooks/s"}, Patience: p}},
		health.Dependencies{Clock: w.clock, Metrics: w.metrics, Log: logger})
	return w
}

// answer answers a request that arrived some time ago.
func (w *watch) answer(code int, verified bool, took time.Duration) {
	received := w.clock.Now()
	w.clock.Advance(took)
	w.Answered(health.Answer{Source: "s", Code: code, Verified: verified, ReceivedAt: received})
}

func (w *watch) report() health.Report { return w.Reports()[0] }

// levels are the levels of what was logged, in order, such as "warning info".
func (w *watch) levels() string {
	var levels []string
	for _, e := range w.log.AllEntries() {
		levels = append(levels, e.Level.String())
	}
	return strings.Join(levels, " ")
}

func gauge(t testing.TB, m prometheus.Metric) float64 {
	t.Helper()
	var out dto.Metric
	if err := m.Write(&out); err != nil {
		t.Fatal(err)
	}
	return out.GetGauge().GetValue() + out.GetCounter().GetValue()
}

// patienceOf is what a registered type says.
func patienceOf(t *testing.T, name string) source.Patience {
	t.Helper()
	c := source.Config{Name: "s", Type: name, Insecure: true}
	if name == "generic" {
		c.Generic = &source.Generic{Scheme: "hmac", Header: "X-Signature"}
	}
	s, err := sources.All()[name](c)
	if err != nil {
		t.Fatal(err)
	}
	return source.PatienceOf(s)
}

// Each sender is failed with 503 until long after its limit: where the states change is its own.
func TestSenders(t *testing.T) {
	for name, want := range map[string]struct{ warning, suspended int }{
		"azure_devops":     {5, 9},
		"bitbucket_server": {3, 5},
		"gitlab":           {2, 4},
		"shopify":          {4, 8},
		"github":           {}, "gitea": {}, "forgejo": {}, "bitbucket_cloud": {}, "jira": {}, "slack": {}, "stripe": {},
		"cloudevents": {}, "standard_webhooks": {}, "generic": {},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWatch(t, patienceOf(t, name))
			first := map[health.State]int{}
			for n := 1; n <= 20; n++ {
				w.answer(503, true, 0)
				r := w.report()
				if first[r.State] == 0 {
					first[r.State] = n
				}
				if r.ConsecutiveFailures != n {
					t.Fatalf("%d failures after %d", r.ConsecutiveFailures, n)
				}
			}
			if first[health.Warning] != want.warning || first[health.SuspendedLikely] != want.suspended {
				t.Errorf("states begin at %v, want %+v", first, want)
			}
			levels := ""
			if want.suspended > 0 {
				levels = "warning warning"
			}
			if got := w.levels(); got != levels {
				t.Errorf("20 failures logged %q, want %q", got, levels)
			}
			w.answer(202, true, 0)
			if r := w.report(); r.State != health.Healthy || r.ConsecutiveFailures != 0 || !r.LastAcceptedAt.Equal(w.clock.Now()) {
				t.Errorf("after a good answer: %+v", r)
			}
			if want.suspended > 0 && w.levels() != levels+" info" {
				t.Errorf("the recovery logged %q", w.levels())
			}
		})
	}
}

// One answer each, to a sender that waits 10 s and bears two failures.
func TestWhatCounts(t *testing.T) {
	const limit = 10 * time.Second
	for _, c := range []struct {
		name                    string
		code                    int
		verified                bool
		took                    time.Duration
		failures, slow, refused int
		accepted                bool
	}{
		{"accepted", 202, true, time.Second, 0, 0, 0, true},
		{"a duplicate", 200, true, 0, 0, 0, 0, true},
		{"at the last moment", 202, true, limit, 0, 0, 0, true},
		{"too late", 202, true, limit + 1, 1, 1, 0, false},
		{"too late and refused", 503, true, limit + 1, 1, 1, 0, false},
		{"malformed", 400, true, 0, 1, 0, 0, false},
		{"a redirect", 302, true, 0, 1, 0, 0, false},
		{"full backlog", 503, true, 0, 1, 0, 0, false},
		{"full disk", 507, true, 0, 1, 0, 0, false},
		{"overloaded before it was verified", 503, false, 0, 1, 0, 0, false},
		{"broken before it was verified", 500, false, 0, 1, 0, 0, false},
		{"a stranger", 401, false, 0, 0, 0, 1, false},
		{"a slow stranger", 401, false, time.Minute, 0, 0, 1, false},
		{"a stranger's network", 403, false, 0, 0, 0, 0, false},
		{"a stranger's large body", 413, false, 0, 0, 0, 0, false},
		{"a handshake without proof", 200, false, 0, 0, 0, 0, false},
		{"a slow handshake", 200, false, time.Minute, 0, 0, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWatch(t, source.Patience{AckWithin: limit, Failures: 2})
			w.answer(c.code, c.verified, c.took)
			r := w.report()
			if r.ConsecutiveFailures != c.failures || r.SlowAcks != uint64(c.slow) || r.Refused != uint64(c.refused) {
				t.Errorf("%d failures, %d slow, %d refused", r.ConsecutiveFailures, r.SlowAcks, r.Refused)
			}
			if r.LastAcceptedAt.IsZero() == c.accepted {
				t.Errorf("last accepted at %v", r.LastAcceptedAt)
			}
			if got := gauge(t, w.metrics.Sources.ConsecutiveFailures.With("s").(prometheus.Metric)); got != float64(c.failures) {
				t.Errorf("the gauge shows %v failures", got)
			}
			if got := gauge(t, w.metrics.Sources.SlowAcks.With("s").(prometheus.Metric)); got != float64(c.slow) {
				t.Errorf("the counter shows %v slow answers", got)
			}
		})
	}
}

// However many strangers knock, between real failures or alone, no alarm is raised and none is ended.
func TestStrangersRaiseNoAlarm(t *testing.T) {
	w := newWatch(t, source.Patience{Failures: 4})
	knock := func() {
		for _, code := range []int{401, 400, 403, 404, 405, 413, 415, 200} {
			w.answer(code, false, time.Hour)
		}
	}
	knock()
	if r := w.report(); r.State != health.Healthy || w.levels() != "" {
		t.Errorf("strangers alone: %+v, logged %q", r, w.levels())
	}
	w.answer(503, true, 0)
	knock()
	w.answer(503, true, 0)
	knock()
	if r := w.report(); r.State != health.Warning || r.ConsecutiveFailures != 2 || r.Refused != 3 || w.levels() != "warning" {
		t.Errorf("strangers between failures: %+v, logged %q", r, w.levels())
	}
}

// Azure DevOps forgives what it calls transient, and nothing else; and a lesser failure after that takes nothing back.
func TestOneFailureTooMany(t *testing.T) {
	for code, want := range map[int]health.State{
		408: health.Healthy, 502: health.Healthy, 503: health.Healthy, 504: health.Healthy,
		400: health.SuspendedLikely, 500: health.SuspendedLikely, 507: health.SuspendedLikely,
	} {
		w := newWatch(t, patienceOf(t, "azure_devops"))
		w.answer(code, true, 0)
		if got := w.report().State; got != want {
			t.Errorf("%d makes it %s, want %s", code, got, want)
		}
		w.answer(503, true, 0)
		if got := w.report().State; got != want {
			t.Errorf("%d and 503 make it %s, want %s", code, got, want)
		}
		w.answer(200, true, 0)
		if got := w.report().State; got != health.Healthy {
			t.Errorf("a good answer leaves it %s", got)
		}
	}
}

// An answer that came too late was never read: its status decides nothing.
func TestSlownessIsNoFatalStatus(t *testing.T) {
	w := newWatch(t, source.Patience{AckWithin: time.Second, Failures: 9, Transient: []int{503}})
	w.answer(507, true, time.Minute)
	if r := w.report(); r.State != health.Healthy || r.ConsecutiveFailures != 1 {
		t.Errorf("%+v", r)
	}
}

// A limit of one has no half: the first failure is told as what it is.
func TestLimitOfOne(t *testing.T) {
	w := newWatch(t, source.Patience{Failures: 1, Then: "It stops."})
	w.answer(503, true, 0)
	e := w.log.LastEntry()
	if w.levels() != "warning" || !strings.HasSuffix(e.Message, " It stops.") || e.Data["source.state"] != "suspended_likely" ||
		e.Data["consecutive_failures"] != 1 || e.Data["limit"] != 1 || e.Data["http.response.status_code"] != 503 {
		t.Errorf("logged %q: %s %v", w.levels(), e.Message, e.Data)
	}
}

func TestUnknownSource(t *testing.T) {
	w := newWatch(t, source.Patience{Failures: 1})
	w.Answered(health.Answer{Source: "unknown", Code: 503, Verified: true})
	if r := w.Reports(); len(r) != 1 || r[0].ConsecutiveFailures != 0 || w.levels() != "" {
		t.Errorf("an unknown source counts: %+v, %q", r, w.levels())
	}
}

// Sources are reported by name, know nothing of each other, and have their gauges before anything happens.
func TestReports(t *testing.T) {
	set, logger := metrics.New(), logrus.New()
	b := health.New([]health.Source{{Name: "b", Patience: source.Patience{Failures: 4}}, {Name: "a"}, {Name: "b", Type: "last"}},
		health.Dependencies{Clock: clock.NewFake(time.Unix(0, 0)), Metrics: set, Log: logger})
	b.Answered(health.Answer{Source: "b", Code: 500})
	got := ""
	for _, r := range b.Reports() {
		got += fmt.Sprintf("%s %s %d;", r.Name, r.Type, r.ConsecutiveFailures)
	}
	if got != "a  0;b last 1;" {
		t.Errorf("Reports: %s", got)
	}
	var scrape strings.Builder
	if err := set.Write(&scrape); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`hooktroupe_source_consecutive_failures{source="a"} 0`, `hooktroupe_source_limit{source="a"} 0`,
		`hooktroupe_source_slow_acks_total{source="a"} 0`, `hooktroupe_source_consecutive_failures{source="b"} 1`,
	} {
		if !strings.Contains(scrape.String(), want+"\n") {
			t.Errorf("no %s", want)
		}
	}
}

// Against the obvious: the failures since the last success, and a log that has one entry for each change of the state.
func TestCounting(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(0, 12).Draw(t, "limit")
		set := metrics.New()
		logger, hook := logtest.NewNullLogger()
		b := health.New([]health.Source{{Name: "s", Patience: source.Patience{Failures: limit}}},
			health.Dependencies{Clock: clock.NewFake(time.Unix(0, 0)), Metrics: set, Log: logger})
		failures, changes, state := 0, 0, health.Healthy
		for _, code := range rapid.SliceOfN(rapid.SampledFrom([]int{202, 503, 503, 503}), 1, 60).Draw(t, "codes") {
			b.Answered(health.Answer{Source: "s", Code: code, Verified: true})
			failures++
			if code == 202 {
				failures = 0
			}
			next := health.Healthy
			if limit > 0 && 2*failures >= limit {
				next = health.Warning
			}
			if limit > 0 && failures >= limit {
				next = health.SuspendedLikely
			}
			if next != state {
				changes++
			}
			state = next
			if r := b.Reports()[0]; r.State != state || r.ConsecutiveFailures != failures {
				t.Fatalf("limit %d: %s after %d, want %s after %d", limit, r.State, r.ConsecutiveFailures, state, failures)
			}
		}
		if got := len(hook.AllEntries()); got != changes {
			t.Fatalf("%d entries for %d changes", got, changes)
		}
	})
}

// Many goroutines fail one source at once: each failure counts once, and each change is told once.
func TestManyAtOnce(t *testing.T) {
	w := newWatch(t, source.Patience{Failures: 400})
	const goroutines, each = 8, 100
	var wait sync.WaitGroup
	for range goroutines {
		wait.Go(func() {
			for range each {
				w.Answered(health.Answer{Source: "s", Code: 503, Verified: true})
				w.Answered(health.Answer{Source: "s", Code: 401})
				_ = w.Reports()
			}
		})
	}
	wait.Wait()
	r := w.report()
	if r.ConsecutiveFailures != goroutines*each || r.Refused != goroutines*each || r.State != health.SuspendedLikely {
		t.Errorf("%+v", r)
	}
	if got := gauge(t, w.metrics.Sources.ConsecutiveFailures.With("s").(prometheus.Metric)); got != goroutines*each {
		t.Errorf("the gauge shows %v", got)
	}
	if w.levels() != "warning warning" {
		t.Errorf("logged %q", w.levels())
	}
}

func TestAGoodAnswerDoesNotAllocate(t *testing.T) {
	w := newWatch(t, source.Patience{Failures: 4})
	a := health.Answer{Source: "s", Code: 202, Verified: true, ReceivedAt: w.clock.Now()}
	if n := testing.AllocsPerRun(1000, func() { w.Answered(a) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
