package actors

import (
	"fmt"
	"slices"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"github.com/hooktroupe/hooktroupe/internal/clock"
	"github.com/hooktroupe/hooktroupe/journal"
	"github.com/hooktroupe/hooktroupe/messages"
	"github.com/hooktroupe/hooktroupe/messages/journalv1"
	"github.com/hooktroupe/hooktroupe/metrics"
	"github.com/hooktroupe/hooktroupe/task"
)

// retryStore is the Retry-After, in seconds, of a delivery refused because the store does not answer.
const retryStore = 5

// intake stores the deliveries that reach a member of a cluster, whoever owns their shards. It takes the registry's and the
// persister's place on the way to 202; blocking I/O is its job. What gathers while a group is written is the next group.
type intake struct {
	members  *Membership
	registry *actor.PID
	tail     *actor.PID
	clock    clock.Clock
	metrics  *metrics.Set
	config   Config

	gathered      []*intakeDelivery
	gatheredBytes int
	flushing      bool
	waiting       int // of the tasks in this member's shards, as the registry said last
}

// What others tell the intake.
type (
	// intakeDelivery is a delivery made ready. Troupe to intake; the answer is DeliveryAccepted or DeliveryRefused.
	intakeDelivery struct {
		delivery *messages.Delivery
		shard    ShardDelivery
		replyTo  *actor.PID
	}
	// intakeLoad says how many tasks wait here. Registry to intake, once a second.
	intakeLoad struct{ waiting int }

	// warmed are the deliveries of a group, for attempts that start at once. Intake to registry.
	warmed struct{ deliveries []*intakeDelivery }
)

// Receive is the table of contents.
func (i *intake) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *intakeDelivery:
		m.replyTo = ctx.Sender()
		i.gather(ctx, m)
	case flush:
		i.flushing = false
		i.flush(ctx)
	case *intakeLoad:
		i.waiting = m.waiting
	case *actor.Stopping:
		i.flush(ctx)
	}
}

func (i *intake) gather(ctx actor.Context, m *intakeDelivery) {
	if refusal := i.refusal(); refusal != nil {
		ctx.Respond(refusal)
		return
	}
	i.gathered = append(i.gathered, m)
	i.gatheredBytes += len(m.shard.Head) + len(m.shard.Body)
	switch {
	case i.gatheredBytes >= maxGroupBytes:
		i.flush(ctx)
	case !i.flushing:
		i.flushing = true
		ctx.Send(ctx.Self(), flush{})
	}
}

// refusal says why no delivery is taken at the moment, if so.
func (i *intake) refusal() *messages.DeliveryRefused {
	if i.waiting < i.config.MaxWaiting {
		return nil
	}
	return &messages.DeliveryRefused{
		Reason: messages.Refusal_REFUSAL_BACKLOG_FULL, RetryAfter: retryBacklog, Detail: "too many tasks wait",
	}
}

// flush writes what has gathered as one group, answers, and tells the owners of the shards.
func (i *intake) flush(ctx actor.Context) {
	group := i.gathered
	if len(group) == 0 {
		return
	}
	i.gathered, i.gatheredBytes = nil, 0
	deliveries := make([]ShardDelivery, len(group))
	for n, m := range group {
		deliveries[n] = m.shard
	}
	started := i.clock.Now()
	answers, err := i.members.Log.Deliver(deliveries)
	i.metrics.Journal.AppendSeconds.Observe(i.clock.Now().Sub(started).Seconds())
	i.metrics.Journal.GroupRecords.Observe(float64(len(group)))
	if err == nil && len(answers) != len(group) {
		err = fmt.Errorf("%d answers for %d deliveries", len(answers), len(group))
	}
	if err != nil {
		i.metrics.Journal.Errors.With("deliver").Inc()
		for _, m := range group {
			ctx.Send(m.replyTo, &messages.DeliveryRefused{
				Reason: messages.Refusal_REFUSAL_STORE_UNAVAILABLE, RetryAfter: retryStore, Detail: "the store does not answer",
			})
		}
		return
	}
	i.report(ctx, group, answers)
}

// report answers a group that is on stable storage, and tells who is to know.
func (i *intake) report(ctx actor.Context, group []*intakeDelivery, answers []ShardAnswer) {
	var shards []int
	written := make([]stretch, 0, len(group))
	fresh := group[:0]
	for n, m := range group {
		first := answers[n].First
		source := m.delivery.GetSource()
		if first != m.shard.Task {
			i.metrics.Tasks.Duplicates.With(source).Inc()
			ctx.Send(m.replyTo, &messages.DeliveryAccepted{WebhookId: first.String(), Duplicate: true})
			continue
		}
		i.metrics.Tasks.Accepted.With(source).Inc()
		ctx.Send(m.replyTo, &messages.DeliveryAccepted{WebhookId: first.String(), Status: messages.Status_STATUS_QUEUED})
		shards = append(shards, m.shard.Shard)
		fresh = append(fresh, m)
		at := answers[n].At
		record := journal.Record{
			Position: at, Type: uint8(journalv1.RecordType_RECORD_TYPE_TASK_ACCEPTED), Data: m.shard.Head,
		}
		written = append(written, stretch{
			shard: m.shard.Shard, span: ShardSpan{at, at}, records: []journal.Record{record},
		})
	}
	if len(fresh) == 0 {
		return
	}
	slices.Sort(shards)
	shards = slices.Compact(shards)
	ctx.Send(i.registry, &warmed{fresh})
	ctx.Send(i.tail, &appended{written})
	i.members.Stored(shards)
}

// newIntakeDelivery prepares a delivery on the caller's goroutine, which has more time than an actor; refused says that it
// can never be stored.
func (t *Troupe) newIntakeDelivery(d *messages.Delivery) (m *intakeDelivery, refused *messages.DeliveryRefused, err error) {
	terms := t.terms.Load()
	if terms.isStale(d) {
		return nil, nil, ErrRouteGone
	}
	a := newAccept(d)
	shard := t.deps.Membership.of(a)
	newID := func() task.ID { return inShard(t.deps.NewID(), shard) }
	id, record := newID(), a.record
	terms.fill(record, d, id, newID)
	body := &journalv1.TaskAccepted{PackedHeaders: record.PackedHeaders, Body: record.Body, PackedBody: record.PackedBody}
	record.PackedHeaders, record.Body, record.PackedBody = nil, nil, nil
	m = &intakeDelivery{delivery: d, shard: ShardDelivery{Shard: shard, Task: id, Claim: a.hash}}
	if m.shard.Head, err = proto.Marshal(record); err != nil {
		return nil, nil, err
	}
	if m.shard.Body, err = proto.Marshal(body); err != nil {
		return nil, nil, err
	}
	if max(len(m.shard.Head)+len(m.shard.Body), len(d.GetBody())) > journal.MaxRecordBytes {
		return nil, tooLarge, nil
	}
	return m, nil, nil
}
