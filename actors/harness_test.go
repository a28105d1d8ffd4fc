package actors_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/hooktroupe/hooktroupe/actors"
	"github.com/hooktroupe/hooktroupe/handler"
	"github.com/hooktroupe/hooktroupe/internal/clock"
	"github.com/hooktroupe/hooktroupe/journal"
	"github.com/hooktroupe/hooktroupe/journal/memory"
	"github.com/hooktroupe/hooktroupe/messages"
	"github.com/hooktroupe/hooktroupe/metrics"
	"github.com/hooktroupe/hooktroupe/task"
)

// patience bounds every wait; a healthy troupe needs milliseconds.
const patience = 20 * time.Second

var epoch = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// stage is a troupe with everything around it under the test's hand.
type stage struct {
	*actors.Troupe
	t         *testing.T
	clock     *clock.Fake
	journal   *flakyJournal
	snapshots journal.Snapshots
	mux       *handler.Mux
	metrics   *metrics.Set
	config    actors.Config
	routes    []actors.Route
	watch     func(actors.Change)
	export    actors.Export

	mu     sync.Mutex // guards events
	events []actors.AttemptFailed
	ids    uint64
}

// newStage prepares a troupe with one handler for everything; raise starts it.
func newStage(t *testing.T, h handler.Func) *stage {
	t.Helper()
	kept, err := memory.New(memory.Config{})
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{
		t: t, clock: clock.NewFake(epoch), journal: &flakyJournal{Journal: kept}, snapshots: &memory.Snapshots{},
		mux: handler.NewMux(),
		// The clock leaps, and may do so often while others have no time to run: it must not carry away what is finished.
		config: actors.Config{Workers: 3, AnswerTimeout: time.Hour, CleanupAge: never},
	}
	if h != nil {
		s.bind("*", "*", "all", h)
	}
	t.Cleanup(func() {
		if s.Troupe != nil {
			_ = s.Stop() // a test that has stopped it already stops nothing here
		}
	})
	return s
}

func (s *stage) bind(source, event, name string, h handler.Func) {
	s.t.Helper()
	if err := s.mux.Register(source, event, handler.Binding{Name: name, Handler: h}); err != nil {
		s.t.Fatal(err)
	}
}

// raise recovers and starts the troupe.
func (s *stage) raise() *stage {
	s.t.Helper()
	state, err := actors.Recover(s.journal, s.snapshots, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.raiseFrom(state)
}

// raiseFrom starts the troupe from what was recovered.
func (s *stage) raiseFrom(state *actors.State) *stage {
	s.t.Helper()
	s.metrics = metrics.New()
	var err error
	s.Troupe, err = actors.Start(s.config, actors.Deps{
		Journal: s.journal, Snapshots: s.snapshots, Handlers: s.mux, Routes: s.routes, Metrics: s.metrics, Clock: s.clock,
		Random: func() float64 { return 0.5 }, NewID: s.newID, Observe: s.observe, Watch: s.watch, Export: s.export,
	}, state)
	if err != nil {
		s.t.Fatal(err)
	}
	return s
}

// newID counts, so that IDs grow with time whatever the fake clock does.
func (s *stage) newID() task.ID {
	s.ids++
	var id task.ID
	binary.BigEndian.PutUint64(id[8:], s.ids)
	return id
}

func (s *stage) observe(e actors.Event) {
	if failed, ok := e.(actors.AttemptFailed); ok {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.events = append(s.events, failed)
	}
}

func (s *stage) failures() []actors.AttemptFailed {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]actors.AttemptFailed(nil), s.events...)
}

// delivery is one of source test.
func (s *stage) delivery(id string) *messages.Delivery {
	return &messages.Delivery{
		Source: "test", EventType: "thing.done", DeliveryId: id, ReceivedAt: s.clock.Now().UnixNano(),
		Headers: []*messages.Header{{Name: "Content-Type", Value: "text/plain"}}, Body: []byte("body of " + id),
	}
}

// accept sends a delivery that must be accepted.
func (s *stage) accept(d *messages.Delivery) *messages.DeliveryAccepted {
	s.t.Helper()
	accepted, refused, err := s.Accept(context.Background(), d)
	if accepted == nil {
		s.t.Fatalf("not accepted: %v, %v", refused, err)
	}
	return accepted
}

