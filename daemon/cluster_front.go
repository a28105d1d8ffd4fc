package daemon

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hooktroupe/hooktroupe/actors"
	"github.com/hooktroupe/hooktroupe/cluster"
	"github.com/hooktroupe/hooktroupe/cluster/peers"
	"github.com/hooktroupe/hooktroupe/http/status"
	"github.com/hooktroupe/hooktroupe/http/stream"
	"github.com/hooktroupe/hooktroupe/internal/clock"
	"github.com/hooktroupe/hooktroupe/journal"
	"github.com/hooktroupe/hooktroupe/messages"
	pb "github.com/hooktroupe/hooktroupe/messages/clusterv1"
	"github.com/hooktroupe/hooktroupe/metrics"
	"github.com/hooktroupe/hooktroupe/task"
)

// errIncomplete means that some shards have no owner that answers at the moment, so that what was asked cannot be said whole.
var errIncomplete = &status.Away{Detail: "some shards have no owner that works them at the moment"}

const (
	// askAgain is the wait before a member is asked again, or another, after the owner of a shard was away.
	askAgain = 250 * time.Millisecond
	// askFor bounds how long a question about one shard looks for an owner that answers.
	askFor = 3 * time.Second
	// redeliveryPatience bounds how long a duplicate waits for the owner's word: its sender waits, too.
	redeliveryPatience = time.Second
)

// front is the gate of a cluster's member: it answers for all members. A question about one task, or one key, goes to the owner of
// its shard, here or elsewhere; one about all goes to every member.
type front struct {
	*gate
	clock  clock.Clock
	node   *cluster.Node
	peers  *peers.Peers
	counts *metrics.Cluster
	own    *stream.Feed // what changes at this member alone
	log    shardLog
	shards int
	joined chan struct{} // closed once all of the above is there
}

// ask asks the owner of a shard. While it is away, whoever becomes the owner is asked; in the end the error is status.Away.
func (f *front) ask(ctx context.Context, shard int, q func() *pb.Ask) (*pb.Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	for {
		a, err := f.askOwner(ctx, shard, q())
		if err == nil || !errors.Is(err, peers.ErrAway) && !errors.Is(err, peers.ErrUnreachable) {
			return a, err
		}
		if !f.pause(ctx, askAgain) {
			return nil, f.away(shard)
		}
	}
}

// away says who has a shard about which nobody answers.
func (f *front) away(shard int) error {
	member, _, owned := f.node.Owner(shard)
	if !owned {
		return &status.Away{Detail: fmt.Sprintf("shard %d has no owner at the moment", shard)}
	}
	return &status.Away{Detail: fmt.Sprintf("shard %d is with member %s, which does not answer for it", shard, member)}
}

// pause waits for a moment, and says whether ctx has not ended.
func (f *front) pause(ctx context.Context, d time.Duration) bool { return pause(ctx, f.clock, d) }

// pause waits for a moment, and says whether ctx has not ended.
func pause(ctx context.Context, c clock.Clock, d time.Duration) bool {
	over := make(chan struct{})
	timer := c.AfterFunc(d, func() { close(over) })
	defer timer.Stop()
	select {
	case <-over:
		return true
	case <-ctx.Done():
		return false
	}
}

func (f *front) askOwner(ctx context.Context, shard int, q *pb.Ask) (*pb.Answer, error) {
	if f.member() == nil {
		return nil, errStarting
	}
	if _, ours := f.node.Generation(shard); ours {
		return peers.Judge(f.answer(ctx, q))
	}
	_, address, owned := f.node.Owner(shard)
	if !owned || address == f.peers.Address() {
		return nil, peers.ErrAway
	}
	return f.askMember(ctx, address, q)
}

// askMember asks one other member, and counts.
func (f *front) askMember(ctx context.Context, address string, q *pb.Ask) (*pb.Answer, error) {
	started := f.clock.Now()
	a, err := f.peers.Ask(ctx, address, q)
	f.counts.QuestionSeconds.Observe(f.clock.Now().Sub(started).Seconds())
	f.counts.Questions.With(outcomeWord(err)).Inc()
	return a, err
}

// outcomeWord is what became of a question, as the metrics name it.
func outcomeWord(err error) string {
	switch {
	case err == nil:
		return "answered"
	case errors.Is(err, peers.ErrAway):
		return "away"
	case errors.Is(err, peers.ErrUnreachable):
		return "unreachable"
	case errors.Is(err, peers.ErrBusy):
		return "busy"
	case errors.Is(err, peers.ErrNotSupported):
		return "unsupported"
	default:
		return "failed"
	}
}

