// Package daemon is the composition root: it builds everything from the configuration, starts it in order, and stops it
// in reverse. Nothing else knows how the parts fit together, and it does no work of its own.
//
// The order of a start: listeners, so that probes are answered from the first moment; the journal and its lock; recovery;
// the troupe; and only then readiness. The order of a stop: readiness off, listeners closed once the requests in flight
// are answered, running attempts waited for, a snapshot, the troupe, the journal. A failed start unwinds what was started
// in the same way.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/hooktroupe/hooktroupe/actors"
	"github.com/hooktroupe/hooktroupe/config"
	"github.com/hooktroupe/hooktroupe/handler"
	"github.com/hooktroupe/hooktroupe/handler/remote/hub"
	hthttp "github.com/hooktroupe/hooktroupe/http"
	"github.com/hooktroupe/hooktroupe/http/audit"
	"github.com/hooktroupe/hooktroupe/http/dashboard"
	"github.com/hooktroupe/hooktroupe/http/history"
	"github.com/hooktroupe/hooktroupe/http/ingress"
	"github.com/hooktroupe/hooktroupe/http/ingress/health"
	"github.com/hooktroupe/hooktroupe/http/status"
	"github.com/hooktroupe/hooktroupe/http/stream"
	"github.com/hooktroupe/hooktroupe/internal/clock"
	"github.com/hooktroupe/hooktroupe/internal/heap"
	"github.com/hooktroupe/hooktroupe/internal/logfield"
	"github.com/hooktroupe/hooktroupe/internal/logging"
	"github.com/hooktroupe/hooktroupe/internal/tracing"
	"github.com/hooktroupe/hooktroupe/journal"
	"github.com/hooktroupe/hooktroupe/metrics"
)

// Options are what the caller passes in beside the configuration.
type Options struct {
	// Logger gets everything; required.
	Logger *logrus.Logger
	// Version and Revision name the build.
	Version, Revision string
	// Bindings are handlers of an embedding program, beside those of the configuration.
	Bindings []Binding
	// Reload brings configurations that are to be taken over while the daemon runs; nil for none.
	Reload <-chan Reload
	// Ready is called once, when the first delivery may come; nil for nobody.
	Ready func(Info)
	// Progress is called now and then while the state is recovered; nil for nobody.
	Progress func(Recovery)
}

// Binding is a handler of an embedding program, with the source and the event type that it is for; either may be
// handler.Any.
type Binding struct {
	Source, EventType string
	handler.Binding
}

// Info is what a caller may tell the user.
type Info struct {
	// URL is where deliveries go, AdminURL where the status API is; the same unless http.admin_listen is set.
	URL, AdminURL string
	// DataDir is where the journal lies; empty when nothing is kept.
	DataDir string
	// Tasks is how many were recovered, Waiting how many of them are not final.
	Tasks, Waiting int
}

// Run runs a daemon until ctx ends, and then drains it. A nil error means a clean stop: everything is on disk. Any other
// means that the process must exit non-zero; what was confirmed is on disk all the same.
func Run(ctx context.Context, cfg *config.Config, opts Options) error {
	d := &daemon{
		config: cfg, options: opts, clock: clock.Real{}, log: opts.Logger, metrics: metrics.New(),
		readiness: newReadiness(),
	}
	d.metrics.SetBuild(opts.Version, opts.Revision)
	d.metrics.Config.LastReloadSuccess.Set(float64(d.clock.Now().Unix()))
	err := d.start(ctx)
	if err == nil {
		err = d.wait(ctx)
	}
	return errors.Join(err, d.cleanup.run(d.log))
}

// daemon is what one Run has built so far.
type daemon struct {
	config    *config.Config                // for the goroutine that starts, reloads and stops
	inForce   atomic.Pointer[config.Config] // the same for all others
	options   Options
	clock     clock.Clock
	log       *logrus.Logger
	metrics   *metrics.Set
	readiness *readiness
	gate      *gate
	front     *front          // of a cluster's member; nil for one machine
	tracer    *tracing.Tracer // nil where nothing is traced
	changes   *stream.Feed
	ingress   *ingress.Ingress
	board     *health.Board
	server    *hthttp.Server
	troupe    *actors.Troupe
	journal   atomic.Pointer[journal.Journal] // nil until it is open
	hub       *hub.Hub                        // of remote handlers; nil without any
	pinned    []string                        // keys of the last configuration that hold from the next start on
	cleanup   cleanup
}