// refuse sends a delivery that must be refused for that reason.
func (s *stage) refuse(d *messages.Delivery, reason messages.Refusal) {
	s.t.Helper()
	accepted, refused, err := s.Accept(context.Background(), d)
	if refused.GetReason() != reason {
		s.t.Fatalf("got %v, %v, %v; want a refusal for %v", accepted, refused, err, reason)
	}
}

func (s *stage) get(id string) *messages.Task {
	s.t.Helper()
	got, err := s.Get(context.Background(), id)
	if err != nil {
		s.t.Fatal(err)
	}
	return got
}

// await waits until a task has that status.
func (s *stage) await(id string, status messages.Status) *messages.Task {
	s.t.Helper()
	var got *messages.Task
	s.eventually(fmt.Sprintf("task %s is %v", id, status), func() bool {
		got = s.get(id)
		return got.GetStatus() == status
	})
	return got
}

// tick lets one second pass after the other until a task has that status: what happens once a second needs a clock that is
// looked at after the last leap.
func (s *stage) tick(id string, status messages.Status) *messages.Task {
	s.t.Helper()
	s.eventually(fmt.Sprintf("task %s is %v", id, status), func() bool {
		if s.get(id).GetStatus() == status {
			return true
		}
		s.clock.Advance(time.Second)
		return false
	})
	return s.get(id)
}

// eventually asks until the answer is yes: every question goes through the registry's mailbox, so others make progress.
func (s *stage) eventually(what string, yes func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(patience); !yes(); {
		if time.Now().After(deadline) {
			s.t.Fatalf("not so within %v: %s", patience, what)
		}
		if _, err := s.Counts(context.Background()); err != nil {
			s.t.Fatal(err)
		}
	}
}

// awaitRetry waits until a task is retrying, and moves the clock to its due time.
func (s *stage) awaitRetry(id string) *messages.Task {
	s.t.Helper()
	got := s.await(id, messages.Status_STATUS_RETRYING)
	s.advanceTo(got.GetDueAt())
	return got
}

func (s *stage) advanceTo(nanos int64) {
	s.clock.Advance(max(0, time.Unix(0, nanos).Sub(s.clock.Now())))
}

// crash forgets the troupe without a word, as a killed process would; raise brings up the next.
func (s *stage) crash() {
	s.t.Helper()
	if err := s.Stop(); err != nil {
		s.t.Fatal(err)
	}
	s.journal.reset()
}

// flakyJournal is a journal whose appends can be held back or made to fail.
type flakyJournal struct {
	journal.Journal
	mu      sync.Mutex // guards what follows
	hold    chan struct{}
	fail    func(opts journal.Options, group []journal.Entry) error
	readErr error
	appends int
}

func (j *flakyJournal) reset() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.hold, j.fail, j.readErr = nil, nil, nil
}

// holdBack makes appends wait until the returned function is called.
func (j *flakyJournal) holdBack() (release func()) {
	held := make(chan struct{})
	j.mu.Lock()
	defer j.mu.Unlock()
	j.hold = held
	return func() {
		j.mu.Lock()
		j.hold = nil
		j.mu.Unlock()
		close(held)
	}
}

func (j *flakyJournal) failWith(fail func(journal.Options, []journal.Entry) error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.fail = fail
}

func (j *flakyJournal) Append(
	dst []journal.Position, group []journal.Entry, opts journal.Options,
) ([]journal.Position, error) {
	j.mu.Lock()
	hold, fail := j.hold, j.fail
	j.appends++
	j.mu.Unlock()
	if hold != nil {
		<-hold
	}
	if fail != nil {
		if err := fail(opts, group); err != nil {
			return nil, err
		}
	}
	return j.Journal.Append(dst, group, opts)
}

func (j *flakyJournal) Read(at journal.Position) (journal.Record, error) {
	j.mu.Lock()
	err := j.readErr
	j.mu.Unlock()
	if err != nil {
		return journal.Record{}, err
	}
	return j.Journal.Read(at)
}

var errHandler = errors.New("the sink is away")
