package actors

import (
	"errors"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"github.com/hooktroupe/hooktroupe/journal"
	"github.com/hooktroupe/hooktroupe/messages"
	"github.com/hooktroupe/hooktroupe/messages/journalv1"
	"github.com/hooktroupe/hooktroupe/task"
)

// retryBacklog is the Retry-After, in seconds, of a delivery refused because too much waits.
const retryBacklog = 5

// accept turns a verified delivery into a task, or says why not. The answer to a new one is sent by the
// persister, after the sync.
func (r *registry) accept(ctx actor.Context, m *accept) {
	if s, seen := r.tasks.findDelivery(m.hash); seen {
		r.acceptAgain(ctx, s)
		return
	}
	if refusal := r.refusal(); refusal != nil {
		ctx.Respond(refusal)
		return
	}
	if r.isStale(m.GetDelivery()) {
		ctx.Respond(unknownRoute{})
		return
	}
	id, record := r.newID(), m.record
	r.fill(record, m.GetDelivery(), id, r.newID)
	if m.isTooLarge() {
		ctx.Respond(tooLarge)
		return
	}
	accepted, err := newAcceptance(record, m.hash)
	if err != nil {
		r.fail(err) // IDs are ours
		return
	}
	s := r.tasks.addAccepted(&accepted, journal.Position{})
	r.syncing[s] = nil
	r.warm.put(id, m.GetDelivery())
	ctx.Send(r.persister, &store{
		kind: journalv1.RecordType_RECORD_TYPE_TASK_ACCEPTED, record: record, size: m.size,
		fresh: true, item: item{slot: s, turn: r.tasks.get(s).turn},
		answer:  &messages.DeliveryAccepted{WebhookId: id.String(), Status: messages.Status_STATUS_QUEUED},
		replyTo: ctx.Sender(),
	})
}

// isTooLarge says whether no journal takes the record, or reads the body back. What the registry adds to a record is counted
// where it could matter.
func (m *accept) isTooLarge() bool {
	return len(m.GetDelivery().GetBody()) > journal.MaxRecordBytes ||
		m.size > journal.MaxRecordBytes/2 && proto.Size(m.record) > journal.MaxRecordBytes
}

// tooLarge is the answer to a delivery that no journal takes.
var tooLarge = &messages.DeliveryRefused{Reason: messages.Refusal_REFUSAL_TOO_LARGE, Detail: "the delivery is too large"}

// refusal says why no new delivery is taken at the moment, if so.
func (r *registry) refusal() *messages.DeliveryRefused {
	switch {
	case r.draining:
		return &messages.DeliveryRefused{
			Reason: messages.Refusal_REFUSAL_DRAINING, RetryAfter: retryBacklog, Detail: "the daemon is stopping",
		}
	case r.tasks.waiting() >= r.config.MaxWaiting:
		return &messages.DeliveryRefused{
			Reason: messages.Refusal_REFUSAL_BACKLOG_FULL, RetryAfter: retryBacklog, Detail: "too many tasks wait",
		}
	default:
		return nil
	}
}

// acceptAgain answers a delivery that was seen before. One whose first copy is still being synced waits for that sync. A
// failed one runs again: the sender sent it again because of that.
func (r *registry) acceptAgain(ctx actor.Context, s slot) {
	e := r.tasks.get(s)
	if waiters, waits := r.syncing[s]; waits {
		if len(waiters) >= maxQuestions {
			ctx.Respond(&messages.DeliveryRefused{Reason: messages.Refusal_REFUSAL_BACKLOG_FULL, RetryAfter: retryBacklog})
			return
		}
		r.syncing[s] = append(waiters, ctx.Sender())
		return
	}
	source := r.tasks.origins.get(e.origin).source
	if e.Status == task.Failed {
		if refusal := r.refusal(); refusal != nil {
			ctx.Respond(refusal)
			return
		}
		answer := &messages.DeliveryAccepted{
			WebhookId: e.ID.String(), Status: messages.Status_STATUS_QUEUED, Redelivered: true,
		}
		if r.requeue(ctx, s, answer, ctx.Sender()) == nil {
			r.metrics.Tasks.Redelivered.With(source).Inc()
			return
		}
	}
	r.metrics.Tasks.Duplicates.With(source).Inc()
	ctx.Respond(&messages.DeliveryAccepted{
		WebhookId: e.ID.String(), Status: messages.Status(e.Status), Duplicate: true,
	})
}

// requeue makes a task run again; of a split one, the parts that did not succeed. The answer is sent once that is on
// stable storage.
func (r *registry) requeue(ctx actor.Context, s slot, answer any, replyTo *actor.PID) error {
	var again []slot
	for _, t := range r.tasks.runnable(s) {
		e := r.tasks.get(t)
		if e.role == part && e.Status != task.Failed && e.Status != task.Cancelled && e.Status != task.Retrying {
			continue
		}
		if _, err := e.Requeue(r.now()); err != nil {
			return err
		}
		if r.windsDown(e.ID) {
			return errWindsDown
		}
		again = append(again, t)
	}
	if len(again) == 0 {
		return task.ErrWrongStatus
	}
	for i, t := range again {
		e := r.tasks.get(t)
		ev, err := e.Requeue(r.now())
		if err != nil {
			return err
		}
		if i < len(again)-1 {
			r.commit(ctx, t, change{id: e.ID, event: ev}, nil, nil)
		} else {
			r.commit(ctx, t, change{id: e.ID, event: ev}, answer, replyTo)
		}
		if r.schedule.Waits(uint32(t)) { // it was retrying
			r.schedule.Move(uint32(t), true, 0)
		} else {
			r.arrive(ctx, t, true)
		}
	}
	r.dispatch(ctx)
	return nil
}

// errWindsDown is why a task that was stopped cannot run again yet.
var errWindsDown = errors.New("its last attempt has not ended yet")

// windsDown says whether an attempt of the task still holds a worker.
func (r *registry) windsDown(id task.ID) bool {
	for _, a := range r.running {
		if a.id == id {
			return true
		}
	}
	return false
}
