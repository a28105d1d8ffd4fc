package actors

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/hooktroupe/hooktroupe/internal/clock"
	"github.com/hooktroupe/hooktroupe/messages"
	"github.com/hooktroupe/hooktroupe/task"
)

const (
	// maxReplays bounds the replays that are remembered, maxRunningReplays those that run at one time.
	maxReplays        = 100
	maxRunningReplays = 4
	// maxOutstanding bounds the tasks of one replay that the registry was asked about and has not answered for, so that a
	// replay delays no delivery.
	maxOutstanding = 64
	// replayTick is how often a replay with a rate goes on.
	replayTick = 100 * time.Millisecond
)

// replays makes many tasks run again, each by the same message as a single one, no faster than it was told and no faster
// than the registry answers. They are not durable: a restart ends them, and what was not replayed is selected by the same
// filter again.
type replays struct {
	registry *actor.PID
	clock    clock.Clock
	last     uint64
	byID     map[uint64]*replay
	order    []uint64 // oldest first
}

// replay is one of them.
type replay struct {
	told        *messages.Replay
	left        []task.ID // oldest first
	outstanding int
	budget      float64 // how many may be asked for, where there is a rate
	at          int64   // when the budget was last filled
}

// What the actor tells itself.
type (
	replaySelected struct {
		command *messages.StartReplay
		replyTo *actor.PID
		ids     []task.ID
	}
	replayTicked struct{ id uint64 }
	replayed     struct {
		id uint64
		ok bool
	}
)

// Receive is the table of contents.
func (r *replays) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *messages.StartReplay:
		r.start(ctx, m)
	case *replaySelected:
		r.selected(ctx, m)
	case *replayTicked:
		r.ticked(ctx, m)
	case *replayed:
		r.answered(ctx, m)
	case *messages.CancelReplay:
		r.cancel(ctx, m)
	case *messages.GetReplays:
		r.list(ctx)
	}
}

// start asks the registry for a view, and selects on a goroutine of its own, which ends by itself.
func (r *replays) start(ctx actor.Context, m *messages.StartReplay) {
	if _, known := r.byID[m.GetId()]; known {
		ctx.Respond(&messages.ReplayRefused{Detail: "there is a replay of this ID"})
		return
	}
	running := 0
	for _, p := range r.byID {
		if p.told.GetState() == messages.ReplayState_REPLAY_STATE_RUNNING {
			running++
		}
	}
	if running >= maxRunningReplays {
		ctx.Respond(&messages.ReplayRefused{Detail: "as many replays run as may"})
		return
	}
	replyTo, self, root := ctx.Sender(), ctx.Self(), ctx.ActorSystem().Root
	ctx.ReenterAfter(ctx.RequestFuture(r.registry, getView{}, replayPatience), func(answer any, err error) {
		seen, ok := answer.(view)
		if err != nil || !ok {
			root.Send(replyTo, &messages.ReplayRefused{Detail: "the tasks could not be read in time"})
			return
		}
		go func() {
			root.Send(self, &replaySelected{command: m, replyTo: replyTo, ids: selectOldest(seen, replayQuery(m.GetFilter()))})
		}()
	})
}

// replayPatience bounds the wait for the registry's view.
const replayPatience = 10 * time.Second

// replayQuery is a filter that selects final tasks only: dead letters where it says nothing.
func replayQuery(f *messages.Filter) Query {
	q := NewQuery(f)
	if len(q.Statuses) == 0 {
		q.Statuses = []task.Status{task.Failed}
	}
	q.Statuses = slices.DeleteFunc(q.Statuses, func(s task.Status) bool { return !s.Final() })
	return q
}

// NewQuery is a filter as a Query, without a place to begin or a limit.
func NewQuery(f *messages.Filter) Query {
	q := Query{
		Source: f.GetSource(), EventType: f.GetEventType(), Key: f.GetKey(), Route: f.GetRoute(), Text: f.GetText(),
		From: f.GetFrom(), Until: f.GetUntil(),
	}
	for _, s := range f.GetStatuses() {
		q.Statuses = append(q.Statuses, task.Status(s))
	}
	return q
}

