package actors

import (
	"errors"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/hooktroupe/hooktroupe/messages"
	"github.com/hooktroupe/hooktroupe/schedule"
)

// ErrRouteGone means that a delivery is assigned to a route that there is not any more: it was assigned before Reconfigure
// and came after it. Nothing was stored; who assigned it does so again.
var ErrRouteGone = errors.New("the delivery is assigned to a route that is gone")

// terms are what the work is done by. They are immutable, and replaced as a whole: an attempt ends under those it began
// under.
type terms struct {
	config   Config
	routes   routes
	handlers Handlers
}

// newTerms returns the terms of a configuration that is valid, with its defaults filled in.
func newTerms(c Config, list []Route, fallback Handlers) (*terms, error) {
	known, err := newRoutes(list)
	if err != nil {
		return nil, err
	}
	return &terms{config: c, routes: known, handlers: fallback}, nil
}

// Reconfigure puts another configuration, other routes and other handlers in the place of those there are, as one message
// to the registry: whatever is sent to the Troupe after Reconfigure has returned meets the new ones. An error means that
// nothing has changed. Workers and AnswerTimeout stay what they were at the start.
//
// Attempts that run end under the terms they began under. Tasks that wait are worked by what their route, looked up by its
// name, has become: they keep their places in the lanes unless the route's policy changes, or it goes or comes; then the
// lane is made up again in the order of acceptance, as after a restart. What a rate has been used, what runs at a gate and
// which lanes are paused is kept by name. A task whose route is gone goes to the handler of its source and event type; it
// fails when its attempt starts and there is none.
func (t *Troupe) Reconfigure(c Config, list []Route, fallback Handlers) error {
	c.Workers, c.AnswerTimeout = t.config.Workers, t.config.AnswerTimeout
	c = c.WithDefaults()
	if err := c.Validate(); err != nil {
		return err
	}
	next, err := newTerms(c, list, fallback)
	if err != nil {
		return err
	}
	t.terms.Store(next)
	t.system.Root.Send(t.registry, next)
	return nil
}

// takeOver lets other terms hold from now on.
func (r *registry) takeOver(ctx actor.Context, next *terms) {
	r.terms = next
	displaced := r.schedule.Replace(next.routes.schedules(), schedule.Route{}, r.now())
	slots := make([]slot, len(displaced))
	for i, h := range displaced {
		slots[i] = slot(h)
	}
	r.tasks.sortBy(slots, r.tasks.order)
	for _, s := range slots {
		r.rejoin(ctx, s)
	}
	r.watchDeadlines()
	r.forgetOld(ctx)
	r.dispatch(ctx)
}

// isStale says whether a delivery is assigned to a route that is not known.
func (t *terms) isStale(d *messages.Delivery) bool {
	for _, a := range d.GetAssignments() {
		if t.routes[a.GetRoute()] == nil {
			return true
		}
	}
	return false
}
