package actors_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/hooktroupe/hooktroupe/actors"
	"github.com/hooktroupe/hooktroupe/handler"
	"github.com/hooktroupe/hooktroupe/internal/clock"
	"github.com/hooktroupe/hooktroupe/messages"
	"github.com/hooktroupe/hooktroupe/messages/journalv1"
	"github.com/hooktroupe/hooktroupe/metrics"
	"github.com/hooktroupe/hooktroupe/schedule"
	"github.com/hooktroupe/hooktroupe/task"
)

const (
	testShards = 4
	never      = 10 * 365 * 24 * time.Hour
)

// cluster is several members over one store in memory, under the test's hand: who owns what is what the test says.
type cluster struct {
	t     *testing.T
	log   *memoryLog
	clock *clock.Fake
	ids   atomic.Uint64
	skew  atomic.Int64 // how far behind the clock is that IDs are made by
	h     handler.Func
	// routes are those of every member.
	routes []actors.Route
}

// member is one of them.
type member struct {
	*actors.Troupe
	*cluster
	name string

	mu     sync.Mutex // guards what follows
	valid  map[int]int64
	fenced []int
}

func newCluster(t *testing.T, h handler.Func) *cluster {
	t.Helper()
	return &cluster{t: t, log: newMemoryLog(), clock: clock.NewFake(epoch), h: h}
}

// join starts a member that owns nothing.
func (c *cluster) join(name string) *member {
	c.t.Helper()
	m := &member{cluster: c, name: name, valid: make(map[int]int64)}
	mux := handler.NewMux()
	if err := mux.Register("*", "*", handler.Binding{Name: "all", Handler: c.h}); err != nil {
		c.t.Fatal(err)
	}
	var err error
	// The clock leaps while others have no time to run: no attempt may end for that.
	m.Troupe, err = actors.Start(actors.Config{Workers: 3, AnswerTimeout: never, AttemptTimeout: never, CleanupAge: never}, actors.Deps{
		Membership: &actors.Membership{
			Log: c.log, Shards: testShards, Valid: m.isValid, Fenced: m.isFenced, Stored: func([]int) {},
		},
		Handlers: mux, Routes: c.routes, Metrics: metrics.New(), Clock: c.clock,
		Random: func() float64 { return 0.5 }, NewID: c.newID,
	}, actors.NewState())
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = m.Stop() })
	return m
}

func (c *cluster) newID() task.ID {
	var id task.ID
	binary.BigEndian.PutUint64(id[:8], uint64(c.clock.Now().Add(-time.Duration(c.skew.Load())).UnixMilli())<<16|0x7000)
	id[8] = 0x80
	binary.BigEndian.PutUint32(id[12:], uint32(c.ids.Add(1)))
	return id
}

func (m *member) isValid(shard int, generation int64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.valid[shard] == generation
}

func (m *member) isFenced(shard int, generation int64) {
	m.mu.Lock()
	if m.valid[shard] == generation {
		delete(m.valid, shard)
		m.fenced = append(m.fenced, shard)
	}
	m.mu.Unlock()
	m.LeaveShard(shard, generation, false, func() {})
}

// take makes the member the owner of shards, all of them by default.
func (m *member) take(shards ...int) *member {
	m.t.Helper()
	if len(shards) == 0 {
		shards = []int{0, 1, 2, 3}
	}
	for _, shard := range shards {
		var generation int64
		m.log.set(func(l *memoryLog) {
			l.generations[shard]++
			generation = l.generations[shard]
		})
		m.mu.Lock()
		m.valid[shard] = generation
		m.mu.Unlock()
		m.TakeShard(shard, generation)
	}
	m.eventually("the shards are served", func() bool { return len(m.served()) >= len(shards) })
	return m
}

func (m *member) served() []int {
	_, _, shards, err := m.ListServed(context.Background(), actors.Query{})
	if err != nil {
		m.t.Fatal(err)
	}
	return shards
}

// lapse takes the validity of all shards away, as a clock does.
func (m *member) lapse() map[int]int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	had := m.valid
	m.valid = make(map[int]int64)
	return had
}

// validate gives it back, as a renewal does.
func (m *member) validate(had map[int]int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.valid = had
}

// leave ends the work for all shards and waits until nothing is done for them any more.
func (m *member) leave(graceful bool) {
	m.t.Helper()
	m.mu.Lock()
	had := m.valid
	m.mu.Unlock()
	done := make(chan struct{}, len(had))
	for shard, generation := range had {
		m.LeaveShard(shard, generation, graceful, func() { done <- struct{}{} })
	}
	for range had {
		m.wait("a shard is drained", done)
	}
	m.lapse()
}

