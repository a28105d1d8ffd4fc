package daemon

import (
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/hooktroupe/hooktroupe/config"
	"github.com/hooktroupe/hooktroupe/internal/clock"
	"github.com/hooktroupe/hooktroupe/metrics"
	"github.com/hooktroupe/hooktroupe/schedule"
)

// switchboard schedules tasks of the routes that a configuration describes.
type switchboard struct {
	*daemon
	t       *testing.T
	routing *routing
	s       *schedule.Scheduler
	waiting uint32
}

// twoRoutes are a and b, both to the same handlers.
func twoRoutes(a config.Breaker, handlers ...string) *config.Config {
	c := config.Default()
	c.Handlers = map[string]config.Handler{}
	for _, name := range handlers {
		c.Handlers[name] = config.Handler{Type: "log"}
	}
	c.Routes = []config.Route{
		{Name: "a", Source: "s", Events: []string{"a"}, Handlers: handlers, Breaker: a},
		{Name: "b", Source: "s", Events: []string{"b"}, Handlers: handlers},
	}
	return c
}

func newSwitchboard(t *testing.T, c *config.Config) *switchboard {
	log := logrus.New()
	log.SetOutput(io.Discard)
	b := &switchboard{daemon: &daemon{clock: clock.Real{}, log: log, metrics: metrics.New()}, t: t}
	b.s = schedule.New(nil, schedule.Route{Name: "unknown"})
	b.configure(c)
	return b
}

// configure puts a configuration in the place of the one before.
func (b *switchboard) configure(c *config.Config) {
	b.t.Helper()
	b.config = c
	next, err := b.daemon.routing(b.routing)
	if err != nil {
		b.t.Fatal(err)
	}
	b.routing = next
	routes := make([]schedule.Route, len(next.routes))
	for i, r := range next.routes {
		routes[i] = r.Route
	}
	b.s.Replace(routes, schedule.Route{Name: "unknown"}, time.Now().UnixNano())
}

// start brings a task to a route and starts it; it leaves again where it may not start.
func (b *switchboard) start(route string) (*schedule.Run, bool) {
	b.waiting++
	b.s.Add(b.waiting, schedule.Lane{ID: b.waiting, Route: route}, schedule.Arrival{At: time.Now().UnixNano()})
	_, run, started := b.s.Next(time.Now().UnixNano())
	if !started {
		b.s.Remove(b.waiting)
	}
	return run, started
}

// work has a task of a route end in a verdict; it must be able to start.
func (b *switchboard) work(route string, v schedule.Verdict) {
	b.t.Helper()
	run, started := b.start(route)
	if !started {
		b.t.Fatalf("route %s starts nothing", route)
	}
	b.s.Ended(run, v)
}

// blocked fails the test if a task of a route starts.
func (b *switchboard) blocked(route string) {
	b.t.Helper()
	if run, started := b.start(route); started {
		b.s.Ended(run, schedule.Neutral)
		b.t.Fatalf("route %s starts a task", route)
	}
}

// state fails the test unless the breaker of a is in that state.
func (b *switchboard) state(want string) {
	b.t.Helper()
	if state := b.routing.breakers["route a"].State(); state != want {
		b.t.Errorf("the breaker of a is %s, want %s", state, want)
	}
}

func TestABreakerOfARouteLeavesOtherRoutesAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newSwitchboard(t, twoRoutes(config.Breaker{Failures: 3, OpenFor: config.Duration(time.Minute)}, "l"))
		for range 3 {
			b.work("a", schedule.Unhealthy)
			b.work("b", schedule.Healthy) // which tells nothing of a
		}
		b.blocked("a")
		b.state("open")
		b.work("b", schedule.Unhealthy)
		b.work("b", schedule.Healthy)
		time.Sleep(time.Minute + 1)
		probe, started := b.start("a")
		if !started {
			t.Fatal("no probe")
		}
		b.blocked("a")
		b.work("b", schedule.Healthy)
		b.s.Ended(probe, schedule.Unhealthy)
		b.blocked("a")
		time.Sleep(time.Minute + 1)
		b.work("a", schedule.Healthy)
		b.state("closed")
		b.work("a", schedule.Unhealthy)
		b.work("a", schedule.Healthy)
	})
}

func TestABreakerOfARouteIsSharedByItsHandlers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newSwitchboard(t, twoRoutes(config.Breaker{Failures: 2, OpenFor: config.Duration(time.Minute)}, "l", "m"))
		b.work("a/l", schedule.Unhealthy)
		b.work("a/m", schedule.Unhealthy)
		b.blocked("a/l")
		b.blocked("a/m")
		b.work("b/l", schedule.Healthy)
		b.work("b/m", schedule.Healthy)
	})
}

func TestABreakerOfARouteOutlivesAReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		minute := config.Breaker{Failures: 2, OpenFor: config.Duration(time.Minute)}
		b := newSwitchboard(t, twoRoutes(minute, "l"))
		b.work("a", schedule.Unhealthy)
		b.configure(twoRoutes(minute, "m")) // what has failed counts on, whatever the handler
		b.work("a", schedule.Unhealthy)
		b.blocked("a")
		b.configure(twoRoutes(minute, "m", "l"))
		b.blocked("a/m")
		time.Sleep(time.Minute / 2)
		b.configure(twoRoutes(config.Breaker{Failures: 5, OpenFor: config.Duration(time.Hour)}, "l"))
		b.blocked("a")
		time.Sleep(time.Minute)
		b.blocked("a") // it opened anew, under other settings
		b.configure(twoRoutes(config.Breaker{}, "l"))
		b.work("a", schedule.Unhealthy)
		if len(b.routing.breakers) != 0 {
			t.Errorf("%d breakers without one configured", len(b.routing.breakers))
		}
		b.configure(twoRoutes(minute, "l"))
		b.state("closed")
		b.work("a", schedule.Unhealthy)
		b.work("a", schedule.Unhealthy)
		b.blocked("a")
	})
}