func (d *daemon) start(ctx context.Context) error {
	d.inForce.Store(d.config)
	if err := d.trace(ctx); err != nil {
		return err
	}
	routing, err := d.routing(nil)
	if err != nil {
		return err
	}
	d.gate, d.changes = &gate{}, stream.New(0, d.clock.Now())
	d.gate.routing.Store(routing)
	d.cleanup.push("handlers", func() error { d.gate.routing.Load().close(nil); return nil })
	if d.config.Cluster.Enabled {
		d.front = &front{gate: d.gate, clock: d.clock, own: stream.New(0, d.clock.Now()), counts: &d.metrics.Cluster, joined: make(chan struct{})}
	}
	if err := d.listen(ctx); err != nil {
		return err
	}
	if d.front != nil {
		if err := d.startHub(); err != nil {
			return fmt.Errorf("remote: %w", err)
		}
		if err := d.startMember(ctx); err != nil {
			return err
		}
		d.tellReady(Info{})
		return nil
	}
	opened, err := d.openStorage()
	if err != nil {
		return err
	}
	d.journal.Store(&opened.journal)
	grown := heap.Expect(opened.journal.Stats().Bytes / journaledPerRemembered)
	defer grown()
	state, err := d.recover(opened)
	if err != nil {
		return err
	}
	if err := d.startHub(); err != nil {
		return fmt.Errorf("remote: %w", err)
	}
	tasks, waiting := state.Tasks(), state.Waiting()
	d.troupe, err = actors.Start(d.actorsConfig(), actors.Deps{
		Journal: opened.journal, Snapshots: opened.snapshots, Export: opened.export,
		Handlers: routing, Routes: routing.routes, HandlerActors: d.handlerActors(), Metrics: d.metrics,
		Tracer: d.tracer, Clock: d.clock,
		Logger: logging.Bridge(d.log, "protoactor"), Observe: observer(d.log), Watch: watcher(d.changes),
	}, state)
	if err != nil {
		return err
	}
	d.cleanup.push("actors", d.stopTroupe)
	d.cleanup.push("deliveries", func() error { d.drain(); return nil })
	d.gate.open(d.troupe)
	d.tellReady(Info{DataDir: opened.folder, Tasks: tasks, Waiting: waiting})
	debug.FreeOSMemory() // recovery leaves behind as much as it keeps
	return nil
}

// journaledPerRemembered is how many bytes of the journal, at least, make one of the recovered state: a task takes a fifth of a
// kilobyte, and seldom less than one there.
const journaledPerRemembered = 4

// tellReady says that deliveries may come.
func (d *daemon) tellReady(info Info) {
	d.readiness.set(stateReady, "")
	info.URL, info.AdminURL = d.url(d.server.Addr().String()), d.url(d.server.AdminAddr().String())
	d.log.WithFields(logrus.Fields{
		logfield.Address: info.URL, "tasks": info.Tasks, "waiting": info.Waiting,
	}).Info("ready")
	if d.options.Ready != nil {
		d.options.Ready(info)
	}
}

// doors are what the listeners talk to: this machine's gate, or the front of all members.
type doors interface {
	ingress.Acceptor
	status.Tasks
	status.Lanes
	status.Replays
}

func (d *daemon) doors() doors {
	if d.front != nil {
		return d.front
	}
	return d.gate
}

// ready is status.Health.Ready.
func (d *daemon) ready() status.Readiness {
	if d.front != nil {
		return d.front.ready(d.readiness.report())
	}
	return d.readiness.report()
}

func (d *daemon) url(address string) string {
	scheme := "http://"
	if d.config.HTTP.TLS.Cert != "" {
		scheme = "https://"
	}
	return scheme + address
}

