package daemon

import (
	"time"

	"github.com/sirupsen/logrus"

	"github.com/hooktroupe/hooktroupe/config"
	"github.com/hooktroupe/hooktroupe/schedule"
	"github.com/hooktroupe/hooktroupe/schedule/breaker"
)

// closed is the state of a breaker that lets everything through.
const closed = "closed"

// configuredBreaker is the breaker of a handler or of a route, and what it was made of.
type configuredBreaker struct {
	*breaker.Breaker
	config config.Breaker
}

// breakers are those of handlers and routes, by their label: the name of a handler, or routeLabel of a route.
type breakers map[string]configuredBreaker

// routeLabel names a route among handlers: in metrics, and to people. No handler's name holds a space.
func routeLabel(name string) string { return "route " + name }

// add makes the breaker that c describes, and returns nil where it describes none. A breaker goes on with its label; one
// with other settings than before begins closed, unless the one before was not.
func (d *daemon) add(to, before breakers, label string, c config.Breaker, log *logrus.Entry) schedule.Breaker {
	if c.Failures == 0 {
		return nil
	}
	there, was := before[label]
	if was && there.config == c {
		to[label] = there
		return there
	}
	gauge := d.metrics.Tasks.BreakerOpen.With(label)
	gauge.Set(0)
	made := breaker.New(breaker.Config{
		Failures: c.Failures, OpenFor: time.Duration(c.OpenFor),
		Changed: func(state string) {
			gauge.Set(map[string]float64{"open": 1, "half-open": 0.5}[state])
			log.WithField("state", state).Warn("a breaker changed")
		},
	})
	if was && there.State() != closed {
		made.Trip()
	}
	to[label] = configuredBreaker{Breaker: made, config: c}
	return made
}
