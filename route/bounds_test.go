package route_test

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/hooktroupe/hooktroupe/route"
)

// failure is the error of the only route on that body, nil where it failed on nothing.
func failure(t *testing.T, c route.Config, body string) ([]route.Assignment, error) {
	t.Helper()
	assignments, errs := table(t, c).Route(&route.Delivery{Body: []byte(body)})
	return assignments, errors.Join(errs...)
}

func TestExpressionsThatAPayloadCouldMakeExpensiveAreRefused(t *testing.T) {
	for filter, want := range map[string]string{
		`event matches payload.pattern`:               "column 7: the pattern of matches must be a literal",
		`true and event matches key`:                  "column 16: the pattern of matches must be a literal",
		`any(payload.list, "x" matches #)`:            "the pattern of matches must be a literal",
		`any(payload.a, any(payload.b, true))`:        "a loop within a loop",
		`any(payload.a, len(filter(#.b, true)) > 1)`:  "a loop within a loop",
		`len(map(payload.a, map(#.b, #))) > 1`:        "map",
		`reduce(payload.a, #acc + #, 0) > 1`:          "reduce",
		`repeat("x", payload.n) == "x"`:               "repeat",
		`len(sort(payload.a)) > 1`:                    "sort",
		`fromJSON(payload.text) == nil`:               "fromJSON",
		`date("2026-01-01") < now()`:                  "date",
		`any(payload.a, $env["payload"].b == #)`:      "there is no $env",
		`payload.n ** 1000 > 1`:                       "powers are not allowed",
		strings.Repeat("1 + ", 600) + "payload.n > 1": "column",
	} {
		_, err := route.New([]route.Config{{Name: "r", Filter: filter, Handlers: []string{"h"}}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: %v; want %q", filter, err, want)
		}
	}
}

func TestALoopDoesNotMultiplyThePayload(t *testing.T) {
	list := func(n int) string { return `[` + strings.Repeat("1,", n-1) + `1]` }
	body := func(elements, padding int) string {
		return fmt.Sprintf(`{"list": %s, "pad": %q, "name": "x"}`, list(elements), strings.Repeat("x", padding))
	}
	for name, test := range map[string]struct {
		filter, body string
		fails        bool
	}{
		"a common payload":                {`not any(payload.list, payload.pad contains "y")`, body(100, 25<<10), false},
		"many elements of a large body":   {`not any(payload.list, payload.pad contains "y")`, body(1000, 1<<20), true},
		"one element of a large body":     {`not any(payload.list, payload.pad contains "y")`, body(1, 1<<20), false},
		"only the elements, a large body": {`not any(payload.list, # == 7)`, body(1000, 1<<20), false},
		"too many elements":               {`not any(payload.list, # == 7)`, body(1001, 0), true},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := failure(t, route.Config{Filter: test.filter}, test.body); (err != nil) != test.fails {
				t.Errorf("got %v, want a failure: %t", err, test.fails)
			}
		})
	}
}

// TestHostilePayloadsStayBelowABudget counts every byte that is allocated, whether or not it is freed again.
func TestHostilePayloadsStayBelowABudget(t *testing.T) {
	const budget = 64 << 20
	routes := table(t, route.Config{Filter: `any(payload.list, .x == 1) or payload.a.b == 1`})
	for name, body := range map[string]string{
		"numbers": `{"list": [` + strings.Repeat("1,", 2<<20-20) + `1]}`,
		"objects": `{"list": [` + strings.Repeat("{},", 4<<20/3-20) + `{}]}`,
		"arrays":  `{"list": [` + strings.Repeat("[],", 4<<20/3-20) + `[]]}`,
		"members": `{` + strings.Repeat(`"":0,`, 4<<20/5-20) + `"a":0}`,
		"depth":   strings.Repeat(`{"a":`, 4<<20/5),
		"text":    `{"a": {"b": "` + strings.Repeat(`\u00fc`, 4<<20/6-20) + `"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			assignments, _ := routes.Route(&route.Delivery{Body: []byte(body)})
			runtime.ReadMemStats(&after)
			if got := after.TotalAlloc - before.TotalAlloc; got > budget+uint64(len(body)) {
				t.Errorf("%d MiB allocated for a body of %d MiB", got>>20, len(body)>>20)
			}
			if len(assignments) > 0 {
				t.Error("it matched")
			}
		})
	}
}

func TestATextOfCommasIsNoManyValues(t *testing.T) {
	body := `{"n": 1, "diff": "` + strings.Repeat(`,[{\",`, 200_000) + `"}`
	if got, err := failure(t, route.Config{Filter: "payload.n == 1"}, body); err != nil || len(got) != 1 {
		t.Errorf("%v, %v", got, err)
	}
}

func TestWhatIsNoJSONIsNil(t *testing.T) {
	for _, body := range []string{"", " ", "x", `{"n": 1} trailing`, `{"n": 1}{"n": 2}`, `{"n": 1`, "\x00"} {
		if got, err := failure(t, route.Config{Filter: "payload == nil"}, body); err != nil || len(got) != 1 {
			t.Errorf("%q: %v, %v", body, got, err)
		}
	}
	if got, err := failure(t, route.Config{Filter: "payload.n == 1"}, " {\"n\": 1}\n\n"); err != nil || len(got) != 1 {
		t.Errorf("white space behind: %v, %v", got, err)
	}
}

func TestAFilterThatIsNeitherTrueNorFalseFails(t *testing.T) {
	for body, fails := range map[string]bool{
		`{"x": true}`: false, `{"x": false}`: false, `{"x": "true"}`: true, `{"x": 1}`: true, `{"x": {}}`: true,
		`{"x": null}`: false, `{}`: false, // nil is false: what is not there does not match
	} {
		got, err := failure(t, route.Config{Filter: "payload.x"}, body)
		if (err != nil) != fails || (len(got) == 1) != (body == `{"x": true}`) {
			t.Errorf("%s: %v, %v", body, got, err)
		}
	}
}

func TestExplainCutsWhereRouteDoes(t *testing.T) {
	var handlers []string
	for i := range 15 {
		handlers = append(handlers, fmt.Sprintf("h%d", i))
	}
	var configs []route.Config
	for range 6 {
		configs = append(configs, route.Config{Continue: true, Handlers: handlers})
	}
	routes := table(t, configs...)
	assignments, _ := routes.Route(opened())
	if len(assignments) != route.MaxAssignments {
		t.Fatalf("%d assignments", len(assignments))
	}
	var routed, explained []string
	for _, a := range assignments {
		routed = append(routed, a.Route+"/"+a.Handler)
	}
	steps := routes.Explain(opened())
	for _, s := range steps {
		for _, h := range s.Handlers {
			explained = append(explained, s.Route+"/"+h)
		}
	}
	if !slices.Equal(routed, explained) {
		t.Errorf("explained %v, routed %v", explained, routed)
	}
	if last := steps[len(steps)-1]; !last.Ends || !strings.Contains(last.Why, "64") {
		t.Errorf("the last step does not say that it was cut: %+v", last)
	}
}
