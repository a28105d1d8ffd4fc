package actors

import (
	"github.com/asynkron/protoactor-go/actor"

	"github.com/hooktroupe/hooktroupe/messages"
	"github.com/hooktroupe/hooktroupe/task"
)

// Change is what the actor system's event stream tells those who watch: a *TaskChanged, *LanePaused or *ReplayTurned. It is
// shared and must not be changed.
type Change interface{ isChange() }

// TaskChanged is published when a task has been accepted, and whenever its state changed. What it tells may be lost by a
// crash; what the status queries tell later is what counts.
type TaskChanged struct {
	ID task.ID
	// Parent is the task that this one is a part of; zero for none.
	Parent     task.ID
	Status     task.Status
	Source     string
	EventType  string
	Route, Key string
	// Attempts is how many have started.
	Attempts uint32
	// At is when, in nanoseconds since 1970.
	At int64
}

// LanePaused is published when a lane was paused, or goes on.
type LanePaused struct {
	Route, Key string
	Paused     bool
	// At is when, in nanoseconds since 1970.
	At int64
}

// ReplayTurned is published when a replay has started, and when it has ended.
type ReplayTurned struct {
	// Replay is how it stood then.
	Replay *messages.Replay
	// At is when, in nanoseconds since 1970.
	At int64
}

func (*TaskChanged) isChange()  {}
func (*LanePaused) isChange()   {}
func (*ReplayTurned) isChange() {}

// subscribe passes on what the event stream tells, on the goroutine that tells it.
func (t *Troupe) subscribe() {
	observe, watch := t.deps.Observe, t.deps.Watch
	t.system.EventStream.Subscribe(func(event any) {
		switch e := event.(type) {
		case Change:
			if watch != nil {
				watch(e)
			}
		case Event:
			if observe != nil {
				observe(e)
			}
		default:
			countEvent(&t.deps.Metrics.Actors, e)
		}
	})
}

// publishChange tells of a task's new state, and of its delivery's, which follows that of its parts.
func (r *registry) publishChange(ctx actor.Context, s slot) {
	e := r.tasks.get(s)
	from, lane := r.tasks.origins.get(e.origin), r.tasks.places.get(e.place)
	told := &TaskChanged{
		ID: e.ID, Status: e.Status, Source: from.source, EventType: from.eventType, Route: lane.route, Key: lane.key,
		Attempts: e.Attempts, At: e.UpdatedAt,
	}
	if e.role == part {
		told.Parent = r.tasks.get(e.parent).ID
	}
	ctx.ActorSystem().EventStream.Publish(told)
	if e.role == part {
		r.publishChange(ctx, e.parent)
	}
}