func (c *cluster) wait(what string, done <-chan struct{}) {
	c.t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case <-done:
			return
		case <-deadline:
			c.t.Fatalf("not so within %v: %s", patience, what)
		default:
			c.clock.Advance(5 * time.Millisecond)
		}
	}
}

// eventually moves the clock until the answer is yes.
func (c *cluster) eventually(what string, yes func() bool) {
	c.t.Helper()
	for deadline := time.Now().Add(patience); !yes(); {
		if time.Now().After(deadline) {
			c.t.Fatalf("not so within %v: %s", patience, what)
		}
		c.clock.Advance(5 * time.Millisecond)
	}
}

func (c *cluster) delivery(id, key string) *messages.Delivery {
	d := &messages.Delivery{
		Source: "test", EventType: "thing.done", DeliveryId: id, Key: key, ReceivedAt: c.clock.Now().UnixNano(),
		Headers: []*messages.Header{{Name: "Content-Type", Value: "text/plain"}}, Body: []byte("body of " + id),
	}
	if len(c.routes) > 0 {
		d.Assignments = []*messages.Assignment{{Route: c.routes[0].Name, Key: key}}
	}
	return d
}

// accept has the member take a delivery.
func (m *member) accept(id, key string) *messages.DeliveryAccepted {
	m.t.Helper()
	accepted, refused, err := m.Accept(context.Background(), m.delivery(id, key))
	if accepted == nil {
		m.t.Fatalf("not accepted: %v, %v", refused, err)
	}
	return accepted
}

// await waits until a task has that status with the member, which owns it.
func (m *member) await(id string, status messages.Status) *messages.Task {
	m.t.Helper()
	var got *messages.Task
	m.eventually(fmt.Sprintf("task %s is %v", id, status), func() bool {
		var err error
		got, err = m.Get(context.Background(), id)
		if err != nil && !errors.Is(err, actors.ErrAway) {
			m.t.Fatal(err)
		}
		return got.GetStatus() == status
	})
	return got
}

func shardOf(t *testing.T, id string) int {
	t.Helper()
	parsed, err := task.ParseID(id)
	if err != nil {
		t.Fatal(err)
	}
	return actors.ShardOfTask(parsed)
}

func TestAnyMemberAcceptsAndTheOwnerWorks(t *testing.T) {
	var bodies sync.Map
	c := newCluster(t, func(_ context.Context, task *handler.Task) ([]byte, error) {
		bodies.Store(task.ID, string(task.Body))
		return []byte("done"), nil
	})
	front, owner := c.join("front"), c.join("owner").take()
	for n := range 20 {
		accepted := front.accept(fmt.Sprint("d", n), fmt.Sprint("key", n%7))
		if got, want := shardOf(t, accepted.GetWebhookId()), actors.ShardOf(fmt.Sprint("key", n%7), testShards); got != want {
			t.Fatalf("the task is in shard %d, its key in %d", got, want)
		}
		owner.await(accepted.GetWebhookId(), messages.Status_STATUS_COMPLETED) // it looks by itself
		if body, _ := bodies.Load(accepted.GetWebhookId()); body != fmt.Sprint("body of d", n) {
			t.Errorf("delivery %d was worked with body %q", n, body)
		}
	}
	if _, err := front.Get(context.Background(), front.accept("d0", "key0").GetWebhookId()); !errors.Is(err, actors.ErrAway) {
		t.Errorf("a member that owns nothing answers %v", err)
	}
}

func TestDuplicatesAndRedeliveriesAcrossMembers(t *testing.T) {
	var fails atomic.Bool
	fails.Store(true)
	c := newCluster(t, func(context.Context, *handler.Task) ([]byte, error) {
		if fails.Load() {
			return nil, handler.Discard(errHandler)
		}
		return nil, nil
	})
	front, owner := c.join("front"), c.join("owner").take()
	first := front.accept("same", "k")
	again := owner.accept("same", "k")
	if !again.GetDuplicate() || again.GetWebhookId() != first.GetWebhookId() {
		t.Fatalf("the duplicate was answered with %v", again)
	}
	owner.await(first.GetWebhookId(), messages.Status_STATUS_FAILED)
	if _, _, err := front.Redelivered(context.Background(), first.GetWebhookId()); !errors.Is(err, actors.ErrAway) {
		t.Errorf("a member that does not own the task answers %v", err)
	}
	fails.Store(false)
	var answer *messages.DeliveryAccepted
	done := make(chan struct{})
	go func() {
		defer close(done)
		answer, _, _ = owner.Redelivered(context.Background(), first.GetWebhookId())
	}()
	c.wait("the redelivery is answered", done)
	if !answer.GetRedelivered() {
		t.Errorf("the redelivery of a failed task was answered with %v", answer)
	}
	got := owner.await(first.GetWebhookId(), messages.Status_STATUS_COMPLETED)
	if len(got.GetAttemptLog()) != 2 {
		t.Errorf("the attempt log has %d lines, want 2", len(got.GetAttemptLog()))
	}
}