// answerMember answers a question of another member, and counts.
func (f *front) answerMember(ctx context.Context, q *pb.Ask) *pb.Answer {
	if follow := q.GetFollowChanges(); follow != nil {
		return &pb.Answer{Answer: &pb.Answer_Changes{Changes: f.changesAfter(ctx, follow.GetAfter())}}
	}
	a := f.answer(ctx, q)
	_, err := peers.Judge(a)
	f.counts.Asked.With(outcomeWord(err)).Inc()
	return a
}

// askAll asks every member, this one included, and returns all answers; an error where one of them does not answer, which is
// status.Away unless it is something else, and where a shard has no owner, for then nobody answers for its tasks.
func (f *front) askAll(ctx context.Context, q func() *pb.Ask) ([]*pb.Answer, error) {
	if f.member() == nil {
		return nil, errStarting
	}
	view := f.node.View()
	if unowned := count(view.Shards, func(s cluster.ShardView) bool { return s.Owner == "" }); unowned > 0 {
		return nil, &status.Away{Detail: fmt.Sprintf("%d shards have no owner at the moment", unowned)}
	}
	type outcome struct {
		member string
		answer *pb.Answer
		err    error
	}
	outcomes := make(chan outcome)
	asked := 1
	go func() {
		a, err := peers.Judge(f.answer(ctx, q()))
		outcomes <- outcome{"this one", a, err}
	}()
	for _, m := range view.Members {
		if m.Self || !m.Alive || m.Address == f.peers.Address() {
			continue
		}
		asked++
		go func() {
			a, err := f.askMember(ctx, m.Address, q())
			outcomes <- outcome{m.Name, a, err}
		}()
	}
	var answers []*pb.Answer
	var away, errs []error
	for range asked {
		switch o := <-outcomes; {
		case o.err == nil:
			answers = append(answers, o.answer)
		case errors.Is(o.err, peers.ErrUnreachable), errors.Is(o.err, peers.ErrAway):
			away = append(away, fmt.Errorf("member %s does not answer", o.member))
		default:
			errs = append(errs, fmt.Errorf("member %s: %w", o.member, o.err))
		}
	}
	if len(away) > 0 && len(errs) == 0 {
		return answers, &status.Away{Detail: strings.ReplaceAll(errors.Join(away...).Error(), "\n", ", ")}
	}
	return answers, errors.Join(slices.Concat(errs, away)...)
}

// count is how many of them are so.
func count[T any](all []T, so func(T) bool) (n int) {
	for _, one := range all {
		if so(one) {
			n++
		}
	}
	return n
}

// Accept is ingress.Acceptor. A duplicate is its owner's to judge; where the owner is away, it finds a note when it is back.
func (f *front) Accept(
	ctx context.Context, d *messages.Delivery,
) (*messages.DeliveryAccepted, *messages.DeliveryRefused, error) {
	if !f.takes() {
		return nil, storeAway("this member of the cluster takes no deliveries at the moment"), nil
	}
	accepted, refused, err := f.gate.Accept(ctx, d)
	if !accepted.GetDuplicate() {
		return accepted, refused, err
	}
	return f.redelivered(ctx, accepted)
}

func (f *front) redelivered(
	ctx context.Context, seen *messages.DeliveryAccepted,
) (*messages.DeliveryAccepted, *messages.DeliveryRefused, error) {
	id, err := task.ParseID(seen.GetWebhookId())
	if err != nil {
		return nil, nil, err
	}
	wait, cancel := context.WithTimeout(ctx, redeliveryPatience)
	defer cancel()
	a, err := f.ask(wait, actors.ShardOfTask(id), func() *pb.Ask {
		return &pb.Ask{Question: &pb.Ask_Redelivered{Redelivered: &pb.Redelivered{WebhookId: seen.GetWebhookId()}}}
	})
	switch {
	case err == nil && a.GetAccepted() != nil:
		return a.GetAccepted(), nil, nil
	case err == nil && a.GetRefused() != nil:
		return nil, a.GetRefused(), nil
	}
	if f.log.note(ctx, id, f.clock.Now().UnixNano()) != nil {
		return nil, storeAway("the store does not answer"), nil
	}
	seen.Status = messages.Status_STATUS_QUEUED
	return seen, nil, nil
}

// takes says whether deliveries are taken: not without the store. A member that leaves goes on until its listeners close.
func (f *front) takes() bool {
	n := f.member()
	if n == nil {
		return true
	}
	err := n.Ready()
	return err == nil || errors.Is(err, cluster.ErrLeaving)
}

