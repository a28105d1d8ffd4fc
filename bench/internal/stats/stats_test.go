package stats_test

import (
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/hooktroupe/hooktroupe/bench/internal/stats"
)

func TestPercentileIsNearestRank(t *testing.T) {
	ten := stats.NewSample([]time.Duration{10, 2, 8, 4, 6}, []time.Duration{1, 3, 5, 7, 9})
	for _, c := range []struct {
		name   string
		sample stats.Sample
		p      float64
		want   time.Duration
	}{
		{"empty", nil, 50, 0},
		{"one value is every percentile", stats.Sample{7}, 1, 7},
		{"lowest", ten, 0.1, 1},
		{"half of an even number is the lower one", ten, 50, 5},
		{"just above half", ten, 50.1, 6},
		{"rank is rounded up", ten, 99, 10},
		{"all", ten, 100, 10},
		{"out of range below", ten, -5, 1},
		{"out of range above", ten, 200, 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.sample.Percentile(c.p); got != c.want {
				t.Errorf("Percentile(%v) = %v, want %v", c.p, got, c.want)
			}
		})
	}
}

func TestPercentileAgainstItsDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) time.Duration {
			return time.Duration(rapid.Int64Range(0, 1000).Draw(t, "latency"))
		}), 1, 200).Draw(t, "values")
		p := rapid.Float64Range(0.01, 100).Draw(t, "p")
		got := stats.NewSample(values).Percentile(p)
		atMost, below := 0, 0
		for _, v := range values {
			if v <= got {
				atMost++
			}
			if v < got {
				below++
			}
		}
		needed := p / 100 * float64(len(values))
		if !slices.Contains(values, got) {
			t.Fatalf("%v was never measured", got)
		}
		if float64(atMost) < needed-1e-9 {
			t.Fatalf("%d of %d values are at most %v: too few for %v percent", atMost, len(values), got, p)
		}
		if below > 0 && float64(below) >= needed+1e-9 {
			t.Fatalf("%d of %d values are below %v: a smaller one would do for %v percent", below, len(values), got, p)
		}
	})
}

func TestNewSampleLeavesItsPartsAlone(t *testing.T) {
	part := []time.Duration{3, 1, 2}
	stats.NewSample(part, nil)
	if !slices.Equal(part, []time.Duration{3, 1, 2}) {
		t.Errorf("part became %v", part)
	}
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		name   string
		values []float64
		want   float64
	}{
		{"one", []float64{3}, 3},
		{"odd", []float64{9, 1, 5}, 5},
		{"even", []float64{4, 1, 3, 2}, 2.5},
		{"huge ones do not overflow", []float64{math.MaxFloat64, math.MaxFloat64}, math.MaxFloat64},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := slices.Clone(c.values)
			if got := stats.Median(c.values); got != c.want {
				t.Errorf("Median(%v) = %v, want %v", c.values, got, c.want)
			}
			if !slices.Equal(before, c.values) {
				t.Errorf("values became %v", c.values)
			}
		})
	}
	if got := stats.Median(nil); !math.IsNaN(got) {
		t.Errorf("Median of nothing = %v, want NaN", got)
	}
}

func TestMedianHasAsManyValuesOnEitherSide(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Float64Range(-1e6, 1e6), 1, 50).Draw(t, "values")
		median := stats.Median(values)
		below, above := 0, 0
		for _, v := range values {
			if v < median {
				below++
			}
			if v > median {
				above++
			}
		}
		if 2*below > len(values) || 2*above > len(values) {
			t.Fatalf("%d below and %d above %v of %d", below, above, median, len(values))
		}
	})
}

func TestScheduleKeepsItsRate(t *testing.T) {
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, c := range []struct {
		rate float64
		i    int
		want time.Duration
	}{
		{1000, 0, 0},
		{1000, 1, time.Millisecond},
		{1000, 60_000, time.Minute},
		{3, 3, time.Second},
		{3, 30_000_000, 10_000_000 * time.Second}, // no error adds up
		{0.5, 1, 2 * time.Second},
	} {
		if got := (stats.Schedule{Start: start, Rate: c.rate}).Due(c.i).Sub(start); got != c.want {
			t.Errorf("rate %v: request %d is due after %v, want %v", c.rate, c.i, got, c.want)
		}
	}
}

func TestScheduleNeverGoesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := stats.Schedule{Start: time.Unix(0, 0), Rate: rapid.Float64Range(0.1, 1e6).Draw(t, "rate")}
		i := rapid.IntRange(0, 1_000_000).Draw(t, "i")
		if s.Due(i + 1).Before(s.Due(i)) {
			t.Fatalf("request %d is due before request %d", i+1, i)
		}
	})
}

func TestGaps(t *testing.T) {
	for _, c := range []struct {
		name  string
		marks []time.Duration
		want  time.Duration
	}{
		{"nothing seen", nil, 0},
		{"the begin counts", []time.Duration{30, 40}, 30},
		{"the longest stays", []time.Duration{10, 60, 70}, 50},
		{"one that comes late ends no gap", []time.Duration{10, 50, 20, 55}, 40},
		{"the same moment twice", []time.Duration{10, 10}, 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			var g stats.Gaps
			for _, m := range c.marks {
				g.Mark(m)
			}
			if got := g.Longest(); got != c.want {
				t.Errorf("longest gap of %v is %v, want %v", c.marks, got, c.want)
			}
		})
	}
}

func TestGapsOfManyGoroutines(t *testing.T) {
	const each, goroutines = 1000, 4
	var g stats.Gaps
	var all sync.WaitGroup
	for first := range goroutines {
		all.Go(func() {
			for i := range each {
				g.Mark(time.Duration(i*goroutines + first + 1))
			}
		})
	}
	all.Wait()
	// The last mark is each*goroutines; whatever the order, gaps can neither be absent nor exceed the whole.
	if got := g.Longest(); got < 1 || got > each*goroutines {
		t.Fatalf("longest gap %v", got)
	}
	before := g.Longest()
	g.Mark(each*goroutines + before + 1)
	if got, want := g.Longest(), before+1; got != want {
		t.Errorf("after all: longest gap %v, want %v: the latest mark was lost", got, want)
	}
}
