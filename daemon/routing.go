package daemon

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/time/rate"

	"github.com/hooktroupe/hooktroupe/actors"
	"github.com/hooktroupe/hooktroupe/config"
	"github.com/hooktroupe/hooktroupe/handler"
	"github.com/hooktroupe/hooktroupe/http/status"
	"github.com/hooktroupe/hooktroupe/internal/logfield"
	"github.com/hooktroupe/hooktroupe/messages"
	"github.com/hooktroupe/hooktroupe/metrics"
	"github.com/hooktroupe/hooktroupe/route"
	"github.com/hooktroupe/hooktroupe/schedule"
	"github.com/hooktroupe/hooktroupe/schedule/breaker"
)

// routing says who works a delivery: the handlers that an embedding program has bound, and for the rest the configured
// routes. It is read-only and safe for concurrent use.
type routing struct {
	table    *route.Table
	routes   []actors.Route
	bindings map[string]handler.Binding // by the name of the assignment
	embedded *handler.Mux
	shown    []status.Route
	handlers []shownHandler
	built    map[string]*builtHandler // by name
	breakers breakers
	metrics  *metrics.Set
	log      *logrus.Logger
	warn     *rate.Sometimes
}

// builtHandler is a configured handler, ready for work.
type builtHandler struct {
	handler.Handler
	config  config.Handler
	timeout config.Duration // of all handlers that have none of their own
	close   func()
}

// build returns the handler of that name: the one before, where nothing about it has changed, for it holds connections.
func (d *daemon) build(name string, before *routing) (*builtHandler, error) {
	c := d.config.Handlers[name]
	if before != nil {
		there := before.built[name]
		files := c.CA != "" || c.Cert != "" || c.Key != "" // may hold something else by now
		if there != nil && !files && there.timeout == d.config.Tasks.Timeout && reflect.DeepEqual(there.config, c) {
			return there, nil
		}
	}
	made, closes, err := d.handler(c)
	if err != nil {
		return nil, fmt.Errorf("handlers.%s: %w", name, err)
	}
	return &builtHandler{Handler: made, config: c, timeout: d.config.Tasks.Timeout, close: closes}, nil
}

// close gives back what handlers hold that are not in use any more; nil for all. Attempts that run are not disturbed.
func (r *routing) close(next *routing) {
	for name, b := range r.built {
		if next == nil || next.built[name] == nil || next.built[name].Handler != b.Handler {
			b.close()
		}
	}
}

// routing builds every configured handler and route. Of the routing before, if there is one, it keeps the handlers that
// have not changed and the breakers. Nothing before is touched, unless the error is nil.
func (d *daemon) routing(before *routing) (*routing, error) {
	r := &routing{
		bindings: make(map[string]handler.Binding), built: make(map[string]*builtHandler), breakers: make(breakers),
		embedded: handler.NewMux(), metrics: d.metrics, log: d.log, warn: &rate.Sometimes{First: 1, Interval: time.Second},
	}
	if err := r.compile(d.config.Routes); err != nil {
		return nil, err
	}
	for _, b := range d.options.Bindings {
		if err := r.embedded.Register(b.Source, b.EventType, b.Binding); err != nil {
			return nil, err
		}
	}
	names := slices.Sorted(maps.Keys(d.config.Handlers))
	for _, name := range names {
		built, err := d.build(name, before)
		if err != nil {
			r.close(cmp.Or(before, &routing{}))
			return nil, err
		}
		r.built[name] = built
	}
	var there breakers
	if before != nil {
		there = before.breakers
	}
	gates := make(map[string]*schedule.Gate)
	for _, name := range names {
		gates[name] = d.handlerGate(name, r.breakers, there)
		r.handlers = append(r.handlers, d.shown(name, r.breakers))
	}
	r.shown = []status.Route{}
	for _, c := range d.config.Routes {
		r.shown = append(r.shown, status.Route{
			Name: c.Name, Source: c.Source, Events: c.Events, Filter: c.Filter, Key: c.Key, Continue: c.Continue,
			Policy: cmp.Or(c.Policy, schedule.Parallel.String()), Handlers: c.Handlers,
		})
		gate := d.routeGate(c, r.breakers, there)
		for _, name := range c.Handlers {
			made, err := d.route(c, name, r.built[name].Handler, gate, gates[name])
			if err != nil {
				return nil, fmt.Errorf("routes: %s: %w", c.Name, err)
			}
			r.routes = append(r.routes, made)
			r.bindings[made.Name] = made.Binding
		}
	}
	return r, nil
}

// shown is a handler as the API shows it.
func (d *daemon) shown(name string, of breakers) shownHandler {
	c, at := d.config.Handlers[name], d.hub
	shown := shownHandler{
		HandlerState: status.HandlerState{Name: name, Type: c.Type, Target: target(c), Concurrency: c.Concurrency, Rate: c.Rate},
		breaker:      of[name].Breaker,
	}
	if c.Type == "remote" {
		shown.members = func() []status.Member { return members(at, c.Kind) }
	}
	return shown
}

// shownHandler is a handler as the API shows it, with its breaker, if it has one.
type shownHandler struct {
	status.HandlerState
	breaker *breaker.Breaker
	members func() []status.Member // nil unless it is remote
}

// Routes are the configured ones, in their order.
func (r *routing) Routes() []status.Route { return r.shown }

