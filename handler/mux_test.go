package handler_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/hooktroupe/hooktroupe/handler"
)

// nothing is a handler for tests that never call it.
type nothing struct{}

func (nothing) Handle(context.Context, *handler.Task) ([]byte, error) { return nil, nil }

func named(name string) handler.Binding { return handler.Binding{Name: name, Handler: nothing{}} }

func TestLookup(t *testing.T) {
	mux := handler.NewMux()
	for _, b := range [][2]string{
		{"github", "pull_request.opened"}, {"github", "pull_request"}, {"github", "a.b"}, {"github", "*"},
		{"gitlab", "push"}, {"*", "*"}, {"*", "release"},
	} {
		if err := mux.Register(b[0], b[1], named(b[0]+" "+b[1])); err != nil {
			t.Fatal(err)
		}
	}
	for name, test := range map[string]struct{ source, event, want string }{
		"exact":                        {"github", "pull_request.opened", "github pull_request.opened"},
		"without its action":           {"github", "pull_request.closed", "github pull_request"},
		"exact, no action":             {"github", "pull_request", "github pull_request"},
		"the last full stop counts":    {"github", "a.b.c", "github a.b"},
		"only one action is taken off": {"github", "pull_request.closed.twice", "github *"},
		"any event of the source":      {"github", "push", "github *"},
		"nothing before the stop":      {"github", ".opened", "github *"},
		"stop at the end":              {"github", "pull_request.", "github pull_request"},
		"no event type":                {"github", "", "github *"},
		"other source":                 {"gitlab", "push", "gitlab push"},
		"neither source nor event":     {"gitlab", "note", "* *"},
		"an event of any source":       {"gitea", "release", "* *"},
		"case counts":                  {"GitHub", "push", "* *"},
		"another source's action":      {"gitlab", "pull_request.opened", "* *"},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := mux.Lookup(test.source, test.event)
			if !ok || got.Name != test.want {
				t.Errorf("Lookup(%q, %q): %q, %t; want %q", test.source, test.event, got.Name, ok, test.want)
			}
		})
	}
}

func TestLookupInAnEmptyMux(t *testing.T) {
	if b, ok := handler.NewMux().Lookup("github", "push"); ok {
		t.Errorf("found %q", b.Name)
	}
}

func TestLookupReturnsTheWholeBinding(t *testing.T) {
	mux := handler.NewMux()
	want := handler.Binding{Name: "deploy", Handler: nothing{}, Timeout: time.Minute, MaxAttempts: 7}
	if err := mux.Register("github", "push", want); err != nil {
		t.Fatal(err)
	}
	if got, _ := mux.Lookup("github", "push"); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestRegisterRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		source, event string
		binding       handler.Binding
		want          string // in the error, for who reads it must find the line
	}{
		"no source":         {"", "push", named("deploy"), "deploy"},
		"no event type":     {"github", "", named("deploy"), "deploy"},
		"no name":           {"github", "push", handler.Binding{Handler: nothing{}}, "(github, push)"},
		"no handler":        {"github", "push", handler.Binding{Name: "deploy"}, "(github, push)"},
		"negative timeout":  {"github", "push", handler.Binding{Name: "deploy", Handler: nothing{}, Timeout: -1}, "deploy"},
		"negative attempts": {"github", "push", handler.Binding{Name: "deploy", Handler: nothing{}, MaxAttempts: -1}, "deploy"},
		"taken":             {"github", "taken", named("deploy"), "first"},
		"taken, any":        {"*", "*", named("deploy"), "first"},
	} {
		t.Run(name, func(t *testing.T) {
			mux := handler.NewMux()
			for _, taken := range [][2]string{{"github", "taken"}, {"*", "*"}} {
				if err := mux.Register(taken[0], taken[1], named("first")); err != nil {
					t.Fatal(err)
				}
			}
			err := mux.Register(test.source, test.event, test.binding)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one that mentions %q", err, test.want)
			}
			if b, _ := mux.Lookup("github", "taken"); b.Name != "first" {
				t.Errorf("a refused binding took the place of another: %q", b.Name)
			}
		})
	}
}

// The look-up against its definition: the best of all bindings that match, by a rank for each way to match.
func TestLookupFindsTheBestMatch(t *testing.T) {
	sources := rapid.SampledFrom([]string{"a", "b", "c", "*"})
	events := rapid.SampledFrom([]string{"x", "x.y", "x.y.z", "x.z", "w", ".", ".x", "x.", "*"})
	rapid.Check(t, func(rt *rapid.T) {
		mux := handler.NewMux()
		var bound [][2]string
		for range rapid.IntRange(0, 12).Draw(rt, "bindings") {
			pair := [2]string{sources.Draw(rt, "source"), events.Draw(rt, "event")}
			if mux.Register(pair[0], pair[1], named(pair[0]+" "+pair[1])) == nil {
				bound = append(bound, pair)
			}
		}
		source, event := sources.Draw(rt, "of"), events.Draw(rt, "type")
		want, best := "", 0
		for _, pair := range bound {
			if rank := rankOf(pair, source, event); rank > best {
				want, best = pair[0]+" "+pair[1], rank
			}
		}
		got, ok := mux.Lookup(source, event)
		if ok != (best > 0) || got.Name != want {
			rt.Errorf("Lookup(%q, %q) among %q: %q, %t; want %q", source, event, bound, got.Name, ok, want)
		}
	})
}

// rankOf says how well a pair matches: zero for not at all.
func rankOf(pair [2]string, source, event string) int {
	parts := strings.Split(event, ".")
	withoutAction := strings.Join(parts[:len(parts)-1], ".")
	switch {
	case pair == [2]string{source, event}:
		return 4
	case pair[0] == source && pair[1] == withoutAction && withoutAction != "":
		return 3
	case pair == [2]string{source, handler.Any}:
		return 2
	case pair == [2]string{handler.Any, handler.Any}:
		return 1
	}
	return 0
}