func TestARedeliveryThatWasNotedRunsUnderTheNextOwner(t *testing.T) {
	var fails atomic.Bool
	fails.Store(true)
	c := newCluster(t, func(context.Context, *handler.Task) ([]byte, error) {
		if fails.Load() {
			return nil, handler.Discard(errHandler)
		}
		return nil, nil
	})
	first, second := c.join("first").take(), c.join("second")
	id := second.accept("d", "k").GetWebhookId()
	first.await(id, messages.Status_STATUS_FAILED)
	first.leave(true)
	fails.Store(false)
	parsed, _ := task.ParseID(id)
	note, err := proto.Marshal(&journalv1.TaskRedelivered{TaskId: parsed[:]})
	if err != nil {
		t.Fatal(err)
	}
	c.log.note(shardOf(t, id), uint8(journalv1.RecordType_RECORD_TYPE_TASK_REDELIVERED), note)
	second.take()
	second.await(id, messages.Status_STATUS_COMPLETED)
	second.leave(true)
	third := c.join("third").take()
	if got := third.await(id, messages.Status_STATUS_COMPLETED); got.GetAttempts() != 2 {
		t.Errorf("%d attempts, want 2: a note counts once", got.GetAttempts())
	}
}

func TestGracefulLeaveLetsAttemptsEnd(t *testing.T) {
	began, release := make(chan struct{}, 1), make(chan struct{})
	c := newCluster(t, func(ctx context.Context, _ *handler.Task) ([]byte, error) {
		began <- struct{}{}
		<-release
		return nil, ctx.Err()
	})
	first, second := c.join("first").take(), c.join("second")
	id := second.accept("d", "k").GetWebhookId()
	waits := second.accept("e", "k2").GetWebhookId()
	c.wait("the attempt runs", began)
	drained := make(chan struct{})
	first.mu.Lock()
	generation := first.valid[shardOf(t, id)]
	first.mu.Unlock()
	first.LeaveShard(shardOf(t, id), generation, true, func() { close(drained) })
	if _, err := first.Counts(context.Background()); err != nil {
		t.Fatal(err)
	}
	select {
	case <-drained:
		t.Fatal("the shard was given away while an attempt of it runs")
	default:
	}
	close(release)
	c.wait("the shard is drained", drained)
	first.leave(true)
	second.take()
	if got := second.await(id, messages.Status_STATUS_COMPLETED); got.GetAttempts() != 1 {
		t.Errorf("%d attempts, want 1", got.GetAttempts())
	}
	second.await(waits, messages.Status_STATUS_COMPLETED)
}

func TestATakenShardRefusesTheOldOwner(t *testing.T) {
	began, release := make(chan struct{}), make(chan struct{})
	var runs atomic.Int32
	c := newCluster(t, func(context.Context, *handler.Task) ([]byte, error) {
		if runs.Add(1) == 1 {
			close(began)
			<-release // whatever its context says
			return []byte("late"), nil
		}
		return []byte("in time"), nil
	})
	stale, next := c.join("stale").take(), c.join("next")
	id := next.accept("d", "k").GetWebhookId()
	c.wait("the attempt runs", began)
	c.eventually("its start is in the log", func() (yes bool) {
		c.log.set(func(l *memoryLog) { yes = len(l.written) > 0 })
		return yes
	})
	next.take() // the stale owner does not know
	got := next.await(id, messages.Status_STATUS_COMPLETED)
	if string(got.GetResult()) != "in time" || got.GetAttempts() != 2 {
		t.Fatalf("the next owner has %v", got)
	}
	close(release)
	c.eventually("the stale owner is told", func() bool {
		stale.mu.Lock()
		defer stale.mu.Unlock()
		return slices.Contains(stale.fenced, shardOf(t, id))
	})
	if got := next.await(id, messages.Status_STATUS_COMPLETED); string(got.GetResult()) != "in time" {
		t.Errorf("the late result was taken: %v", got)
	}
	c.log.set(func(l *memoryLog) {
		newest := make(map[int]int64)
		for _, w := range l.written {
			if w.generation < newest[w.shard] {
				t.Errorf("shard %d: generation %d wrote after %d", w.shard, w.generation, newest[w.shard])
			}
			newest[w.shard] = w.generation
		}
	})
}

