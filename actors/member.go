package actors

import (
	"context"
	"errors"
	"fmt"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/hooktroupe/hooktroupe/messages"
	"github.com/hooktroupe/hooktroupe/task"
)

// ErrAway means that this member does not own the task's shard at the moment, or cannot be sure of it; nothing was done.
var ErrAway = errors.New("the task's owner is changing")

// NewState is a state without tasks: that of a cluster's member before it takes a shard.
func NewState() *State { return &State{tasks: newTable()} }

// TakeShard makes the member work a shard under a generation that it has acquired. Its tasks are loaded in the background.
func (t *Troupe) TakeShard(shard int, generation int64) {
	t.system.Root.Send(t.registry, &takeShard{shard: shard, generation: generation})
}

// LeaveShard ends the work for a shard: at once, or gracefully, when its running attempts have ended and what was decided is
// in the store. drained is called exactly once, from another goroutine, when the member does nothing for the shard any more; a
// second call for the same shard, not graceful, cuts the first short.
func (t *Troupe) LeaveShard(shard int, generation int64, graceful bool, drained func()) {
	t.system.Root.Send(t.registry, &leaveShard{shard: shard, generation: generation, graceful: graceful, drained: drained})
}

// ShardsHaveNews says that another member has stored deliveries for shards.
func (t *Troupe) ShardsHaveNews(shards []int) {
	t.system.Root.Send(t.tail, &shardsTold{shards})
}

// lookFor has the log looked at that a task may be in, for another member may have stored its delivery a moment ago. It says
// whether it is worth while to ask again.
func (t *Troupe) lookFor(ctx context.Context, id string) bool {
	parsed, err := task.ParseID(id)
	if t.deps.Membership == nil || err != nil {
		return false
	}
	_, err = t.replies.ask(ctx, t.tail, &lookFor{ShardOfTask(parsed)}, t.config.AnswerTimeout)
	return err == nil
}

// Redelivered says what becomes of a delivery that is in the store already: a duplicate, or, where its task has failed, a
// redelivery. ErrAway means that another member must be asked. Exactly one of the three is set.
func (t *Troupe) Redelivered(
	ctx context.Context, id string,
) (*messages.DeliveryAccepted, *messages.DeliveryRefused, error) {
	parsed, err := task.ParseID(id)
	if err != nil {
		return nil, nil, err
	}
	answer, err := t.ask(ctx, &redelivered{parsed})
	switch m := answer.(type) {
	case *messages.DeliveryAccepted:
		return m, nil, nil
	case *messages.DeliveryRefused:
		return nil, m, nil
	case *messages.TaskRefused:
		return nil, nil, ErrAway
	default:
		return nil, nil, err
	}
}

// reader is where deliveries are read back from.
func (t *Troupe) reader() reader {
	if t.deps.Membership != nil {
		return t.deps.Membership.Log
	}
	return t.deps.Journal
}

// newShards is what the registry of a member begins with; nil for one machine.
func (t *Troupe) newShards() *shards {
	if t.deps.Membership == nil {
		return nil
	}
	s := &shards{
		Membership: t.deps.Membership, tail: t.tail, intake: t.intake, owned: make(map[int]*ownedShard),
	}
	for n := range loaders {
		s.loaders = append(s.loaders, actor.NewPID(t.system.Address(), nameSupervisor+"/"+loaderName(n)))
	}
	return s
}

func loaderName(n int) string { return fmt.Sprintf("%s%d", nameLoader, n) }

func (t *Troupe) writerProps() *actor.Props {
	d := t.deps
	return actor.PropsFromProducer(func() actor.Actor {
		return &shardWriter{
			members: d.Membership, registry: t.registry, tail: t.tail, clock: d.Clock, metrics: d.Metrics,
			open:      make(map[int]*shardQueue),
			snapshots: shardSnapshotter{members: d.Membership, clock: d.Clock, metrics: d.Metrics},
		}
	}, actor.WithMailbox(actor.Unbounded(newDepth(d.Metrics, namePersister))))
}

// memberProps are the actors that only a cluster's member has.
func (t *Troupe) memberProps() []child {
	d := t.deps
	if d.Membership == nil {
		return nil
	}
	children := []child{
		{nameIntake, actor.PropsFromProducer(func() actor.Actor {
			return &intake{
				members: d.Membership, registry: t.registry, tail: t.tail, clock: d.Clock, metrics: d.Metrics, config: t.config,
			}
		}, actor.WithMailbox(actor.Unbounded(newDepth(d.Metrics, nameIntake))))},
		{nameTail, actor.PropsFromProducer(func() actor.Actor {
			return &tail{
				log: d.Membership.Log, registry: t.registry, clock: d.Clock, metrics: d.Metrics,
				followed: make(map[int]*tailedShard), told: make(map[int]struct{}),
			}
		})},
	}
	for n := range loaders {
		children = append(children, child{loaderName(n), actor.PropsFromProducer(func() actor.Actor {
			return &loader{
				log: d.Membership.Log, registry: t.registry, clock: d.Clock, valid: d.Membership.Valid,
			}
		})})
	}
	return children
}