// listen opens the listeners. Until the gate opens, deliveries are refused with 503.
func (d *daemon) listen(ctx context.Context) error {
	cfg := d.httpConfig()
	if err := cfg.Validate(); err != nil {
		return err
	}
	entries, err := d.sources()
	if err != nil {
		return err
	}
	table, err := ingress.NewTable(cfg.Ingress(), entries)
	if err != nil {
		return err
	}
	board := health.New(d.watched(entries), health.Dependencies{Clock: d.clock, Metrics: d.metrics, Log: d.log})
	in := ingress.New(cfg.Ingress(), ingress.Dependencies{
		Acceptor: d.doors(), Observer: board, Router: d.gate.routing.Load().assign, Tracer: d.tracer,
		Clock: d.clock, Metrics: d.metrics, Log: d.log,
	})
	in.SetTable(table)
	d.ingress, d.board = in, board
	page, err := dashboard.New()
	if err != nil {
		return err
	}
	trail := audit.New(d.log)
	past := history.New(d.metrics, d.clock)
	d.cleanup.push("history", func() error { past.Stop(); return nil })
	d.server, err = hthttp.New(cfg, hthttp.Dependencies{
		Ingress: in, Dashboard: page, Audit: trail, Metrics: d.metrics, Clock: d.clock, Log: d.log,
		Status: status.New(status.Dependencies{
			Tasks: d.doors(), Own: d.gate, Lanes: d.doors(), Replays: d.doors(), History: past, Budgets: d.budgets, Cluster: d.cluster, Routes: d.gate, Sources: board, Changes: d.changes, Follow: d.follow(), Audit: trail,
			Health:  status.Health{Ready: d.ready},
			Metrics: d.metrics, Clock: d.clock, Log: d.log,
		}),
	})
	if err != nil {
		return err
	}
	if err := d.server.Start(ctx); err != nil {
		return err
	}
	d.log.WithField(logfield.Address, d.url(d.server.Addr().String())).Info("listening")
	d.cleanup.push("listeners", d.closeListeners)
	return nil
}

// drain takes deliveries for as long as load balancers may need to see that no more are wanted; none after a failure, when
// nothing more may be confirmed.
func (d *daemon) drain() {
	if d.readiness.failed() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), d.stopTimeout())
	defer cancel()
	d.server.Drain(ctx)
}

// closeListeners waits for requests in flight, and closes the listeners. It may be called twice.
func (d *daemon) closeListeners() error {
	ctx, cancel := context.WithTimeout(context.Background(), d.stopTimeout())
	defer cancel()
	return d.server.Shutdown(ctx)
}

// recover rebuilds the state, and tells how far it is.
func (d *daemon) recover(s *storage) (*actors.State, error) {
	started := d.clock.Now()
	total := s.journal.Stats().Bytes
	state, err := actors.Recover(s.journal, s.snapshots, d.progress(s, total), s.recovery...)
	if err != nil {
		return nil, d.damaged(fmt.Errorf("recovery: %w", err))
	}
	if n := state.Bridged(); n > 0 {
		d.log.WithField("changes", n).Warn("the journal was repaired: changes of tasks are missing, and some may run again")
	}
	d.metrics.Journal.RecoverySeconds.Set(d.clock.Now().Sub(started).Seconds())
	d.metrics.Journal.RecoveredTasks.Set(float64(state.Tasks()))
	return state, nil
}

// wait blocks until the daemon is to stop: nil when it was asked to, an error when something failed that cannot be
// repaired while the process lives.
func (d *daemon) wait(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			d.log.Info("stopping")
			d.readiness.set(stateDraining, "the daemon is stopping")
			return nil
		case err := <-d.troupe.Failed():
			d.readiness.set(stateFailed, "storage failed")
			d.log.WithError(err).Error("the journal or an actor failed; the process ends, and the next start recovers")
			return err
		case err := <-d.server.Failed():
			d.readiness.set(stateFailed, "a listener failed")
			return err
		case r := <-d.options.Reload:
			d.reload(r)
		}
	}
}

// stopTroupe waits for running attempts, takes a snapshot, and stops the actors. After a failure of the journal it only
// stops: nothing more may be confirmed.
func (d *daemon) stopTroupe() error {
	if d.readiness.failed() {
		return d.troupe.Stop()
	}
	ctx, cancel := context.WithTimeout(context.Background(), d.stopTimeout())
	defer cancel()
	if err := d.troupe.Drain(ctx); err != nil {
		d.log.WithError(err).Warn("attempts were cut short; their tasks run again after the next start")
	}
	snapshot, cancelSnapshot := context.WithTimeout(context.Background(), snapshotTimeout)
	defer cancelSnapshot()
	err := d.troupe.Snapshot(snapshot)
	return errors.Join(err, d.troupe.Stop())
}

// snapshotTimeout bounds the last snapshot: without it the next start replays more of the journal, no worse.
const snapshotTimeout = time.Minute

func (d *daemon) stopTimeout() time.Duration { return time.Duration(d.config.ShutdownTimeout) }