// storeAway is the answer to a delivery that cannot be stored, or of which nobody can say what became of it.
func storeAway(detail string) *messages.DeliveryRefused {
	return &messages.DeliveryRefused{
		Reason: messages.Refusal_REFUSAL_STORE_UNAVAILABLE, RetryAfter: retryStarting, Detail: detail,
	}
}

// shardOf is the shard of a task; ok is false where there can be none of that ID.
func (f *front) shardOf(id string) (shard int, ok bool) {
	parsed, err := task.ParseID(id)
	if err != nil {
		return 0, false
	}
	shard = actors.ShardOfTask(parsed)
	return shard, shard < f.shards
}

// Get is status.Tasks.
func (f *front) Get(ctx context.Context, id string) (*messages.Task, error) {
	found, _, err := f.find(ctx, id)
	return found, err
}

func (f *front) find(ctx context.Context, id string) (*messages.Task, journal.Position, error) {
	if f.member() == nil {
		return nil, journal.Position{}, errStarting
	}
	shard, ok := f.shardOf(id)
	if !ok {
		return nil, journal.Position{}, nil
	}
	a, err := f.ask(ctx, shard, func() *pb.Ask {
		return &pb.Ask{Question: &pb.Ask_GetTask{GetTask: &messages.GetTask{WebhookId: id}}}
	})
	if err != nil {
		return nil, journal.Position{}, err
	}
	found := a.GetFoundTask()
	return found.GetTask(), journal.Position{
		Segment: found.GetSegment(), Offset: found.GetOffset(), Length: found.GetLength(),
	}, nil
}

// Delivery is status.Tasks. The owner says where it lies, and it is read from here.
func (f *front) Delivery(ctx context.Context, id string) (*messages.Task, *messages.Delivery, error) {
	found, at, err := f.find(ctx, id)
	if err != nil || found == nil || at.IsZero() {
		return found, nil, err
	}
	delivery, err := actors.ReadDelivery(f.log, at)
	if err != nil {
		return nil, nil, fmt.Errorf("read the delivery of task %s: %w", id, err)
	}
	found.DeliveryId = delivery.GetDeliveryId()
	return found, delivery, nil
}

// List is status.Tasks: the pages of all members, merged.
func (f *front) List(ctx context.Context, q status.Query) ([]*messages.Task, string, error) {
	query, some, err := f.query(q)
	if err != nil || !some {
		return nil, "", err
	}
	m := &pb.ListTasks{
		Filter: &messages.Filter{
			Source: query.Source, EventType: query.EventType, Key: query.Key, Route: query.Route, Text: query.Text,
			From: query.From, Until: query.Until, Statuses: q.Statuses,
		},
		Words: query.Words, Routes: query.Routes, Limit: uint32(max(0, query.Limit)),
	}
	if query.After != (task.ID{}) {
		m.After = query.After[:]
	}
	answers, err := f.askAll(ctx, func() *pb.Ask { return &pb.Ask{Question: &pb.Ask_ListTasks{ListTasks: m}} })
	if err != nil {
		return nil, "", err
	}
	lists := make([]*pb.ListedTasks, len(answers))
	for i, a := range answers {
		lists[i] = a.GetListedTasks()
	}
	tasks, more, err := mergeLists(lists, query.Limit, f.shards)
	if err != nil || !more || len(tasks) == 0 {
		return tasks, "", err
	}
	return tasks, tasks[len(tasks)-1].GetWebhookId(), nil
}

// mergeLists makes one page of those of all members: errIncomplete where not all shards were looked at. A page that a member
// has cut short bounds the merged one, for nobody knows what comes behind it.
func mergeLists(lists []*pb.ListedTasks, limit, shards int) (page []*messages.Task, more bool, err error) {
	seen := make(map[uint32]struct{})
	var bound []byte // of the IDs: nothing older is known of all
	for _, l := range lists {
		for _, s := range l.GetShards() {
			seen[s] = struct{}{}
		}
		page = append(page, l.GetTasks()...)
		if n := len(l.GetTasks()); l.GetMore() && n > 0 {
			more = true
			if last := []byte(l.GetTasks()[n-1].GetWebhookId()); bytes.Compare(last, bound) > 0 {
				bound = last
			}
		}
	}
	if len(seen) < shards {
		return nil, false, errIncomplete
	}
	slices.SortFunc(page, func(a, b *messages.Task) int { return cmp.Compare(b.GetWebhookId(), a.GetWebhookId()) })
	page = slices.CompactFunc(page, func(a, b *messages.Task) bool { return a.GetWebhookId() == b.GetWebhookId() })
	page = slices.DeleteFunc(page, func(t *messages.Task) bool { return bytes.Compare([]byte(t.GetWebhookId()), bound) < 0 })
	if limit > 0 && len(page) > limit {
		page, more = page[:limit], true
	}
	return page, more, nil
}