func TestALapsedLeaseStartsNothing(t *testing.T) {
	var runs atomic.Int32
	c := newCluster(t, func(context.Context, *handler.Task) ([]byte, error) {
		runs.Add(1)
		return nil, nil
	})
	owner, front := c.join("owner").take(), c.join("front")
	had := owner.lapse()
	id := front.accept("d", "k").GetWebhookId()
	c.clock.Advance(5 * time.Second)
	if _, err := owner.Counts(context.Background()); err != nil {
		t.Fatal(err)
	}
	if _, refused, err := owner.Cancel(context.Background(), id, "no"); err != nil || !refused.GetAway() {
		t.Errorf("a command without a valid lease: %v, %v", refused, err)
	}
	if runs.Load() != 0 {
		t.Error("an attempt was started without a valid lease")
	}
	for shard, generation := range had {
		owner.LeaveShard(shard, generation, false, func() {})
	}
	front.take()
	front.await(id, messages.Status_STATUS_COMPLETED)
}

// A member that slept between an attempt's assignment and its begin does not run it: another may by then.
func TestAnAttemptDoesNotBeginAfterItsLease(t *testing.T) {
	var runs atomic.Int32
	c := newCluster(t, func(context.Context, *handler.Task) ([]byte, error) {
		runs.Add(1)
		return nil, nil
	})
	owner, front := c.join("owner").take(), c.join("front")
	var had map[int]int64 // set once, before the attempt's end is in the log
	var slept sync.Once
	c.log.set(func(l *memoryLog) { l.reading = func() { slept.Do(func() { had = owner.lapse() }) } })
	id := front.accept("d", "k").GetWebhookId() // the owner has to read it
	c.eventually("the end of the attempt is in the log", func() (yes bool) {
		c.log.set(func(l *memoryLog) {
			yes = slices.ContainsFunc(l.logs[shardOf(t, id)], func(r storedRecord) bool {
				return slices.Contains(r.kinds(t), journalv1.RecordType_RECORD_TYPE_ATTEMPT_ENDED)
			})
		})
		return yes
	})
	if runs.Load() != 0 {
		t.Error("the handler ran without a lease")
	}
	owner.validate(had)
	owner.await(id, messages.Status_STATUS_COMPLETED)
	if runs.Load() != 1 {
		t.Errorf("the handler ran %d times", runs.Load())
	}
}

// TestALeaseThatIsRenewedAtTheLastMoment has the registry find its lease lapsed, and then valid again, without being told to leave
// any shard: nothing that waits is forgotten, and the order is kept.
func TestALeaseThatIsRenewedAtTheLastMoment(t *testing.T) {
	var mu sync.Mutex
	var order []string
	h := handler.Func(func(_ context.Context, task *handler.Task) ([]byte, error) {
		mu.Lock()
		defer mu.Unlock()
		order = append(order, string(task.Body))
		return nil, nil
	})
	c := newCluster(t, h)
	c.routes = serialRoute(h)
	owner := c.join("owner").take()
	had := owner.lapse()
	var ids, want []string
	accept := func(n int) {
		ids, want = append(ids, owner.accept(fmt.Sprint("d", n), "k").GetWebhookId()), append(want, fmt.Sprint("body of d", n))
	}
	for n := range 10 {
		accept(n)
	}
	owner.eventually("the registry has heard of all", func() bool {
		counts, err := owner.Counts(context.Background())
		return err == nil && counts.GetQueued() == 10
	})
	owner.validate(had)
	accept(10)
	for _, id := range ids {
		owner.await(id, messages.Status_STATUS_COMPLETED)
	}
	mu.Lock()
	defer mu.Unlock()
	if !slices.Equal(order, want) {
		t.Errorf("worked in the order %q", order)
	}
}

func TestAShardIsLoadedOnceItsLeaseIsCertain(t *testing.T) {
	c := newCluster(t, func(context.Context, *handler.Task) ([]byte, error) { return nil, nil })
	owner := c.join("owner")
	c.log.set(func(l *memoryLog) { l.generations[0]++ })
	owner.TakeShard(0, 1)
	for range 5 {
		c.clock.Advance(time.Second)
		if served := owner.served(); len(served) != 0 {
			t.Fatalf("without a lease, shards %v are served", served)
		}
	}
	owner.validate(map[int]int64{0: 1})
	owner.eventually("the shard is served", func() bool { return len(owner.served()) == 1 })
}

