package route_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/hooktroupe/hooktroupe/route"
)

// delivery is one that GitHub documents, as it arrives.
func delivery(t testing.TB, event string) *route.Delivery {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("..", "testdata", "deliveries", "github", event+".json"))
	if err != nil {
		t.Fatal(err)
	}
	name, _, _ := strings.Cut(event, ".")
	return &route.Delivery{
		Source: "github", EventType: event, DeliveryID: "d1", Key: "default", Body: body,
		Headers: []route.Header{{Name: "Content-Type", Value: "application/json"}, {Name: "X-GitHub-Event", Value: name}},
	}
}

func TestDocumentedDeliveries(t *testing.T) {
	for _, test := range []struct {
		event, filter, key string
		want               bool
		wantKey            string
	}{
		{"pull_request.opened", `payload.number == 2`, `payload.repository.full_name + "#" + string(payload.number)`, true, "Codertocat/Hello-World#2"},
		{"pull_request.opened", `payload.number == 3`, "", false, ""},
		{"pull_request.opened", `payload.pull_request.draft`, "", false, ""},
		{"pull_request.opened", `not payload.pull_request.draft`, "", true, "default"},
		{"pull_request.opened", `any(payload.pull_request.labels, .name == "bug")`, `payload.repository.id`, true, "186853002"},
		{"pull_request.opened", `any(payload.pull_request.labels, .name == "feature")`, "", false, ""},
		{"pull_request.opened", `payload.pull_request.labels[0].default`, "", true, "default"},
		{"pull_request.opened.with-null-body", `payload.pull_request.body.text == nil`, "", true, "default"},
		{"pull_request.labeled", `header("x-github-event") == "pull_request" and payload.label.name in ["bug", "urgent"]`, "", true, "default"},
		{"pull_request.labeled", `any(payload.pull_request.labels, .name == payload.label.name)`, "", true, "default"},
		{"pull_request.closed", `payload.action == "closed" and payload.pull_request.merged`, "", false, ""},
		{"push", `payload.ref startsWith "refs/heads/"`, `payload.ref`, false, ""},
		{"push", `payload.ref matches "^refs/(heads|tags)/simple-tag$" and payload.head_commit == nil`, `payload.ref`, true, "refs/tags/simple-tag"},
		{"push", `payload.pull_request.number == 2`, "", false, ""},
	} {
		assignments, errs := table(t, route.Config{Filter: test.filter, Key: test.key}).Route(delivery(t, test.event))
		if len(errs) > 0 || (len(assignments) == 1) != test.want || test.want && assignments[0].Key != test.wantKey {
			t.Errorf("%s: %s: %v, %v; want %t %q", test.event, test.filter, assignments, errs, test.want, test.wantKey)
		}
	}
}

// TestTheFirstThatMatchesWins compares a table with its routes, each alone in a table of its own.
func TestTheFirstThatMatchesWins(t *testing.T) {
	d := delivery(t, "pull_request.opened")
	rapid.Check(t, func(t *rapid.T) {
		var want []string
		var configs []route.Config
		open := true
		for i := range rapid.IntRange(0, 8).Draw(t, "routes") {
			c := route.Config{
				Name:   string(rune('a' + i)),
				Source: rapid.SampledFrom([]string{"*", "git{hub,ea}", "gitlab"}).Draw(t, "source"),
				Events: rapid.SampledFrom([][]string{nil, {"push"}, {"push", "pull_request"}}).Draw(t, "events"),
				Filter: rapid.SampledFrom([]string{
					"", "payload.number == 2", "payload.number == 3", "payload.number", "payload.a.b == nil",
				}).Draw(t, "filter"),
				Continue: rapid.Bool().Draw(t, "continue"),
				Handlers: []string{"h"},
			}
			alone, err := route.New([]route.Config{c})
			if err != nil {
				t.Fatal(err)
			}
			if assignments, _ := alone.Route(d); open && len(assignments) == 1 {
				want = append(want, c.Name)
				open = c.Continue
			}
			configs = append(configs, c)
		}
		routes, err := route.New(configs)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		assignments, _ := routes.Route(d)
		for _, a := range assignments {
			got = append(got, a.Route)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("assigned to %v, want %v", got, want)
		}
	})
}

func TestATableServesManyAtOnce(t *testing.T) {
	routes := table(t,
		route.Config{Filter: `any(payload.pull_request.labels, .name == "bug")`, Key: `payload.number`},
		route.Config{Key: `payload.ref`},
	)
	expected := map[string]string{"pull_request.opened": "2", "push": "refs/tags/simple-tag"}
	var all sync.WaitGroup
	for event, key := range expected {
		d := delivery(t, event)
		for range 4 {
			all.Go(func() {
				for range 5 {
					if got, errs := routes.Route(d); len(errs) > 0 || len(got) != 1 || got[0].Key != key {
						t.Errorf("%s: %v, %v; want key %q", event, got, errs, key)
					}
				}
			})
		}
	}
	all.Wait()
}

func BenchmarkRoute(b *testing.B) {
	for _, test := range []struct {
		name, event string
		config      route.Config
	}{
		{"no expression", "pull_request.opened", route.Config{Source: "git*", Events: []string{"pull_request"}}},
		{"filter on 7 KB", "push", route.Config{Filter: `payload.ref startsWith "refs/tags/"`}},
		{"filter on 27 KB", "pull_request.opened", route.Config{Filter: `any(payload.pull_request.labels, .name == "bug")`}},
		{"headers only", "pull_request.opened", route.Config{Filter: `header("x-github-event") == "pull_request"`}},
	} {
		b.Run(test.name, func(b *testing.B) {
			test.config.Name, test.config.Handlers = "r", []string{"h"}
			routes, err := route.New([]route.Config{test.config})
			if err != nil {
				b.Fatal(err)
			}
			d := delivery(b, test.event)
			b.ReportAllocs()
			for b.Loop() {
				if assignments, _ := routes.Route(d); len(assignments) != 1 {
					b.Fatal("not routed")
				}
			}
		})
	}
}