// selectOldest returns the tasks that match, oldest first.
func selectOldest(v view, q Query) []task.ID {
	var ids []task.ID
	if len(q.Statuses) == 0 {
		return nil
	}
	v.each(func(r record) bool {
		if q.matches(r) {
			ids = append(ids, r.ID)
		}
		return true
	})
	slices.SortFunc(ids, func(a, b task.ID) int { return bytes.Compare(a[:], b[:]) })
	return ids
}

func (r *replays) selected(ctx actor.Context, m *replaySelected) {
	id := m.command.GetId()
	if id == 0 {
		r.last++
		id = r.last
	}
	now := r.clock.Now().UnixNano()
	p := &replay{
		told: &messages.Replay{
			Id: id, State: messages.ReplayState_REPLAY_STATE_RUNNING, Filter: m.command.GetFilter(),
			Rate: m.command.GetRate(), Total: uint64(len(m.ids)), StartedAt: now,
		},
		left: m.ids, at: now, budget: 1,
	}
	r.byID[id] = p
	r.order = append(r.order, id)
	r.forget()
	r.publish(ctx, p)
	r.advance(ctx, p)
	ctx.Send(m.replyTo, &messages.ReplayChanged{Replay: p.snapshot()})
	if p.told.GetRate() > 0 {
		r.tick(ctx, p.told.GetId())
	}
}

// forget drops the oldest replays that have ended, where there are too many.
func (r *replays) forget() {
	r.order = slices.DeleteFunc(r.order, func(id uint64) bool {
		if len(r.byID) <= maxReplays || r.byID[id].told.GetEndedAt() == 0 {
			return false
		}
		delete(r.byID, id)
		return true
	})
}

func (r *replays) tick(ctx actor.Context, id uint64) {
	self, root := ctx.Self(), ctx.ActorSystem().Root
	r.clock.AfterFunc(replayTick, func() { root.Send(self, &replayTicked{id}) })
}

func (r *replays) ticked(ctx actor.Context, m *replayTicked) {
	p, known := r.byID[m.id]
	if !known || p.told.GetEndedAt() != 0 {
		return
	}
	now := r.clock.Now().UnixNano()
	elapsed := float64(now-p.at) / float64(time.Second)
	p.at = now
	p.budget = min(p.budget+elapsed*p.told.GetRate(), max(1, p.told.GetRate()))
	r.advance(ctx, p)
	r.tick(ctx, m.id)
}

// advance asks for as many as may run again now, and notes the end when none is left.
func (r *replays) advance(ctx actor.Context, p *replay) {
	self, root, id := ctx.Self(), ctx.ActorSystem().Root, p.told.GetId()
	for len(p.left) > 0 && p.outstanding < maxOutstanding && (p.told.GetRate() == 0 || p.budget >= 1) {
		next := p.left[0]
		p.left = p.left[1:]
		p.outstanding++
		p.budget--
		answer := ctx.RequestFuture(r.registry, &messages.RetryTask{WebhookId: next.String()}, replayPatience)
		ctx.ReenterAfter(answer, func(answer any, _ error) {
			_, ok := answer.(*messages.TaskChanged)
			root.Send(self, &replayed{id: id, ok: ok})
		})
	}
	if len(p.left) == 0 && p.outstanding == 0 && p.told.GetEndedAt() == 0 {
		p.told.State = messages.ReplayState_REPLAY_STATE_COMPLETED
		p.told.EndedAt = r.clock.Now().UnixNano()
		r.publish(ctx, p)
	}
}

// publish tells those who watch that a replay has started or ended.
func (r *replays) publish(ctx actor.Context, p *replay) {
	ctx.ActorSystem().EventStream.Publish(&ReplayTurned{Replay: p.snapshot(), At: r.clock.Now().UnixNano()})
}

