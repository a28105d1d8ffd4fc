package actors

import (
	"fmt"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/router"

	"github.com/hooktroupe/hooktroupe/internal/clock"
	"github.com/hooktroupe/hooktroupe/schedule"
)

// supervisor owns the registry, the persister and the pool of workers. A registry or persister that panics may have
// applied half of a change: it is not restarted in place. The process is told to exit, and recovery rebuilds the state.
type supervisor struct {
	persister *actor.Props
	registry  *actor.Props
	workers   *actor.Props
	replays   *actor.Props
	handlers  *actor.Props
	members   []child // what only a cluster's member has
}

// child is an actor to be spawned under a name.
type child struct {
	name  string
	props *actor.Props
}

// Receive starts the children, and tells whoever asks that they are there.
func (s *supervisor) Receive(ctx actor.Context) {
	switch ctx.Message().(type) {
	case *actor.Started:
		s.start(ctx)
	case areYouUp:
		ctx.Respond(up{})
	}
}

// start spawns the children, each of which is addressed by its name, in the order in which they are needed.
func (s *supervisor) start(ctx actor.Context) {
	for _, child := range append([]child{
		{namePersister, s.persister}, {nameHandlers, s.handlers}, {nameRegistry, s.registry}, {nameWorkers, s.workers},
		{nameReplays, s.replays},
	}, s.members...) {
		if _, err := ctx.SpawnNamed(child.props, child.name); err != nil {
			panic(fmt.Sprintf("spawn %s: %v", child.name, err))
		}
	}
}

// failStrategy makes every failure of a child fatal for the process.
type failStrategy struct{ fail func(error) }

// HandleFailure stops the child, which is in a state nobody knows, and reports it.
func (s *failStrategy) HandleFailure(_ *actor.ActorSystem, supervisor actor.Supervisor, child *actor.PID,
	_ *actor.RestartStatistics, reason, _ any,
) {
	s.fail(fmt.Errorf("actor %s panicked: %v", child.GetId(), reason))
	supervisor.StopChildren(child)
}

// supervisorProps: the supervisor's children fail the process; so does the supervisor itself.
func (t *Troupe) supervisorProps(state *State, first *terms, ready func()) *actor.Props {
	strategy := &failStrategy{fail: t.fail}
	return actor.PropsFromProducer(func() actor.Actor {
		return &supervisor{
			persister: t.persisterProps(), registry: t.registryProps(state, first, ready), workers: t.workersProps(),
			replays: t.replaysProps(), handlers: t.handlersProps(), members: t.memberProps(),
		}
	}, actor.WithSupervisor(strategy), actor.WithGuardian(strategy))
}

func (t *Troupe) persisterProps() *actor.Props {
	d := t.deps
	if d.Membership != nil {
		return t.writerProps()
	}
	return actor.PropsFromProducer(func() actor.Actor {
		return &persister{
			journal: d.Journal, registry: t.registry, clock: d.Clock, metrics: d.Metrics, fail: t.fail, retryFull: 30,
			snapshots: &snapshotter{
				journal: d.Journal, snapshots: d.Snapshots, export: d.Export, clock: d.Clock, metrics: d.Metrics,
			},
		}
	}, actor.WithMailbox(actor.Unbounded(newDepth(d.Metrics, namePersister))))
}

func (t *Troupe) registryProps(state *State, first *terms, ready func()) *actor.Props {
	d := t.deps
	return actor.PropsFromProducer(func() actor.Actor {
		return &registry{
			terms: first, clock: d.Clock, random: d.Random, newID: d.NewID, metrics: d.Metrics,
			persister: t.persister, tasks: state.tasks, covered: state.end, tail: state.tail,
			schedule: schedule.New(first.routes.schedules(), schedule.Route{}),
			running:  make(map[string]*runningAttempt), syncing: make(map[slot][]*actor.PID),
			shards: t.newShards(), ready: ready, fail: t.fail,
		}
	}, actor.WithMailbox(actor.Unbounded(newDepth(d.Metrics, nameRegistry))))
}

func (t *Troupe) replaysProps() *actor.Props {
	return actor.PropsFromProducer(func() actor.Actor {
		return &replays{registry: t.registry, clock: t.deps.Clock, byID: make(map[uint64]*replay)}
	}, actor.WithMailbox(actor.Unbounded(newDepth(t.deps.Metrics, nameReplays))))
}

// handlers owns the handler actors. One that panics past its own supervision is restarted: it harms nobody else.
type handlers struct {
	actors []HandlerActor
	clock  clock.Clock
}

// Receive starts them.
func (h *handlers) Receive(ctx actor.Context) {
	if _, started := ctx.Message().(*actor.Started); !started {
		return
	}
	for _, a := range h.actors {
		pid, err := ctx.SpawnNamed(a.Props(h.clock), a.Name())
		if err != nil {
			panic(fmt.Sprintf("spawn handler actor %s: %v", a.Name(), err))
		}
		a.Attach(ctx.ActorSystem(), pid)
	}
}

func (t *Troupe) handlersProps() *actor.Props {
	return actor.PropsFromProducer(func() actor.Actor {
		return &handlers{actors: t.deps.HandlerActors, clock: t.deps.Clock}
	}, actor.WithSupervisor(actor.NewRestartingStrategy()))
}

// workersProps is a pool of fixed size. What is sent to the pool reaches every worker; the registry assigns to each by
// its own PID, one attempt at a time, for a router that pushed would queue tasks behind a slow one.
func (t *Troupe) workersProps() *actor.Props {
	d := t.deps
	attempt := actor.PropsFromProducer(func() actor.Actor {
		a := &attempts{
			journal: t.reader(), clock: d.Clock, metrics: d.Metrics, tracer: d.Tracer, registry: t.registry,
			behavior: actor.NewBehavior(),
		}
		if d.Membership != nil {
			a.valid = d.Membership.Valid
		}
		a.behavior.Become(a.idle)
		return a
	})
	strategy := newCrashStrategy(t.registry)
	return router.NewBroadcastPool(t.config.Workers,
		actor.WithProducer(func() actor.Actor { return &worker{registry: t.registry, attempt: attempt} }),
		actor.WithSupervisor(strategy))
}
