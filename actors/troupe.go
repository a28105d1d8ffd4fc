// Package actors is the troupe that works the tasks:
//
//	supervisor
//	 ├─ registry     single writer of task state; decides and never blocks
//	 ├─ persister    the only writer of the journal and of snapshots
//	 ├─ replays      make many tasks run again
//	 ├─ handlers     own the handler actors of an embedding program
//	 └─ workers      a router pool of fixed size
//	     └─ worker   owns one attempt at a time
//	         └─ attempt   runs the handler on a goroutine of its own; what may crash
//
// A Troupe is its face to those who are not actors: the ingress, the status API, the composition root. The package never
// sees HTTP, a source, the configuration file or an adapter.
//
// The one invariant: a delivery is answered as accepted only after the sync of the journal group that holds it, and its
// first attempt starts only after that.
package actors

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/google/uuid"

	"github.com/hooktroupe/hooktroupe/internal/clock"
	"github.com/hooktroupe/hooktroupe/internal/tracing"
	"github.com/hooktroupe/hooktroupe/journal"
	"github.com/hooktroupe/hooktroupe/messages"
	"github.com/hooktroupe/hooktroupe/metrics"
	"github.com/hooktroupe/hooktroupe/schedule"
	"github.com/hooktroupe/hooktroupe/task"
)

// Deps is what the troupe works with. Handlers and Metrics are required, and Journal and Snapshots, or Membership in place of
// them.
type Deps struct {
	Journal   journal.Journal
	Snapshots journal.Snapshots
	// Membership makes the troupe that of a cluster's member: it begins without tasks, and works those of the shards that it
	// is told to take.
	Membership *Membership
	Handlers   Handlers
	Metrics    *metrics.Set
	// Routes are those that deliveries may be assigned to. What is assigned to none goes to Handlers.
	Routes []Route
	// HandlerActors are spawned below the supervisor before the first attempt.
	HandlerActors []HandlerActor
	// Export writes the task file with every snapshot that is taken on the timer or on demand; nil for none.
	Export Export
	// Clock defaults to the machine's, Random to a seeded generator (it draws jitter, in [0, 1)), NewID to UUIDv7.
	Clock  clock.Clock
	Random func() float64
	NewID  func() task.ID
	// Tracer follows deliveries through their attempts; nil for not at all.
	Tracer *tracing.Tracer
	// Logger is the actor library's. Default: nothing is logged.
	Logger *slog.Logger
	// Observe is told what is worth a log line. It is called from the goroutine where it happened and must not block.
	Observe func(Event)
	// Watch is told what changed, in the order in which each task changes. It is called from the registry's own goroutine,
	// and must be quick.
	Watch func(Change)
}

func (d Deps) validate() error {
	if d.Handlers == nil || d.Metrics == nil {
		return errors.New("actors: handlers and metrics are required")
	}
	m := d.Membership
	switch {
	case m == nil && (d.Journal == nil || d.Snapshots == nil):
		return errors.New("actors: journal and snapshots are required")
	case m != nil && (m.Log == nil || m.Valid == nil || m.Fenced == nil || m.Stored == nil):
		return errors.New("actors: a membership needs all its parts")
	case m != nil && (m.Shards < 1 || m.Shards > MaxShards):
		return fmt.Errorf("actors: %d shards are not within 1 to %d", m.Shards, MaxShards)
	default:
		return nil
	}
}

func (d Deps) withDefaults() Deps {
	if d.Clock == nil {
		d.Clock = clock.Real{}
	}
	if d.Random == nil {
		d.Random = mathrand.Float64 //nolint:forbidigo // the default of what is passed in
	}
	if d.NewID == nil {
		d.NewID = func() task.ID { return task.ID(uuid.Must(uuid.NewV7FromReader(rand.Reader))) }
	}
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	return d
}

// HandlerActor is an actor of an embedding program that works attempts, such as a *local.Handler.
type HandlerActor interface {
	// Name is unique among handler actors.
	Name() string
	// Props make the actor.
	Props(c clock.Clock) *actor.Props
	// Attach says where it runs.
	Attach(system *actor.ActorSystem, pid *actor.PID)
}

// Troupe is a running tree of actors.
type Troupe struct {
	config  Config // that of the start
	deps    Deps
	terms   atomic.Pointer[terms] // those that were handed to the registry last
	system  *actor.ActorSystem
	replies *replies

	supervisor, registry, persister, replays *actor.PID
	intake, tail                             *actor.PID // of a cluster's member

	failed  chan error // takes the first fatal error
	failing atomic.Bool
}

