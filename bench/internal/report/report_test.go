package report_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/hooktroupe/hooktroupe/bench/internal/report"
)

// example has a line of each kind.
func example() *report.Report {
	r := &report.Report{Machine: report.Machine{Processors: 2, Disk: "ext4", Go: "go1.26", LoadBefore: 0.5}}
	r.Tell("accept", "accepted", 12345.6, report.PerSecond)
	r.Tell("accept", "hmac", 1.5, report.Ratio)
	r.Judge("accept", "share", 0.7, report.Ratio, report.Aim{Bound: report.AtLeast, Value: 0.65})
	r.Judge("gap", "longest", 61.25, report.Milliseconds, report.Aim{Bound: report.AtMost, Value: 50})
	r.Skip("depth", "no room")
	return r
}

func TestAim(t *testing.T) {
	for _, c := range []struct {
		bound report.Bound
		value float64
		want  bool
	}{
		{report.AtLeast, 0.9, false},
		{report.AtLeast, 1, true},
		{report.AtLeast, 1.1, true},
		{report.AtMost, 0.9, true},
		{report.AtMost, 1, true},
		{report.AtMost, 1.1, false},
		{report.AtLeast, math.NaN(), false},
		{report.AtMost, math.NaN(), false},
	} {
		if got := (report.Aim{Bound: c.bound, Value: 1}).Met(c.value); got != c.want {
			t.Errorf("%v %s 1: %v", c.value, c.bound, got)
		}
	}
}

func TestTable(t *testing.T) {
	r := example()
	var text bytes.Buffer
	if err := r.WriteTable(&text); err != nil {
		t.Fatal(err)
	}
	const want = `2 processors, shared with the generator; data on ext4; go1.26; load 0.50 before

ACCEPT
accepted  12346 /s  
hmac      1.50 ×    
share     0.70 ×    ≥ 0.65 ×  met

GAP
longest  61.2 ms  ≤ 50.0 ms  NOT MET

SKIPPED depth: no room

1 of 2 aims met
`
	if got := trimmed(text.String()); got != trimmed(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	r.Short, r.Machine.Volatile = true, true
	text.Reset()
	if err := r.WriteTable(&text); err != nil {
		t.Fatal(err)
	}
	for _, warning := range []string{"A short run", "lies in memory"} {
		if !strings.Contains(text.String(), warning) {
			t.Errorf("no %q in\n%s", warning, &text)
		}
	}
}

// trimmed is a text without the spaces at the ends of its lines.
func trimmed(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}

func TestMarkdownTellsNoAbsoluteNumberWithoutAnAim(t *testing.T) {
	var text bytes.Buffer
	if err := example().WriteMarkdown(&text); err != nil {
		t.Fatal(err)
	}
	const want = `| scenario | what | value | aim | |
|---|---|---|---|---|
| accept | hmac | 1.50 × |  |  |
| accept | share | 0.70 × | ≥ 0.65 × | met |
| gap | longest | 61.2 ms | ≤ 50.0 ms | NOT MET |
`
	if text.String() != want {
		t.Errorf("got\n%s\nwant\n%s", &text, want)
	}
}

func TestJSONComesBack(t *testing.T) {
	var text bytes.Buffer
	if err := example().WriteJSON(&text); err != nil {
		t.Fatal(err)
	}
	var got report.Report
	if err := json.Unmarshal(text.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if want := example(); !reflect.DeepEqual(&got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if !strings.Contains(text.String(), `"bound": "≥"`) {
		t.Errorf("the bounds are escaped:\n%s", &text)
	}
}

func TestWhatIsNotFiniteIsAnError(t *testing.T) {
	for _, value := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		r := example()
		r.Tell("disk", "per nothing", value, report.Ratio)
		err := r.WriteJSON(&bytes.Buffer{})
		if !errors.Is(err, report.ErrNotFinite) || !strings.Contains(err.Error(), "per nothing") {
			t.Errorf("%v: %v", value, err)
		}
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("full") }

func TestErrorsOfTheWriter(t *testing.T) {
	r := example()
	for name, write := range map[string]error{
		"table": r.WriteTable(full{}), "markdown": r.WriteMarkdown(full{}), "json": r.WriteJSON(full{}),
	} {
		if write == nil || write.Error() != "full" {
			t.Errorf("%s: %v", name, write)
		}
	}
}
