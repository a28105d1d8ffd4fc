package actors

import (
	"github.com/asynkron/protoactor-go/actor"
)

// worker owns one attempt at a time. It is a routee of the pool and so must never panic itself: the library stops a
// routee for good after a few. What may panic is its only child, the attempt, which lives under the crash strategy.
type worker struct {
	registry *actor.PID
	attempt  *actor.Props
}

// Receive announces the worker and its attempt.
func (w *worker) Receive(ctx actor.Context) {
	if _, started := ctx.Message().(*actor.Started); started {
		ctx.Send(w.registry, &workerReady{crew{worker: ctx.Self(), attempt: ctx.SpawnPrefix(w.attempt, nameAttempt)}})
	}
}

// crashStrategy supervises the attempts of one worker. A handler that panics makes its attempt fail, and the library
// forgets the message that an actor failed on; so the strategy tells the registry how the attempt ended, and then
// restarts the attempt without limit: how often a task may fail is the task's affair, not the worker's.
type crashStrategy struct {
	registry *actor.PID
	restart  actor.SupervisorStrategy
}

func newCrashStrategy(registry *actor.PID) *crashStrategy {
	return &crashStrategy{registry: registry, restart: actor.NewRestartingStrategy()}
}

// HandleFailure is called by the library in the worker's stead.
func (s *crashStrategy) HandleFailure(system *actor.ActorSystem, supervisor actor.Supervisor, child *actor.PID,
	rs *actor.RestartStatistics, reason, message any,
) {
	if c, ok := reason.(*crash); ok {
		system.Root.Send(s.registry, c.ended)
	}
	s.restart.HandleFailure(system, supervisor, child, rs, reason, message)
}