// Start spawns the tree with the state that Recover rebuilt, and returns once the registry has taken it up.
func Start(config Config, deps Deps, state *State) (*Troupe, error) {
	config = config.WithDefaults()
	if err := config.Validate(); err != nil {
		return nil, err
	}
	if err := deps.validate(); err != nil {
		return nil, err
	}
	first, err := newTerms(config, deps.Routes, deps.Handlers)
	if err != nil {
		return nil, err
	}
	t := &Troupe{config: config, deps: deps.withDefaults(), failed: make(chan error, 1)}
	t.terms.Store(first)
	t.system = actor.NewActorSystem(
		actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return t.deps.Logger }),
		actor.WithDeadLetterRequestLogging(false),
	)
	t.subscribe()
	t.replies = newReplies(t.system, t.deps.Clock)
	address := t.system.Address()
	t.registry = actor.NewPID(address, nameSupervisor+"/"+nameRegistry)
	t.persister = actor.NewPID(address, nameSupervisor+"/"+namePersister)
	t.replays = actor.NewPID(address, nameSupervisor+"/"+nameReplays)
	t.intake = actor.NewPID(address, nameSupervisor+"/"+nameIntake)
	t.tail = actor.NewPID(address, nameSupervisor+"/"+nameTail)
	ready := make(chan struct{})
	props := t.supervisorProps(state, first, func() { close(ready) })
	if t.supervisor, err = t.system.Root.SpawnNamed(props, nameSupervisor); err != nil {
		return nil, err
	}
	if _, err := t.replies.ask(context.Background(), t.supervisor, areYouUp{}, noTimeout); err != nil {
		return nil, fmt.Errorf("actors: start: %w", err)
	}
	select {
	case <-ready:
	case err := <-t.failed:
		t.failed <- err // Failed says so
	}
	return t, nil
}

// fail reports an error after which the process must end; later ones are dropped.
func (t *Troupe) fail(err error) {
	t.failing.Store(true)
	select {
	case t.failed <- err:
	default:
	}
}

// Failed yields the error after which the process must exit non-zero, without draining: nothing that was not confirmed
// is confirmed any more.
func (t *Troupe) Failed() <-chan error { return t.failed }

// Accept makes a verified delivery durable and turns it into a task. Exactly one of the three is set: what it became,
// why it was refused with nothing stored, or ErrBusy, ErrNoAnswer or ErrRouteGone. The delivery must not be changed afterwards.
func (t *Troupe) Accept(
	ctx context.Context, d *messages.Delivery,
) (*messages.DeliveryAccepted, *messages.DeliveryRefused, error) {
	answer, err := t.deliver(ctx, d)
	switch m := answer.(type) {
	case *messages.DeliveryAccepted:
		return m, nil, nil
	case *messages.DeliveryRefused:
		return nil, m, nil
	case unknownRoute:
		return nil, nil, ErrRouteGone
	default:
		return nil, nil, err
	}
}

// deliver asks who makes deliveries durable.
func (t *Troupe) deliver(ctx context.Context, d *messages.Delivery) (any, error) {
	if t.deps.Membership == nil {
		return t.ask(ctx, newAccept(d))
	}
	m, refused, err := t.newIntakeDelivery(d)
	if m == nil {
		return refused, err
	}
	return t.replies.ask(ctx, t.intake, m, t.config.AnswerTimeout)
}

func (t *Troupe) ask(ctx context.Context, message any) (any, error) {
	return t.replies.ask(ctx, t.registry, message, t.config.AnswerTimeout)
}

// Get returns a task with all that is known of it, or nil when there is none of that ID.
func (t *Troupe) Get(ctx context.Context, id string) (*messages.Task, error) {
	task, _, err := t.read(ctx, id)
	return task, err
}

// Delivery returns a task together with the delivery that it works, read back from the journal: headers, and the body byte
// for byte. Both are nil when there is no task of that ID; only the delivery is while it is not on stable storage yet.
func (t *Troupe) Delivery(ctx context.Context, id string) (*messages.Task, *messages.Delivery, error) {
	return t.read(ctx, id)
}

// Find returns a task, or nil, and where its delivery lies; the zero position while it is not on stable storage.
func (t *Troupe) Find(ctx context.Context, id string) (*messages.Task, journal.Position, error) {
	for again := true; ; again = false {
		answer, err := t.ask(ctx, &messages.GetTask{WebhookId: id})
		if err != nil {
			return nil, journal.Position{}, err
		}
		found, _ := answer.(*foundTask)
		switch {
		case found == nil:
			return nil, journal.Position{}, nil
		case found.away:
			return nil, journal.Position{}, ErrAway
		case found.task != nil || !again || !t.lookFor(ctx, id):
			return found.task, found.at, nil
		}
	}
}

// read returns a task and its delivery, as far as there are any.
func (t *Troupe) read(ctx context.Context, id string) (*messages.Task, *messages.Delivery, error) {
	found, at, err := t.Find(ctx, id)
	if err != nil || found == nil || at.IsZero() {
		return found, nil, err
	}
	delivery, err := readDelivery(t.reader(), at)
	if err != nil {
		return nil, nil, fmt.Errorf("read the delivery of task %s: %w", id, err)
	}
	found.DeliveryId = delivery.GetDeliveryId()
	return found, delivery, nil
}

