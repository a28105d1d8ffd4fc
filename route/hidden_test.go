package route_test

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/hooktroupe/hooktroupe/route"
)

func TestHiddenRoutesAreFound(t *testing.T) {
	sources := []string{"github", "gitea", "gitlab"}
	on := func(source string, events ...string) route.Config {
		return route.Config{Source: source, Events: events, Handlers: []string{"h"}}
	}
	with := func(c route.Config, change func(*route.Config)) route.Config { change(&c); return c }
	goesOn := func(c *route.Config) { c.Continue = true }
	filtered := func(filter string) func(*route.Config) { return func(c *route.Config) { c.Filter = filter } }
	keyed := func(c *route.Config) { c.Key = "payload.ref" }
	for name, test := range map[string]struct {
		routes []route.Config
		want   string
	}{
		"behind all":                      {[]route.Config{on("*", "*"), on("github", "push")}, "[{1 [0] false}]"},
		"the other way round":             {[]route.Config{on("github", "push"), on("*", "*")}, "[]"},
		"the same twice":                  {[]route.Config{on("github", "push"), on("github", "push")}, "[{1 [0] false}]"},
		"another source":                  {[]route.Config{on("gitlab", "*"), on("github", "push")}, "[]"},
		"globs of sources":                {[]route.Config{on("git*", "*"), on("{gitea,gitlab}", "push")}, "[{1 [0] false}]"},
		"part of the sources":             {[]route.Config{on("git?ab", "*"), on("git*", "push")}, "[]"},
		"a source that is not there":      {[]route.Config{on("bit*", "push")}, "[{0 [] false}]"},
		"with any action":                 {[]route.Config{on("*", "pull_request"), on("*", "pull_request.opened")}, "[{1 [0] false}]"},
		"without an action":               {[]route.Config{on("*", "pull_request.*"), on("*", "pull_request")}, "[]"},
		"a longer word":                   {[]route.Config{on("*", "pull_request"), on("*", "pull_request_review")}, "[]"},
		"globs of events":                 {[]route.Config{on("*", "p*"), on("*", "{push,ping}", "pull_request.{opened,closed}")}, "[{1 [0] false}]"},
		"globs within globs":              {[]route.Config{on("*", "p*.o*d"), on("*", "pull*.opene?"), on("*", "p*.op?n*ed")}, "[{2 [0] false}]"},
		"part of the events":              {[]route.Config{on("*", "pull_request.{opened,closed}"), on("*", "pull_request")}, "[]"},
		"several together":                {[]route.Config{on("*", "push"), on("*", "create"), on("*", "{push,create}")}, "[{2 [0 1] false}]"},
		"several, by source":              {[]route.Config{on("gitea", "*"), on("git{hub,lab}", "*"), on("*", "push")}, "[{2 [0 1] false}]"},
		"one that continues":              {[]route.Config{with(on("*", "*"), goesOn), on("github", "push")}, "[]"},
		"one that continues, behind":      {[]route.Config{on("*", "*"), with(on("github", "push"), goesOn)}, "[{1 [0] false}]"},
		"one with a filter":               {[]route.Config{with(on("*", "*"), filtered("true")), on("github", "push")}, "[]"},
		"the same filter":                 {[]route.Config{with(on("*", "*"), filtered("payload.a")), with(on("*", "push"), filtered("payload.a"))}, "[{1 [0] false}]"},
		"a filter behind none":            {[]route.Config{on("*", "*"), with(on("*", "push"), filtered("payload.a"))}, "[{1 [0] false}]"},
		"one whose key may fail":          {[]route.Config{with(on("*", "*"), keyed), on("*", "push")}, "[{1 [0] true}]"},
		"one whose key may fail, and not": {[]route.Config{with(on("*", "*"), keyed), on("*", "*"), on("*", "push")}, "[{1 [0] true} {2 [1] false}]"},
		"any source and event":            {[]route.Config{{Handlers: []string{"h"}}, on("github", "push")}, "[{1 [0] false}]"},
		"what does not compile":           {[]route.Config{on("*", "{a"), on("{*", "*"), on("*", "push")}, "[]"},
		"too many":                        {[]route.Config{on("*", "*"), on("*", "{a,b,c,d,e,f}{a,b,c,d,e,f}{a,b,c,d,e,f}{a,b,c,d,e,f}")}, "[]"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := fmt.Sprint(route.FindHidden(test.routes, sources)); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

// TestWhatIsHiddenIsNeverReached routes random deliveries through random tables.
func TestWhatIsHiddenIsNeverReached(t *testing.T) {
	sources := []string{"a", "b", "ab"}
	glob := rapid.StringMatching(`[ab*?.]{0,5}|[ab.]{0,2}\{[ab*?]{1,2},[ab.]{0,2}\}[ab*]{0,2}`)
	some := 0
	rapid.Check(t, func(t *rapid.T) {
		var configs []route.Config
		for i := range rapid.IntRange(2, 5).Draw(t, "routes") {
			configs = append(configs, route.Config{
				Name: fmt.Sprint("r", i), Source: rapid.SampledFrom([]string{"*", "a", "?", "a*", "c"}).Draw(t, "source"),
				Events: rapid.SliceOfN(glob, 0, 2).Draw(t, "events"), Continue: rapid.IntRange(0, 3).Draw(t, "continue") == 0,
				Filter: rapid.SampledFrom([]string{"", "", "payload.x"}).Draw(t, "filter"), Handlers: []string{"h"},
			})
		}
		table, err := route.New(configs)
		if err != nil {
			t.Fatal(err)
		}
		hidden := route.FindHidden(configs, sources)
		some += len(hidden)
		for range 30 {
			d := &route.Delivery{
				Source: rapid.SampledFrom(sources).Draw(t, "from"), EventType: rapid.StringMatching(`[abc.]{0,6}`).Draw(t, "event"),
				Body: []byte(rapid.SampledFrom([]string{`{"x": true}`, `{}`}).Draw(t, "body")),
			}
			assignments, _ := table.Route(d)
			for _, a := range assignments {
				at := slices.IndexFunc(configs, func(c route.Config) bool { return c.Name == a.Route })
				if slices.ContainsFunc(hidden, func(h route.Hidden) bool { return h.Route == at }) {
					t.Fatalf("%+v reaches route %d of %+v, hidden: %v", d, at, configs, hidden)
				}
			}
		}
	})
	if some == 0 {
		t.Error("no table has a hidden route")
	}
}