// Counts is status.Tasks: those of all members.
func (f *front) Counts(ctx context.Context) (*messages.GetCountsReply, error) {
	answers, err := f.askAll(ctx, func() *pb.Ask { return &pb.Ask{Question: &pb.Ask_GetCounts{GetCounts: &messages.GetCounts{}}} })
	if err != nil {
		return nil, err
	}
	sum := &messages.GetCountsReply{}
	for _, a := range answers {
		c := a.GetCounts()
		sum.Queued += c.GetQueued()
		sum.Processing += c.GetProcessing()
		sum.Retrying += c.GetRetrying()
		sum.Completed += c.GetCompleted()
		sum.Failed += c.GetFailed()
		sum.Cancelled += c.GetCancelled()
		sum.Superseded += c.GetSuperseded()
		if at := c.GetOldestWaitingAt(); at != 0 && (sum.GetOldestWaitingAt() == 0 || at < sum.GetOldestWaitingAt()) {
			sum.OldestWaitingAt = at
		}
	}
	return sum, nil
}

// change sends a command to the owner of a task.
func (f *front) change(ctx context.Context, id string, q func() *pb.Ask) (*messages.Task, *messages.TaskRefused, error) {
	if f.member() == nil {
		return nil, nil, errStarting
	}
	shard, ok := f.shardOf(id)
	if !ok {
		return nil, &messages.TaskRefused{NotFound: true, Detail: "no such task"}, nil
	}
	a, err := f.ask(ctx, shard, q)
	if err != nil {
		return nil, nil, err
	}
	if a.GetTaskRefused() != nil {
		return nil, a.GetTaskRefused(), nil
	}
	return a.GetTaskChanged().GetTask(), nil, nil
}

// Cancel is status.Tasks.
func (f *front) Cancel(ctx context.Context, id, reason string) (*messages.Task, *messages.TaskRefused, error) {
	return f.change(ctx, id, func() *pb.Ask {
		return &pb.Ask{Question: &pb.Ask_CancelTask{CancelTask: &messages.CancelTask{WebhookId: id, Reason: reason}}}
	})
}

// Retry is status.Tasks.
func (f *front) Retry(ctx context.Context, id string) (*messages.Task, *messages.TaskRefused, error) {
	return f.change(ctx, id, func() *pb.Ask {
		return &pb.Ask{Question: &pb.Ask_RetryTask{RetryTask: &messages.RetryTask{WebhookId: id}}}
	})
}

// Move is status.Lanes.
func (f *front) Move(ctx context.Context, id string, front bool) (*messages.Task, *messages.TaskRefused, error) {
	return f.change(ctx, id, func() *pb.Ask {
		return &pb.Ask{Question: &pb.Ask_MoveTask{MoveTask: &messages.MoveTask{WebhookId: id, Front: front}}}
	})
}

// Lanes is status.Lanes: those of a key are with one owner, the longest of all are the longest of each.
func (f *front) Lanes(ctx context.Context, q *messages.GetLanes) (*messages.GetLanesReply, error) {
	if f.member() == nil {
		return nil, errStarting
	}
	ask := func() *pb.Ask { return &pb.Ask{Question: &pb.Ask_GetLanes{GetLanes: q}} }
	if q.GetKey() != "" {
		a, err := f.ask(ctx, actors.ShardOf(q.GetKey(), f.shards), ask)
		return a.GetLanes(), err
	}
	answers, err := f.askAll(ctx, ask)
	if err != nil {
		return nil, err
	}
	all := &messages.GetLanesReply{}
	for _, a := range answers {
		all.Lanes = append(all.Lanes, a.GetLanes().GetLanes()...)
		all.Total += a.GetLanes().GetTotal()
	}
	slices.SortStableFunc(all.Lanes, func(a, b *messages.Lane) int { return cmp.Compare(b.GetWaitingTotal(), a.GetWaitingTotal()) })
	if limit := int(q.GetLimit()); limit > 0 && len(all.GetLanes()) > limit {
		all.Lanes = all.GetLanes()[:limit]
	}
	return all, nil
}

// PauseLane is status.Lanes.
func (f *front) PauseLane(ctx context.Context, c *messages.PauseLane) (*messages.LanesChanged, error) {
	if f.member() == nil {
		return nil, errStarting
	}
	a, err := f.ask(ctx, actors.ShardOf(c.GetKey(), f.shards), func() *pb.Ask {
		return &pb.Ask{Question: &pb.Ask_PauseLane{PauseLane: c}}
	})
	return a.GetLanesChanged(), err
}