// Counts says how many tasks stand where.
func (t *Troupe) Counts(ctx context.Context) (*messages.GetCountsReply, error) {
	answer, err := t.ask(ctx, &messages.GetCounts{})
	if err != nil {
		return nil, err
	}
	return answer.(*messages.GetCountsReply), nil
}

// Cancel ends a task that is not final; the reason is kept as its error. Exactly one of the three is set.
func (t *Troupe) Cancel(ctx context.Context, id, reason string) (*messages.Task, *messages.TaskRefused, error) {
	return t.change(ctx, &messages.CancelTask{WebhookId: id, Reason: reason})
}

// Retry runs a final task again, or a retrying one at once. Exactly one of the three is set.
func (t *Troupe) Retry(ctx context.Context, id string) (*messages.Task, *messages.TaskRefused, error) {
	return t.change(ctx, &messages.RetryTask{WebhookId: id})
}

// Move gives a waiting task another place in its lane: in front of all others and due at once, or behind them, which lets
// those run that it held. Exactly one of the three is set.
func (t *Troupe) Move(ctx context.Context, id string, front bool) (*messages.Task, *messages.TaskRefused, error) {
	return t.change(ctx, &messages.MoveTask{WebhookId: id, Front: front})
}

// RouteStates says how the routes stand: what waits and runs, and which gate keeps more from starting.
func (t *Troupe) RouteStates(ctx context.Context) ([]schedule.RouteState, error) {
	answer, err := t.ask(ctx, getRoutes{})
	if err != nil {
		return nil, err
	}
	return answer.([]schedule.RouteState), nil
}

// Lanes says how the lanes of a key stand, or which lanes are the longest.
func (t *Troupe) Lanes(ctx context.Context, q *messages.GetLanes) (*messages.GetLanesReply, error) {
	if q.GetKey() == "" {
		return t.longestLanes(ctx, q)
	}
	answer, err := t.ask(ctx, q)
	if err != nil {
		return nil, err
	}
	return answer.(*messages.GetLanesReply), nil
}

// PauseLane keeps the lanes of a key from starting tasks, or lets them go on, until it is told otherwise. The answer holds
// no lanes where there is none of that key.
func (t *Troupe) PauseLane(ctx context.Context, c *messages.PauseLane) (*messages.LanesChanged, error) {
	answer, err := t.ask(ctx, c)
	if err != nil {
		return nil, err
	}
	changed, ok := answer.(*messages.LanesChanged)
	if !ok {
		return nil, ErrAway
	}
	return changed, nil
}

func (t *Troupe) change(ctx context.Context, command any) (*messages.Task, *messages.TaskRefused, error) {
	for again := true; ; again = false {
		answer, err := t.ask(ctx, command)
		switch m := answer.(type) {
		case *messages.TaskChanged:
			return m.GetTask(), nil, nil
		case *messages.TaskRefused:
			id := command.(interface{ GetWebhookId() string }).GetWebhookId()
			if !m.GetNotFound() || !again || !t.lookFor(ctx, id) {
				return nil, m, nil
			}
		default:
			return nil, nil, err
		}
	}
}

// Snapshot takes one now and waits for it, for as long as ctx allows.
func (t *Troupe) Snapshot(ctx context.Context) error {
	answer, err := t.replies.ask(ctx, t.registry, snapshotNow{}, noTimeout)
	if err != nil {
		return err
	}
	return answer.(*snapshotSaved).err
}

// Drain lets running attempts end and starts none. When ctx ends first, it tells those that still run to stop, waits for
// the grace, and returns ctx's error: their tasks run again after the next start.
func (t *Troupe) Drain(ctx context.Context) error {
	_, err := t.replies.ask(ctx, t.registry, &drain{}, noTimeout)
	if err == nil {
		return nil
	}
	_, stopErr := t.replies.ask(context.WithoutCancel(ctx), t.registry, &drain{stopRunning: true}, 2*t.terms.Load().config.Grace)
	return errors.Join(ctx.Err(), stopErr)
}

// stopPatience bounds how long Stop waits for what was decided to be written.
const stopPatience = 5 * time.Second

// Stop writes what the registry has decided and ends all actors. Deliveries that are not answered yet are lost to it, as
// in a crash: Drain and Snapshot come before it. It may be called once.
func (t *Troupe) Stop() error {
	if !t.failing.Load() {
		ctx, cancel := context.WithTimeout(context.Background(), stopPatience)
		defer cancel()
		_, _ = t.replies.ask(ctx, t.persister, settle{}, noTimeout) // without an answer, recovery makes do
	}
	// The library does not stop the routees of a pool together with the parent of its router.
	workers := actor.NewPID(t.system.Address(), nameSupervisor+"/"+nameWorkers)
	return errors.Join(t.system.Root.StopFuture(workers).Wait(), t.system.Root.StopFuture(t.supervisor).Wait())
}