func TestAStoreThatIsAway(t *testing.T) {
	c := newCluster(t, func(context.Context, *handler.Task) ([]byte, error) { return []byte("done"), nil })
	owner := c.join("owner").take()
	c.log.set(func(l *memoryLog) { l.away = true })
	_, refused, err := owner.Accept(context.Background(), c.delivery("d", "k"))
	if refused.GetReason() != messages.Refusal_REFUSAL_STORE_UNAVAILABLE || refused.GetRetryAfter() == 0 {
		t.Fatalf("answered with %v, %v", refused, err)
	}
	c.log.set(func(l *memoryLog) { l.away, l.loseAnswers = false, 3 })
	accepted := owner.accept("d", "k")
	if accepted.GetDuplicate() {
		t.Error("what was refused and not stored is a duplicate")
	}
	owner.await(accepted.GetWebhookId(), messages.Status_STATUS_COMPLETED)
	owner.leave(true)
	next := c.join("next").take()
	if got := next.await(accepted.GetWebhookId(), messages.Status_STATUS_COMPLETED); string(got.GetResult()) != "done" {
		t.Errorf("after answers were lost the next owner has %v", got)
	}
}

// serialRoute runs one task of a key at a time.
func serialRoute(h handler.Func) []actors.Route {
	return []actors.Route{{
		Route:   schedule.Route{Name: "serial", Policy: schedule.Serial},
		Binding: handler.Binding{Name: "all", Handler: h},
	}}
}

func TestSerialOrderIsThatOfTheLogAcrossOwners(t *testing.T) {
	var mu sync.Mutex
	var order []string
	h := handler.Func(func(_ context.Context, task *handler.Task) ([]byte, error) {
		mu.Lock()
		defer mu.Unlock()
		order = append(order, string(task.Body))
		return nil, nil
	})
	c := newCluster(t, h)
	c.routes = serialRoute(h)
	first, second := c.join("first"), c.join("second")
	var ids, want []string
	accept := func(n int) {
		c.skew.Store(int64(n%3) * int64(time.Minute)) // the members' clocks differ: the IDs are in another order
		accepted := []*member{first, second}[n%2].accept(fmt.Sprint("d", n), "k")
		ids, want = append(ids, accepted.GetWebhookId()), append(want, fmt.Sprint("body of d", n))
	}
	for n := range 12 {
		accept(n)
	}
	owner := c.join("owner").take()
	for n := 12; n < 20; n++ {
		accept(n)
	}
	for _, id := range ids {
		owner.await(id, messages.Status_STATUS_COMPLETED)
	}
	mu.Lock()
	defer mu.Unlock()
	if !slices.Equal(order, want) {
		t.Errorf("worked in the order %q", order)
	}
}

func TestSnapshotsOfShardsCarryTheState(t *testing.T) {
	c := newCluster(t, func(_ context.Context, task *handler.Task) ([]byte, error) {
		if task.Attempt == 1 && string(task.Body) == "body of fails" {
			return nil, handler.Discard(errHandler)
		}
		return []byte("r"), nil
	})
	first := c.join("first").take()
	good, bad := first.accept("good", "k").GetWebhookId(), first.accept("fails", "k2").GetWebhookId()
	first.await(good, messages.Status_STATUS_COMPLETED)
	first.await(bad, messages.Status_STATUS_FAILED)
	saved := make(chan struct{})
	go func() {
		defer close(saved)
		if err := first.Snapshot(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	c.wait("the snapshot is taken", saved)
	c.log.set(func(l *memoryLog) {
		if len(l.snapshots) == 0 {
			t.Fatal("no shard has a snapshot")
		}
	})
	first.leave(true)
	second := c.join("second").take()
	if got := second.await(good, messages.Status_STATUS_COMPLETED); string(got.GetResult()) != "r" {
		t.Errorf("the completed task came back as %v", got)
	}
	second.await(bad, messages.Status_STATUS_FAILED)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if _, refused, err := second.Retry(context.Background(), bad); refused != nil || err != nil {
			t.Errorf("retry: %v, %v", refused, err)
		}
	}()
	c.wait("the retry is answered", done)
	second.await(bad, messages.Status_STATUS_COMPLETED)
}
