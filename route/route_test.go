package route_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/hooktroupe/hooktroupe/route"
)

const pullRequest = `{"action": "opened", "number": 42, "pull_request": {"draft": false, "title": "Fix it",
	"labels": [{"name": "bug"}, {"name": "urgent"}], "base": {"ref": "main"}}, "repository": {"full_name": "o/r", "id": 1234567}}`

func opened() *route.Delivery {
	return &route.Delivery{
		Source: "github", EventType: "pull_request.opened", DeliveryID: "d1", Key: "github:o/r#42",
		Headers: []route.Header{{Name: "Content-Type", Value: "application/json"}, {Name: "X-Github-Event", Value: "pull_request"}},
		Body:    []byte(pullRequest),
	}
}

func table(t *testing.T, routes ...route.Config) *route.Table {
	t.Helper()
	for i := range routes {
		if routes[i].Name == "" {
			routes[i].Name = string(rune('a' + i))
		}
		if routes[i].Handlers == nil {
			routes[i].Handlers = []string{"log"}
		}
	}
	made, err := route.New(routes)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// names are the assignments of a delivery that must be routed without an error.
func names(t *testing.T, routes *route.Table, d *route.Delivery) []string {
	t.Helper()
	assignments, errs := routes.Route(d)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	var all []string
	for _, a := range assignments {
		all = append(all, a.Name)
	}
	return all
}

func TestGlobs(t *testing.T) {
	for name, test := range map[string]struct {
		source string
		events []string
		want   bool
	}{
		"anything":               {"", nil, true},
		"stars":                  {"*", []string{"*"}, true},
		"exact":                  {"github", []string{"pull_request.opened"}, true},
		"without its action":     {"github", []string{"pull_request"}, true},
		"any action":             {"git*", []string{"pull_request.*"}, true},
		"one of several":         {"{gitlab,github}", []string{"push", "pull_request"}, true},
		"alternatives":           {"github", []string{"pull_request.{opened,reopened}"}, true},
		"one character":          {"githu?", nil, true},
		"other source":           {"gitlab", nil, false},
		"other action":           {"github", []string{"pull_request.closed"}, false},
		"a beginning is not all": {"github", []string{"pull"}, false},
		"a dot is a dot":         {"github", []string{"pull_request?opened", "pull_requestxopened"}, true},
		"no regular expression":  {"github", []string{"pull_request.[a-z]+", "(pull_request).opened"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			got := names(t, table(t, route.Config{Source: test.source, Events: test.events}), opened())
			if (len(got) == 1) != test.want {
				t.Errorf("assigned to %v, want a match: %t", got, test.want)
			}
		})
	}
}

func TestFilters(t *testing.T) {
	for filter, want := range map[string]bool{
		`payload.pull_request.draft == false`:                          true,
		`payload.number == 42 and event == "pull_request.opened"`:      true,
		`any(payload.pull_request.labels, .name == "urgent")`:          true,
		`header("x-github-event") == "pull_request"`:                   true,
		`headers["X-Github-Event"][0] startsWith "pull"`:               true,
		`payload.pull_request.base.ref matches "^(main|release/.*)$"`:  true,
		`payload.issue.number == 1`:                                    false,
		`payload.issue.labels.first.name == nil`:                       true,
		`any(payload.issue.labels, true)`:                              false,
		`payload.repository.id > 1000000 and body_size < 10000`:        true,
		`not (payload.action in ["closed", "labeled"])`:                true,
		`lower(payload.pull_request.title) contains "fix"`:             true,
		`payload?.pull_request?.missing ?? true`:                       true,
		`len(filter(payload.pull_request.labels, .name != "bug")) > 1`: false,
	} {
		if got := names(t, table(t, route.Config{Filter: filter}), opened()); (len(got) == 1) != want {
			t.Errorf("%s: %v, want %t", filter, got, want)
		}
	}
}

func TestKeys(t *testing.T) {
	for expression, want := range map[string]string{
		``:                                    "github:o/r#42",
		`key`:                                 "github:o/r#42",
		`payload.repository.full_name`:        "o/r",
		`payload.repository.id`:               "1234567",
		`"pr/" + string(payload.number)`:      "pr/42",
		`payload.nothing.there`:               "",
		`payload.pull_request.draft`:          "false",
		`payload.repository.full_name + "/x"`: "o/r/x",
	} {
		assignments, errs := table(t, route.Config{Key: expression}).Route(opened())
		if len(errs) > 0 || len(assignments) != 1 || assignments[0].Key != want {
			t.Errorf("%s: %v, %v; want %q", expression, assignments, errs, want)
		}
	}
}

func TestFirstMatchWinsUnlessItContinues(t *testing.T) {
	routes := table(t,
		route.Config{Source: "gitlab"},
		route.Config{Events: []string{"pull_request"}, Continue: true, Handlers: []string{"log", "review"}},
		route.Config{Filter: "false"},
		route.Config{},
		route.Config{},
	)
	if got, want := names(t, routes, opened()), []string{"b/log", "b/review", "d"}; !slices.Equal(got, want) {
		t.Errorf("assigned to %v, want %v", got, want)
	}
	if got, want := routes.Names(), []string{"a", "b/log", "b/review", "c", "d", "e"}; !slices.Equal(got, want) {
		t.Errorf("names %v, want %v", got, want)
	}
	if name, ok := routes.Fallback("github", "pull_request.closed"); !ok || name != "b/log" {
		t.Errorf("falls back to %q, %t", name, ok)
	}
	if name, ok := table(t, route.Config{Filter: "true"}).Fallback("github", "push"); ok {
		t.Errorf("falls back to %q, which has a filter", name)
	}
}

func TestAFormHoldsItsPayload(t *testing.T) {
	d := opened()
	d.Headers[0].Value = "application/x-www-form-urlencoded"
	d.Body = []byte("payload=%7B%22number%22%3A7%7D")
	if got := names(t, table(t, route.Config{Filter: "payload.number == 7"}), d); len(got) != 1 {
		t.Error("the payload of a form was not found")
	}
	d.Body = []byte("command=%2Fdeploy&text=main")
	if got := names(t, table(t, route.Config{Filter: `payload.command == "/deploy"`}), d); len(got) != 1 {
		t.Error("the fields of a form were not found")
	}
}

func TestNewNamesEverythingThatIsWrong(t *testing.T) {
	long := strings.Repeat("x", 5000)
	bad := []struct {
		config route.Config
		field  string
		column int
		text   string
	}{
		{route.Config{Name: "UPPER"}, "name", 0, "a-z"},
		{route.Config{Name: "twice"}, "", 0, ""},
		{route.Config{Name: "twice"}, "name", 0, "another"},
		{route.Config{Handlers: []string{"a", "a"}}, "handlers", 0, "twice"},
		{route.Config{Handlers: []string{}}, "handlers", 0, "0 handlers"},
		{route.Config{Source: "{a"}, "source", 0, "closed"},
		{route.Config{Events: []string{"{a{b}}"}}, "events", 0, "nest"},
		{route.Config{Filter: "paylod.x"}, "filter", 1, "paylod"},
		{route.Config{Filter: "event == "}, "filter", 9, "unexpected"},
		{route.Config{Filter: "true and event"}, "filter", 6, "mismatched"},
		{route.Config{Filter: "event + key"}, "filter", 0, "bool"},
		{route.Config{Filter: `true or now() == nil`}, "filter", 9, "now"},
		{route.Config{Filter: `any(payload.a, any(payload.b, true))`}, "filter", 1, "loop"},
		{route.Config{Filter: `let a = event; a == "x"`}, "filter", 0, "variables"},
		{route.Config{Filter: `1 in 1..1000000000`}, "filter", 0, "ranges"},
		{route.Config{Key: `repeat(event, 1000000)`}, "key", 1, "repeat"},
		{route.Config{Key: `"` + long + `"`}, "key", 0, "more than"},
	}
	var routes []route.Config
	for i := range bad {
		if bad[i].config.Name == "" {
			bad[i].config.Name = "r" + string(rune('a'+i))
		}
		if bad[i].config.Handlers == nil {
			bad[i].config.Handlers = []string{"log"}
		}
		routes = append(routes, bad[i].config)
	}
	_, err := route.New(routes)
	joined, is := err.(interface{ Unwrap() []error })
	if !is {
		t.Fatalf("got %v", err)
	}
	errs := joined.Unwrap()
	for _, b := range bad {
		if b.field == "" {
			continue
		}
		found := slices.ContainsFunc(errs, func(err error) bool {
			var e *route.Error
			return errors.As(err, &e) && e.Route == b.config.Name && e.Field == b.field && strings.Contains(e.Error(), b.text) &&
				(b.column == 0 || e.Column == b.column)
		})
		if !found {
			t.Errorf("no error about %q in %s of %+v at column %d", b.text, b.field, b.config, b.column)
		}
	}
	if len(errs) != len(bad)-1 {
		t.Errorf("%d errors for %d mistakes: %v", len(errs), len(bad)-1, err)
	}
}

func TestAnExpressionThatFailsDoesNotMatch(t *testing.T) {
	routes := table(t, route.Config{Filter: `payload.number > "x"`}, route.Config{})
	assignments, errs := routes.Route(opened())
	var e *route.Error
	if len(assignments) != 1 || assignments[0].Route != "b" || len(errs) != 1 || !errors.As(errs[0], &e) || e.Route != "a" {
		t.Fatalf("%v, %v", assignments, errs)
	}
	if want := "route a: filter: column 16: invalid operation: int > string"; e.Error() != want {
		t.Errorf("%q, want %q", e, want)
	}
	if steps := routes.Explain(opened()); !strings.Contains(steps[0].Why, "expression failed") {
		t.Errorf("why: %q", steps[0].Why)
	}
}

func TestHostilePayloadsStayWithinBounds(t *testing.T) {
	loop := table(t, route.Config{Filter: `any(payload.list, # == "x")`})
	member := table(t, route.Config{Filter: `payload.a.b == 1`})
	for name, body := range map[string]string{
		"a long list":  `{"list": [` + strings.Repeat("1,", 200_000) + `1]}`,
		"deep nesting": strings.Repeat(`{"a":`, 1_000_000),
		"deep arrays":  strings.Repeat(`[`, 4<<20),
		"too large":    `{"a": "` + strings.Repeat("x", 5<<20) + `"}`,
		"a scalar":     `7`,
		"not JSON":     "\x00\xff",
	} {
		t.Run(name, func(t *testing.T) {
			for _, routes := range []*route.Table{loop, member} {
				if got, _ := routes.Route(&route.Delivery{Body: []byte(body)}); len(got) != 0 {
					t.Errorf("it matched")
				}
			}
		})
	}
}

func TestLongKeysStayUniqueAndValid(t *testing.T) {
	routes := table(t, route.Config{})
	seen := map[string]bool{}
	for _, key := range []string{
		strings.Repeat("k", 600), strings.Repeat("k", 601), strings.Repeat("ü", 400), "bad \xff text", strings.Repeat("\xff", 600),
	} {
		assignments, _ := routes.Route(&route.Delivery{Key: key})
		got := assignments[0].Key
		if len(got) > route.MaxKeyBytes || !utf8.ValidString(got) || seen[got] {
			t.Errorf("%d bytes, valid %t, seen %t", len(got), utf8.ValidString(got), seen[got])
		}
		seen[got] = true
	}
}

func TestExplainSaysWhatRouteDoes(t *testing.T) {
	filters := []string{"", "false", "payload.number == 42", `payload.number > "x"`, "payload.nothing == nil"}
	rapid.Check(t, func(t *rapid.T) {
		var configs []route.Config
		for i := range rapid.IntRange(0, 6).Draw(t, "routes") {
			configs = append(configs, route.Config{
				Name:     string(rune('a' + i)),
				Source:   rapid.SampledFrom([]string{"", "git*", "gitlab"}).Draw(t, "source"),
				Events:   rapid.SampledFrom([][]string{nil, {"push"}, {"push", "pull_request"}}).Draw(t, "events"),
				Filter:   rapid.SampledFrom(filters).Draw(t, "filter"),
				Continue: rapid.Bool().Draw(t, "continue"),
				Handlers: rapid.SampledFrom([][]string{{"x"}, {"x", "y"}}).Draw(t, "handlers"),
			})
		}
		routes, err := route.New(configs)
		if err != nil {
			t.Fatal(err)
		}
		assignments, _ := routes.Route(opened())
		var explained []string
		for i, s := range routes.Explain(opened()) {
			if s.Matches {
				explained = append(explained, s.Handlers...)
			}
			if s.Route != configs[i].Name || s.Ends != (s.Matches && !configs[i].Continue) || s.Why == "" {
				t.Fatalf("step %+v of %+v", s, configs[i])
			}
		}
		var routed []string
		for _, a := range assignments {
			routed = append(routed, a.Handler)
		}
		if !slices.Equal(explained, routed) {
			t.Fatalf("explained %v, routed %v", explained, routed)
		}
	})
}

func FuzzNew(f *testing.F) {
	for _, text := range []string{
		"", `payload.a.b == "x"`, `any(payload.list, .name in ["a"])`, "[", "a b", `"\`, "payload[payload[0]]", "{a: 1}.a == 1",
		`payload.a(1)`, "$env", `filter(payload, #)[0].x ?? 3`, "1 / 0 == 1", "payload matches payload",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, c := range []route.Config{
			{Name: "r", Handlers: []string{"h"}, Filter: text}, {Name: "r", Handlers: []string{"h"}, Key: text},
			{Name: "r", Handlers: []string{"h"}, Source: text, Events: []string{text}},
		} {
			if routes, err := route.New([]route.Config{c}); err == nil {
				routes.Route(opened())
			}
		}
	})
}

func FuzzRoute(f *testing.F) {
	f.Add([]byte(pullRequest), "application/json")
	f.Add([]byte("payload=%7B%7D&a=%zz"), "application/x-www-form-urlencoded")
	routes, err := route.New([]route.Config{{
		Name: "r", Handlers: []string{"h"}, Key: `payload.repository.full_name`,
		Filter: `any(payload.pull_request.labels, .name contains "u") or payload.number > 3`,
	}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte, contentType string) {
		d := &route.Delivery{Body: body, Headers: []route.Header{{Name: "content-type", Value: contentType}}}
		assignments, _ := routes.Route(d)
		for _, a := range assignments {
			if len(a.Key) > route.MaxKeyBytes || !utf8.ValidString(a.Key) {
				t.Fatalf("key %q", a.Key)
			}
		}
	})
}