func (r *replays) answered(ctx actor.Context, m *replayed) {
	p, known := r.byID[m.id]
	if !known {
		return
	}
	p.outstanding--
	if m.ok {
		p.told.Replayed++
	} else {
		p.told.Refused++
	}
	r.advance(ctx, p)
}

func (r *replays) cancel(ctx actor.Context, m *messages.CancelReplay) {
	p, known := r.byID[m.GetId()]
	switch {
	case !known:
		ctx.Respond(&messages.ReplayRefused{NotFound: true, Detail: "no such replay"})
	case p.told.GetEndedAt() != 0:
		ctx.Respond(&messages.ReplayRefused{Detail: "the replay has ended"})
	default:
		p.left = nil
		p.told.State, p.told.EndedAt = messages.ReplayState_REPLAY_STATE_CANCELLED, r.clock.Now().UnixNano()
		r.publish(ctx, p)
		ctx.Respond(&messages.ReplayChanged{Replay: p.snapshot()})
	}
}

func (r *replays) list(ctx actor.Context) {
	reply := &messages.GetReplaysReply{}
	for _, id := range slices.Backward(r.order) {
		reply.Replays = append(reply.Replays, r.byID[id].snapshot())
	}
	ctx.Respond(reply)
}

// snapshot is a copy for others, for messages are not changed once sent.
func (p *replay) snapshot() *messages.Replay {
	t := p.told
	return &messages.Replay{
		Id: t.GetId(), State: t.GetState(), Filter: t.GetFilter(), Rate: t.GetRate(), Total: t.GetTotal(),
		Replayed: t.GetReplayed(), Refused: t.GetRefused(), StartedAt: t.GetStartedAt(), EndedAt: t.GetEndedAt(),
	}
}

// StartReplay makes the final tasks that a filter selects run again, oldest first. Exactly one of the three is set.
func (t *Troupe) StartReplay(
	ctx context.Context, filter *messages.Filter, rate float64,
) (*messages.Replay, *messages.ReplayRefused, error) {
	return t.askReplays(ctx, &messages.StartReplay{Filter: filter, Rate: rate})
}

// StartSharedReplay starts this member's share of a replay, whose ID other members give theirs, too. Exactly one of the three is
// set.
func (t *Troupe) StartSharedReplay(
	ctx context.Context, id uint64, filter *messages.Filter, rate float64,
) (*messages.Replay, *messages.ReplayRefused, error) {
	return t.askReplays(ctx, &messages.StartReplay{Id: id, Filter: filter, Rate: rate})
}

// CancelReplay stops one; the tasks that run again already are not touched. Exactly one of the three is set.
func (t *Troupe) CancelReplay(ctx context.Context, id uint64) (*messages.Replay, *messages.ReplayRefused, error) {
	return t.askReplays(ctx, &messages.CancelReplay{Id: id})
}

func (t *Troupe) askReplays(ctx context.Context, command any) (*messages.Replay, *messages.ReplayRefused, error) {
	answer, err := t.replies.ask(ctx, t.replays, command, noTimeout)
	switch m := answer.(type) {
	case *messages.ReplayChanged:
		return m.GetReplay(), nil, nil
	case *messages.ReplayRefused:
		return nil, m, nil
	default:
		return nil, nil, err
	}
}

// Replays returns those that are remembered, the newest first.
func (t *Troupe) Replays(ctx context.Context) ([]*messages.Replay, error) {
	answer, err := t.replies.ask(ctx, t.replays, &messages.GetReplays{}, noTimeout)
	if err != nil {
		return nil, err
	}
	return answer.(*messages.GetReplaysReply).GetReplays(), nil
}

// CountReplayable says how many tasks a replay with that filter would run again.
func (t *Troupe) CountReplayable(ctx context.Context, filter *messages.Filter) (int, error) {
	answer, err := t.ask(ctx, getView{})
	if err != nil {
		return 0, err
	}
	return len(selectOldest(answer.(view), replayQuery(filter))), nil
}