// Handlers are the configured ones, by name.
func (r *routing) Handlers() []status.HandlerState {
	all := make([]status.HandlerState, len(r.handlers))
	for i, h := range r.handlers {
		all[i] = h.HandlerState
		if h.breaker != nil {
			state := h.breaker.State()
			all[i].Breaker = &state
		}
		all[i].Members = []status.Member{}
		if h.members != nil {
			all[i].Members = append(all[i].Members, h.members()...)
		}
	}
	return all
}

// Routes compiles the routes of a configuration.
func Routes(cfg *config.Config) (*route.Table, error) {
	r := &routing{}
	err := r.compile(cfg.Routes)
	return r.table, err
}

// compile makes the table.
func (r *routing) compile(routes []config.Route) (err error) {
	configs := make([]route.Config, len(routes))
	for i, c := range routes {
		configs[i] = route.Config{
			Name: c.Name, Source: c.Source, Events: c.Events, Filter: c.Filter, Key: c.Key, Continue: c.Continue,
			Handlers: c.Handlers,
		}
	}
	r.table, err = route.New(configs)
	return err
}

// route is one route to one of its handlers.
func (d *daemon) route(
	c config.Route, name string, h handler.Handler, gates ...*schedule.Gate,
) (actors.Route, error) {
	policy, err := schedule.ParsePolicy(c.Policy)
	if err != nil {
		return actors.Route{}, err
	}
	timeout := c.Timeout
	if timeout == 0 {
		timeout = d.config.Handlers[name].Timeout
	}
	return actors.Route{
		Route: schedule.Route{
			Name: route.Name(c.Name, name, len(c.Handlers)), Policy: policy,
			Quiet: time.Duration(c.Quiet), MaxWait: time.Duration(c.MaxWait), Gates: gates,
		},
		Binding: handler.Binding{
			Name: name, Handler: h, Timeout: time.Duration(timeout), MaxAttempts: c.MaxAttempts,
		},
		BackoffBase: time.Duration(c.BackoffBase), BackoffCap: time.Duration(c.BackoffCap),
		MaxElapsed: time.Duration(c.MaxElapsed), Deadline: time.Duration(c.Deadline),
	}, nil
}

// handlerGate limits the attempts of a handler, of all routes. Where nothing is configured and there are other handlers,
// one worker is left for them, so that a handler that hangs does not hold up the rest.
func (d *daemon) handlerGate(name string, to, before breakers) *schedule.Gate {
	h := d.config.Handlers[name]
	limits := schedule.Limits{Concurrency: h.Concurrency, Rate: h.Rate, Burst: h.Burst}
	if limits.Concurrency == 0 && len(d.config.Handlers) > 1 {
		limits.Concurrency = max(1, d.config.NumWorkers-1)
	}
	limits.Breaker = d.add(to, before, name, h.Breaker, d.log.WithField(logfield.Handler, name))
	return schedule.NewGate("handler "+name, limits)
}

// routeGate limits the attempts of a route, to all of its handlers. Its breaker counts what happens on the route alone, so
// that other routes to the same handler go on.
func (d *daemon) routeGate(c config.Route, to, before breakers) *schedule.Gate {
	limits := schedule.Limits{Concurrency: c.Concurrency, Rate: c.Rate, Burst: c.Burst}
	limits.Breaker = d.add(to, before, routeLabel(c.Name), c.Breaker, d.log.WithField(logfield.Route, c.Name))
	return schedule.NewGate(routeLabel(c.Name), limits)
}

// handlerActors are those of the embedding program's handlers that are actors.
func (d *daemon) handlerActors() []actors.HandlerActor {
	var found []actors.HandlerActor
	for _, b := range d.options.Bindings {
		if a, is := b.Handler.(actors.HandlerActor); is && !slices.Contains(found, a) {
			found = append(found, a)
		}
	}
	return found
}

// assign is ingress.Router.
func (r *routing) assign(d *messages.Delivery) bool {
	if _, bound := r.embedded.Lookup(d.GetSource(), d.GetEventType()); bound {
		return true
	}
	assignments, errs := r.table.Route(describe(d))
	for _, err := range errs {
		r.failed(d, err)
	}
	for _, a := range assignments {
		d.Assignments = append(d.Assignments, &messages.Assignment{Route: a.Name, Key: a.Key})
	}
	return len(assignments) > 0
}

// describe is a delivery as routes see it.
func describe(d *messages.Delivery) *route.Delivery {
	facts := &route.Delivery{
		Source: d.GetSource(), EventType: d.GetEventType(), DeliveryID: d.GetDeliveryId(), Key: d.GetKey(), Body: d.GetBody(),
		ReceivedAt: time.Unix(0, d.GetReceivedAt()), Headers: make([]route.Header, len(d.GetHeaders())),
	}
	for i, h := range d.GetHeaders() {
		facts.Headers[i] = route.Header{Name: h.GetName(), Value: h.GetValue()}
	}
	return facts
}

// failed counts an expression that failed, and logs one a second.
func (r *routing) failed(d *messages.Delivery, err error) {
	var failed *route.Error
	if errors.As(err, &failed) {
		r.metrics.Ingress.RouteErrors.With(failed.Route).Inc()
	}
	r.warn.Do(func() {
		r.log.WithFields(logrus.Fields{
			logfield.Source: d.GetSource(), logfield.Error: err.Error(),
		}).Warn("an expression failed on a delivery, so its route does not match")
	})
}

// Lookup is actors.Handlers: it finds the handler of a task that has no route, or whose route is gone.
func (r *routing) Lookup(source, eventType string) (handler.Binding, bool) {
	if b, bound := r.embedded.Lookup(source, eventType); bound {
		return b, true
	}
	name, ok := r.table.Fallback(source, eventType)
	return r.bindings[name], ok
}
