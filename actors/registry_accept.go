package actors

import (
	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"github.com/hooktroupe/hooktroupe/journal"
	"github.com/hooktroupe/hooktroupe/messages"
	"github.com/hooktroupe/hooktroupe/messages/journalv1"
	"github.com/hooktroupe/hooktroupe/task"
)

// retryBacklog is the Retry-After, in seconds, of a delivery refused because too much waits.
const retryBacklog = 5

// acceptDelivery turns a verified delivery into a task, or says why not. The answer to a new one is sent by the
// persister, after the sync.
func (r *registry) acceptDelivery(ctx actor.Context, m *messages.AcceptDelivery) {
	d := m.GetDelivery()
	hash := hashDelivery(d.GetSource(), d.GetDeliveryId())
	if s, seen := r.tasks.byDelivery[hash]; seen && !hash.isZero() {
		r.acceptAgain(ctx, s)
		return
	}
	if refusal := r.refusal(); refusal != nil {
		ctx.Respond(refusal)
		return
	}
	maxAttempts := uint16(r.config.MaxAttempts)
	if n := d.GetMaxAttempts(); n > 0 {
		maxAttempts = uint16(min(n, 1<<16-1))
	}
	id := r.newID()
	record := acceptedRecord(id, d, maxAttempts)
	if proto.Size(record) > journal.MaxRecordBytes {
		ctx.Respond(&messages.DeliveryRefused{Reason: messages.Refusal_REFUSAL_TOO_LARGE, Detail: "the delivery is too large"})
		return
	}
	s := r.tasks.add(entry{
		Task:     task.New(id, d.GetReceivedAt(), maxAttempts),
		delivery: hash,
		origin:   r.tasks.originOf(d.GetSource(), d.GetEventType()),
	})
	r.syncing[s] = nil
	ctx.Send(r.persister, &store{
		kind: journalv1.RecordType_RECORD_TYPE_TASK_ACCEPTED, record: record,
		fresh: true, item: item{slot: s, turn: r.tasks.get(s).turn},
		answer:  &messages.DeliveryAccepted{WebhookId: id.String(), Status: messages.Status_STATUS_QUEUED},
		replyTo: ctx.Sender(),
	})
}

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
	source := e.origin.source
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

// requeue makes a task run again.
func (r *registry) requeue(ctx actor.Context, s slot, answer *messages.DeliveryAccepted, replyTo *actor.PID) error {
	e := r.tasks.get(s)
	ev, err := e.Requeue(r.now())
	if err != nil {
		return err
	}
	if !r.commit(ctx, s, change{id: e.ID, event: ev}, answer, replyTo) {
		return task.ErrWrongStatus
	}
	r.ready.push(r.enqueue(s))
	r.dispatch(ctx)
	return nil
}
