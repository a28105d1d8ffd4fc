package daemon

import (
	"slices"
	"testing"

	"github.com/hooktroupe/hooktroupe/config"
	"github.com/hooktroupe/hooktroupe/http/status"
)

func TestAssignmentsOfRoutesAndHandlers(t *testing.T) {
	r := &routing{shown: []status.Route{
		{Name: "one", Handlers: []string{"log"}}, {Name: "many", Handlers: []string{"log", "sync"}},
	}}
	for _, c := range []struct {
		route, handler string
		names          []string
		narrowed       bool
	}{
		{"", "", []string{"one", "many/log", "many/sync"}, false},
		{"one", "", []string{"one"}, false},
		{"many", "", []string{"many/log", "many/sync"}, true},
		{"many/log", "", []string{"many/log"}, false},
		{"gone", "", nil, false},
		{"", "log", []string{"one", "many/log"}, true},
		{"many", "sync", []string{"many/sync"}, true},
		{"one", "sync", nil, true},
		{"", "gone", nil, true},
	} {
		names, narrowed := r.assignments(c.route, c.handler)
		if narrowed != c.narrowed || !slices.Equal(names, c.names) {
			t.Errorf("%q to %q: %q, %t", c.route, c.handler, names, narrowed)
		}
	}
}

func TestTargetsTellNoSecrets(t *testing.T) {
	for want, h := range map[string]config.Handler{
		"https://bot.example:8443/hook": {Type: "forward", URL: "https://me:secret@bot.example:8443/hook?token=secret#secret"},
		"/usr/bin/review":               {Type: "exec", Command: []string{"/usr/bin/review", "--token", "secret"}},
		"reviews":                       {Type: "remote", Kind: "reviews"},
		"":                              {Type: "log"},
	} {
		if got := target(h); got != want {
			t.Errorf("%+v leads to %q, want %q", h, got, want)
		}
	}
}
