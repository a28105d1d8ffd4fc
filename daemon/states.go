package daemon

import (
	"context"
	"net/url"
	"slices"

	"github.com/hooktroupe/hooktroupe/config"
	"github.com/hooktroupe/hooktroupe/http/status"
	"github.com/hooktroupe/hooktroupe/route"
	"github.com/hooktroupe/hooktroupe/schedule"
)

// assignments lists those of a route, to a handler, or both: a route to several handlers has one for each, and each has a name
// of its own. Either may be empty. narrowed is false where the route's name says it all: it has one, or is not configured, as
// that of tasks that came before a change.
func (r *routing) assignments(name, handler string) (names []string, narrowed bool) {
	for _, shown := range r.Routes() {
		for _, to := range shown.Handlers {
			made := route.Name(shown.Name, to, len(shown.Handlers))
			if (name == "" || name == shown.Name || name == made) && (handler == "" || handler == to) {
				names = append(names, made)
			}
		}
	}
	return names, handler != "" || name != "" && len(names) > 1
}

// Routes is status.Routes: the configured routes, and how they stand.
func (g *gate) Routes(ctx context.Context) ([]status.Route, error) {
	states, err := g.states(ctx)
	if err != nil {
		return nil, err
	}
	shown := slices.Clone(g.routing.Load().Routes())
	for i := range shown {
		r := &shown[i]
		for _, handler := range r.Handlers {
			state := states[route.Name(r.Name, handler, len(r.Handlers))]
			r.Waiting += state.Waiting
			r.Running += state.Running
			if why := blocked(state.Gates); why != "" && r.Blocked == nil {
				r.Blocked = &why
			}
		}
	}
	return shown, nil
}

// Handlers is status.Routes: the configured handlers, and how they stand.
func (g *gate) Handlers(ctx context.Context) ([]status.HandlerState, error) {
	states, err := g.states(ctx)
	if err != nil {
		return nil, err
	}
	routing := g.routing.Load()
	shown := routing.Handlers()
	for i := range shown {
		h := &shown[i]
		h.Routes = []string{}
		for _, r := range routing.Routes() {
			if !slices.Contains(r.Handlers, h.Name) {
				continue
			}
			h.Routes = append(h.Routes, r.Name)
			state := states[route.Name(r.Name, h.Name, len(r.Handlers))]
			h.Waiting += state.Waiting
			h.Running += state.Running
			for _, gate := range state.Gates {
				if gate.Name == "handler "+h.Name && gate.Why != "" {
					h.Blocked = &gate.Why
				}
			}
		}
	}
	return shown, nil
}

// states are how the routes stand, by name.
func (g *gate) states(ctx context.Context) (map[string]schedule.RouteState, error) {
	t := g.troupe.Load()
	if t == nil {
		return nil, errStarting
	}
	list, err := t.RouteStates(ctx)
	if err != nil {
		return nil, err
	}
	states := make(map[string]schedule.RouteState, len(list))
	for _, state := range list {
		states[state.Name] = state
	}
	return states, nil
}

// blocked says which gate keeps a route from starting a task, and why; empty if none does.
func blocked(gates []schedule.GateState) string {
	for _, gate := range gates {
		if gate.Why != "" {
			return gate.Name + ": " + gate.Why
		}
	}
	return ""
}

// target says where a handler leads, in a few words and without what may be secret: of a URL neither who asks nor the query,
// of a command only the program.
func target(h config.Handler) string {
	switch {
	case h.URL != "":
		u, err := url.Parse(h.URL)
		if err != nil {
			return ""
		}
		shown := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}
		return shown.String()
	case len(h.Command) > 0:
		return h.Command[0]
	default:
		return h.Kind
	}
}
