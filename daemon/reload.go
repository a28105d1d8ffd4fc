package daemon

import (
	"errors"
	"fmt"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/hooktroupe/hooktroupe/config"
	hthttp "github.com/hooktroupe/hooktroupe/http"
	"github.com/hooktroupe/hooktroupe/http/ingress"
)

// Reload is a configuration that was read while the daemon runs, or why it could not be.
type Reload struct {
	Config *config.Config
	// Warnings are for the log.
	Warnings config.Problems
	// Err says why there is none; a config.Problems names each fault.
	Err error
}

// successor is a configuration of which everything is built and checked, so that nothing can fail any more.
type successor struct {
	*daemon
	entries []ingress.Entry
	table   *ingress.Table
	http    hthttp.Config
	routing *routing
	level   logrus.Level
}

// reload takes over a configuration, the whole of it or nothing, and says what came of it: in the log, in metrics and in
// the details of /readyz.
func (d *daemon) reload(r Reload) {
	for _, warning := range r.Warnings {
		d.log.Warn(warning.String())
	}
	next, err := (*successor)(nil), r.Err
	if err == nil {
		next, err = d.prepare(r.Config)
	}
	now, m := d.clock.Now(), &d.metrics.Config
	if err != nil {
		d.fail(now, err)
		return
	}
	if err := d.takeOver(next); err != nil {
		d.fail(now, err)
		return
	}
	m.LastReloadSuccessful.Set(1)
	m.LastReloadSuccess.Set(float64(now.Unix()))
	m.RestartNeeded.Set(float64(len(next.pinned)))
	d.readiness.configured(map[string]any{
		"last_reload": "successful", "at": now.UTC().Format(time.RFC3339), "restart_needed": next.pinned,
	})
	if len(next.pinned) > 0 {
		d.log.WithField("keys", next.pinned).Warn("keys differ that hold from the next start on; they are left as they were")
	}
	d.log.WithFields(logrus.Fields{
		"sources": len(next.entries), "handlers": len(next.routing.built), "routes": len(next.config.Routes),
	}).Info("configuration reloaded")
	m.Reloads.With("success").Inc() // last: who sees it finds the rest
}

// fail says that the configuration before holds, and why.
func (d *daemon) fail(now time.Time, err error) {
	d.metrics.Config.LastReloadSuccessful.Set(0)
	d.readiness.configured(map[string]any{
		"last_reload": "failed", "at": now.UTC().Format(time.RFC3339), "problem": explain(err),
		"restart_needed": append([]string{}, d.pinned...),
	})
	d.log.WithError(err).Error("the configuration was not reloaded; the one before holds")
	d.metrics.Config.Reloads.With("failure").Inc() // last: who sees it finds the rest
}

// explain says for everybody's eyes why a configuration does not hold: nothing of the file.
func explain(err error) string {
	if problems := (config.Problems)(nil); errors.As(err, &problems) {
		return fmt.Sprintf("the configuration is invalid: %d problems, which the log names", len(problems))
	}
	return "the configuration cannot be taken over; the log says why"
}

// prepare builds everything anew that a configuration describes, beside what runs and without touching it. What needs a
// restart stays as it is.
func (d *daemon) prepare(cfg *config.Config) (*successor, error) {
	effective, pinned := config.Pin(d.config, cfg)
	if pinned == nil {
		pinned = []string{}
	}
	next := &successor{daemon: &daemon{
		config: effective, options: d.options, clock: d.clock, log: d.log, metrics: d.metrics, hub: d.hub, pinned: pinned,
	}}
	if effective.Remote.Listen == "" && len(next.kinds()) > 0 {
		return nil, errors.New("handlers of type remote need remote.listen, which holds from the next start on")
	}
	next.http = next.httpConfig()
	if err := errors.Join(next.http.Validate(), next.actorsConfig().WithDefaults().Validate()); err != nil {
		return nil, err
	}
	var err error
	if next.level, err = logrus.ParseLevel(effective.Level()); err != nil {
		return nil, err
	}
	if next.entries, err = next.sources(); err != nil {
		return nil, err
	}
	if next.table, err = ingress.NewTable(next.http.Ingress(), next.entries); err != nil {
		return nil, err
	}
	if next.routing, err = next.daemon.routing(d.gate.routing.Load()); err != nil {
		return nil, err
	}
	if d.hub == nil && next.hub != nil {
		if err := next.startHub(); err != nil {
			return nil, errors.Join(fmt.Errorf("remote: %w", err), next.cleanup.run(d.log))
		}
	}
	return next, nil
}

// takeOver puts a successor in the place of what runs. The registry hears of the routes before the first delivery can be
// assigned to them, and refuses those that were assigned to routes that are gone, which are then assigned anew. A request
// that has begun is judged by the sources, and routed by the routes, that it began under.
func (d *daemon) takeOver(next *successor) error {
	before := d.gate.routing.Load()
	d.board.Watch(next.watched(next.entries))
	d.gate.replacing.Lock()
	err := d.troupe.Reconfigure(next.actorsConfig(), next.routing.routes, next.routing)
	if err == nil {
		d.gate.routing.Store(next.routing)
	}
	d.gate.replacing.Unlock()
	if err != nil {
		return err
	}
	d.ingress.Replace(next.http.Ingress(), next.table, next.routing.assign)
	if d.hub == nil && next.hub != nil {
		d.hub = next.hub
		d.cleanup.pushBelow("actors", "remote handlers", func() error { next.hub.Stop(); return nil })
	}
	if d.hub != nil {
		d.hub.Allow(next.kinds())
	}
	d.log.SetLevel(next.level)
	for label := range before.breakers {
		if _, still := next.routing.breakers[label]; !still {
			d.metrics.Tasks.BreakerOpen.Forget(label)
		}
	}
	before.close(next.routing)
	d.config, d.pinned = next.config, next.pinned
	d.inForce.Store(next.config)
	return d.server.SetAccess(next.http)
}
