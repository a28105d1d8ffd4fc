package actors_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hooktroupe/hooktroupe/actors"
	"github.com/hooktroupe/hooktroupe/handler"
	"github.com/hooktroupe/hooktroupe/internal/vfs"
	"github.com/hooktroupe/hooktroupe/journal"
	"github.com/hooktroupe/hooktroupe/journal/wal"
	"github.com/hooktroupe/hooktroupe/messages"
)

func TestDuplicatesMakeNoTask(t *testing.T) {
	var away atomic.Bool
	away.Store(true)
	s := newStage(t, func(context.Context, *handler.Task) ([]byte, error) {
		if away.Load() {
			return nil, errHandler
		}
		return nil, nil
	})
	s.config.MaxAttempts = 2
	s.raise()
	id := s.accept(s.delivery("twice")).GetWebhookId()
	s.await(id, retrying)
	again := s.accept(s.delivery("twice"))
	if !again.GetDuplicate() || again.GetWebhookId() != id || again.GetStatus() != retrying {
		t.Errorf("while retrying: %v", again)
	}
	s.awaitRetry(id)
	s.await(id, failed)
	away.Store(false)
	redelivered := s.accept(s.delivery("twice"))
	if !redelivered.GetRedelivered() || redelivered.GetWebhookId() != id {
		t.Errorf("after the failure: %v", redelivered)
	}
	end := s.await(id, completed)
	if len(end.GetAttemptLog()) != 3 || end.GetAttempts() != 3 {
		t.Errorf("the attempt log was not kept: %v", end)
	}
	if last := s.accept(s.delivery("twice")); !last.GetDuplicate() || last.GetStatus() != completed {
		t.Errorf("after the end: %v", last)
	}
	other := s.delivery("twice")
	other.Source = "another"
	if s.accept(other).GetWebhookId() == id {
		t.Error("the same ID of another source is a duplicate")
	}
	nameless := s.accept(s.delivery("")).GetWebhookId()
	if s.accept(s.delivery("")).GetWebhookId() == nameless {
		t.Error("deliveries without ID are duplicates")
	}
}

// onlyReserve is a journal without room for new deliveries.
func onlyReserve(why error) func(journal.Options, []journal.Entry) error {
	return func(opts journal.Options, _ []journal.Entry) error {
		if opts.Reserve {
			return nil
		}
		return why
	}
}

func TestFullStorageRefusesDeliveriesAndGoesOnWorking(t *testing.T) {
	for why, reason := range map[error]messages.Refusal{
		journal.ErrFull: messages.Refusal_REFUSAL_STORAGE_FULL, journal.ErrBudget: messages.Refusal_REFUSAL_STORAGE_BUDGET,
	} {
		t.Run(reason.String(), func(t *testing.T) { testFullStorage(t, why, reason) })
	}
}

func testFullStorage(t *testing.T, why error, reason messages.Refusal) {
	t.Helper()
	release := make(chan struct{})
	s := newStage(t, func(context.Context, *handler.Task) ([]byte, error) {
		<-release
		return nil, nil
	}).raise()
	stored := s.accept(s.delivery("stored")).GetWebhookId()
	s.await(stored, processing)
	s.journal.failWith(onlyReserve(why))
	s.refuse(s.delivery("refused"), reason)
	close(release)
	s.await(stored, completed)
	s.journal.failWith(nil)
	again := s.accept(s.delivery("refused"))
	if again.GetDuplicate() {
		t.Error("a refused delivery kept its claim on its ID")
	}
	s.await(again.GetWebhookId(), completed)
	s.crash()
	s.raise()
	if got := s.get(stored).GetStatus(); got != completed {
		t.Errorf("after recovery the stored task is %v", got)
	}
}

func TestChangesWithoutAnyRoomAreKeptInOrder(t *testing.T) {
	s := newStage(t, succeed).raise()
	first := s.accept(s.delivery("first")).GetWebhookId()
	s.await(first, completed)
	s.journal.failWith(func(journal.Options, []journal.Entry) error { return journal.ErrFull })
	if _, refused, err := s.Retry(context.Background(), first); refused != nil || err != nil {
		t.Fatal(refused, err)
	}
	s.eventually("it ran again", func() bool {
		got := s.get(first)
		return got.GetAttempts() == 2 && got.GetStatus() == completed
	})
	without := s.journal.Stats().Records
	s.journal.failWith(nil)
	s.eventually("the changes are written", func() bool {
		s.clock.Advance(time.Second)
		return s.journal.Stats().Records > without
	})
	s.await(s.accept(s.delivery("second")).GetWebhookId(), completed)
	before := s.list()
	s.crash()
	s.raise()
	s.same(before)
}

func TestFailedStorageConfirmsNothingMore(t *testing.T) {
	s := newStage(t, succeed).raise()
	s.journal.failWith(func(journal.Options, []journal.Entry) error { return journal.ErrFailed })
	s.refuse(s.delivery("a"), messages.Refusal_REFUSAL_STORAGE_FAILED)
	if err := <-s.Failed(); err == nil {
		t.Error("no error was reported")
	}
	s.journal.failWith(nil)
	s.refuse(s.delivery("b"), messages.Refusal_REFUSAL_STORAGE_FAILED)
}

func TestBacklogIsBounded(t *testing.T) {
	release := make(chan struct{})
	s := newStage(t, func(context.Context, *handler.Task) ([]byte, error) {
		<-release
		return nil, nil
	})
	s.config.MaxWaiting = 5
	s.raise()
	for i := range 5 {
		s.accept(s.delivery(fmt.Sprint(i)))
	}
	s.refuse(s.delivery("one too many"), messages.Refusal_REFUSAL_BACKLOG_FULL)
	if s.accept(s.delivery("3")).GetDuplicate() != true {
		t.Error("a duplicate is refused for want of room")
	}
	close(release)
	s.eventually("there is room again", func() bool {
		counts, _ := s.Counts(context.Background())
		return counts.GetCompleted() == 5
	})
	s.accept(s.delivery("one too many"))
}

func TestCancelReachesTheWork(t *testing.T) {
	started, ended := make(chan string, 1), make(chan error, 1)
	s := newStage(t, func(ctx context.Context, task *handler.Task) ([]byte, error) {
		if task.DeliveryID != "runs" {
			return nil, errHandler
		}
		started <- task.ID
		<-ctx.Done()
		ended <- ctx.Err()
		return []byte("unused"), nil
	})
	s.config.Workers = 1
	s.raise()
	id := s.accept(s.delivery("runs")).GetWebhookId()
	<-started
	waiting := s.accept(s.delivery("waits")).GetWebhookId()
	for _, one := range []string{waiting, id} {
		changed, refused, err := s.Cancel(context.Background(), one, "no longer wanted")
		if changed.GetStatus() != cancelled || changed.GetError() != "no longer wanted" {
			t.Errorf("cancel of %s: %v, %v, %v", one, changed, refused, err)
		}
	}
	if err := <-ended; err == nil {
		t.Error("the context of a cancelled attempt did not end")
	}
	s.await(s.accept(s.delivery("next")).GetWebhookId(), retrying) // the worker is free
	if got := s.get(id); got.GetStatus() != cancelled || len(got.GetResult()) != 0 {
		t.Errorf("after the late result: %v", got)
	}
	if _, refused, _ := s.Cancel(context.Background(), id, ""); refused == nil {
		t.Error("a final task was cancelled")
	}
	if _, refused, _ := s.Cancel(context.Background(), "nonsense", ""); !refused.GetNotFound() {
		t.Errorf("cancel of nothing: %v", refused)
	}
}

func TestRetryRunsFinalAndRetryingTasks(t *testing.T) {
	s := newStage(t, fail)
	s.config.MaxAttempts = 2
	s.raise()
	id := s.accept(s.delivery("x")).GetWebhookId()
	s.await(id, retrying)
	if _, refused, err := s.Retry(context.Background(), id); refused != nil || err != nil {
		t.Fatal(refused, err)
	}
	s.eventually("it ran at once", func() bool { return s.get(id).GetAttempts() == 2 })
	s.awaitRetry(id)
	s.await(id, failed)
	if _, refused, err := s.Retry(context.Background(), id); refused != nil || err != nil {
		t.Fatal(refused, err)
	}
	s.awaitRetry(id)
	if end := s.await(id, failed); end.GetAttempts() != 5 {
		t.Errorf("%d attempts, want 2 + 1 by hand and then 2 anew", end.GetAttempts())
	}
}

func TestDrainWaitsAndRefuses(t *testing.T) {
	started, release := make(chan struct{}, 1), make(chan struct{})
	s := newStage(t, func(context.Context, *handler.Task) ([]byte, error) {
		started <- struct{}{}
		<-release
		return nil, nil
	})
	s.config.Workers = 1
	s.raise()
	running := s.accept(s.delivery("running")).GetWebhookId()
	<-started
	waiting := s.accept(s.delivery("waiting")).GetWebhookId()
	drained := make(chan error, 1)
	go func() { drained <- s.Drain(context.Background()) }()
	s.eventually("deliveries are refused", func() bool {
		_, refused, _ := s.Accept(context.Background(), s.delivery(""))
		return refused.GetReason() == messages.Refusal_REFUSAL_DRAINING
	})
	close(release)
	if err := <-drained; err != nil {
		t.Fatal(err)
	}
	s.await(running, completed)
	if got := s.get(waiting).GetStatus(); got != queued {
		t.Errorf("a waiting task is %v after the drain", got)
	}
}

func TestDrainCutShortInterruptsAndTheNextStartRunsAgain(t *testing.T) {
	started := make(chan struct{}, 2)
	s := newStage(t, func(ctx context.Context, task *handler.Task) ([]byte, error) {
		started <- struct{}{}
		if task.Attempt == 1 {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return nil, nil
	}).raise()
	id := s.accept(s.delivery("cut")).GetWebhookId()
	<-started
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Drain(ctx); err == nil {
		t.Error("a drain that was cut short says nothing of it")
	}
	s.crash()
	s.raise()
	s.eventually("it ran again", func() bool {
		s.clock.Advance(0)
		return s.get(id).GetStatus() == completed
	})
	end := s.get(id)
	if end.GetAttempts() != 2 || end.GetAttemptLog()[0].GetOutcome() != messages.Outcome_OUTCOME_INTERRUPTED {
		t.Errorf("the task says %v", end)
	}
}

// list returns all tasks, by ID.
func (s *stage) list() map[string]*messages.Task {
	s.t.Helper()
	all := make(map[string]*messages.Task)
	q := actors.Query{Limit: 7}
	for {
		page, next, err := s.List(context.Background(), q)
		if err != nil {
			s.t.Fatal(err)
		}
		for _, task := range page {
			if all[task.GetWebhookId()] != nil {
				s.t.Fatalf("task %s is listed twice", task.GetWebhookId())
			}
			all[task.GetWebhookId()] = task
		}
		if next == (q.After) || len(page) < q.Limit {
			return all
		}
		q.After = next
	}
}

// same compares what is listed now with what was listed before.
func (s *stage) same(before map[string]*messages.Task) {
	s.t.Helper()
	after := s.list()
	if len(after) != len(before) {
		s.t.Fatalf("%d tasks before, %d after", len(before), len(after))
	}
	for id, want := range before {
		if got := after[id]; got.String() != want.String() {
			s.t.Errorf("task %s\nbefore: %v\nafter:  %v", id, want, got)
		}
	}
}

func TestRecoveryFromSnapshotAndJournalIsTheStateBefore(t *testing.T) {
	s := newStage(t, func(_ context.Context, task *handler.Task) ([]byte, error) {
		if len(task.DeliveryID)%2 == 0 {
			return []byte("even"), nil
		}
		return nil, handler.Discard(errHandler)
	}).raise()
	final := func(n int) func() bool {
		return func() bool {
			counts, _ := s.Counts(context.Background())
			return counts.GetCompleted()+counts.GetFailed() == uint64(n)
		}
	}
	for i := range 20 {
		s.accept(s.delivery(fmt.Sprintf("%0*d", i+1, 0)))
	}
	s.eventually("all are final", final(20))
	if err := s.Snapshot(context.Background()); err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		s.accept(s.delivery(fmt.Sprintf("%0*d", i+30, 0)))
	}
	s.eventually("all are final", final(30))
	before := s.list()
	for range 2 { // without a further snapshot, and once more
		s.crash()
		s.raise()
		s.same(before)
	}
	for id := range before {
		if got := s.get(id); got.GetDeliveryId() == "" {
			t.Errorf("the delivery of task %s cannot be read after the compaction", id)
		}
	}
}

func TestTaskThatKillsTheProcessEndsAsDeadLetter(t *testing.T) {
	started := make(chan struct{}, 1)
	s := newStage(t, func(ctx context.Context, _ *handler.Task) ([]byte, error) {
		started <- struct{}{}
		<-ctx.Done()
		return nil, nil
	}).raise()
	id := s.accept(s.delivery("killer")).GetWebhookId()
	deaths := 0
	for s.get(id).GetStatus() != failed {
		<-started
		s.await(id, processing)
		if err := s.Snapshot(context.Background()); err != nil { // that it started is on stable storage
			t.Fatal(err)
		}
		s.crash()
		deaths++
		s.raise()
		s.eventually("it runs or has failed", func() bool {
			s.clock.Advance(0)
			status := s.get(id).GetStatus()
			return status == processing || status == failed
		})
	}
	if deaths != 10 {
		t.Errorf("it took %d deaths of the process", deaths)
	}
}

func TestFinishedTasksAreForgottenByNumberAndAge(t *testing.T) {
	s := newStage(t, func(_ context.Context, task *handler.Task) ([]byte, error) {
		if task.DeliveryID == "dead" {
			return nil, handler.Discard(errHandler)
		}
		return nil, nil
	})
	s.config.MaxFinished, s.config.CleanupAge = 3, time.Hour
	s.raise()
	dead := s.accept(s.delivery("dead")).GetWebhookId()
	s.await(dead, failed)
	for i := range 10 {
		id := s.accept(s.delivery(fmt.Sprint(i))).GetWebhookId()
		s.eventually("it is final", func() bool { status := s.get(id).GetStatus(); return status == completed || status == 0 })
	}
	if n := len(s.list()); n != 4 {
		t.Errorf("%d tasks are remembered, want 3 and a dead letter", n)
	}
	if again := s.accept(s.delivery("0")); again.GetDuplicate() {
		t.Error("a forgotten delivery is a duplicate")
	}
	if err := s.Snapshot(context.Background()); err != nil {
		t.Fatal(err)
	}
	s.clock.Advance(2 * time.Hour)
	s.eventually("all are forgotten", func() bool {
		s.clock.Advance(time.Second)
		return len(s.list()) == 0
	})
	if err := s.Snapshot(context.Background()); err != nil { // what a mailbox holds is lost in a crash
		t.Fatal(err)
	}
	s.crash()
	s.raise()
	if n := len(s.list()); n != 0 {
		t.Errorf("%d tasks came back", n)
	}
}

func TestSnapshotsAreTakenOnTheTimer(t *testing.T) {
	s := newStage(t, succeed)
	s.config.SnapshotInterval = time.Minute
	s.raise()
	s.await(s.accept(s.delivery("kept")).GetWebhookId(), completed)
	for n := 1; n <= 3; n++ {
		s.eventually("another snapshot was taken", func() bool {
			s.clock.Advance(time.Second)
			return s.metricOf("hooktroupe_journal_compactions_total") == float64(n)
		})
	}
}

// What is behind the last snapshot bounds how long a start takes, so it is bounded itself. The task file waits for the timer.
func TestALongTailIsASnapshotsReason(t *testing.T) {
	for name, config := range map[string]actors.Config{
		"changes": {MaxTailChanges: 10}, "bytes": {MaxTailBytes: 3000},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, succeed)
			random := rand.NewChaCha8([32]byte{})
			var exported atomic.Int32
			s.export = func(iter.Seq[*messages.Task]) error { exported.Add(1); return nil }
			s.config.SnapshotInterval = never
			s.config.MaxTailChanges, s.config.MaxTailBytes = config.MaxTailChanges, config.MaxTailBytes
			s.raise()
			taken := func() float64 { return s.metricOf("hooktroupe_journal_compactions_total") }
			work := func(ids ...string) {
				for _, id := range ids {
					d := s.delivery(id)
					d.Body = make([]byte, 1000)
					_, _ = random.Read(d.Body) // never fails; it is no smaller when it is packed
					s.await(s.accept(d).GetWebhookId(), completed)
				}
				s.clock.Advance(time.Second)
			}
			work("a", "b")
			if err := s.Snapshot(context.Background()); err != nil {
				t.Fatal(err)
			}
			if n := taken(); n != 1 {
				t.Fatalf("%v snapshots were taken, and the tail was short", n)
			}
			work("c", "d", "e", "f")
			s.eventually("a snapshot was taken", func() bool { s.clock.Advance(time.Second); return taken() == 2 })
			s.crash()
			s.config.MaxTailChanges, s.config.MaxTailBytes = 0, 0
			s.raise()
			work("g", "h", "i", "j")
			s.crash()
			s.config.MaxTailChanges, s.config.MaxTailBytes = config.MaxTailChanges, config.MaxTailBytes
			s.raise()
			s.eventually("one of what recovery found was taken", func() bool { s.clock.Advance(time.Second); return taken() == 1 })
			if n := exported.Load(); n != 1 {
				t.Errorf("the task file was written %d times, want for the snapshot that was asked for", n)
			}
		})
	}
}

// A snapshot holds state changes that were written and not synced yet. If it covered them all the same, a power cut would
// leave a journal that ends before that, and what is written next would lie where recovery does not look.
func TestSnapshotCoversOnlyWhatIsSynced(t *testing.T) {
	disk := vfs.NewMem(0)
	s := newStage(t, succeed)
	open := func() *wal.Journal {
		opened, err := wal.Open("/journal", wal.Config{SegmentBytes: 1 << 20}, wal.WithFS(disk))
		if err != nil {
			t.Fatal(err)
		}
		s.journal, s.snapshots = &flakyJournal{Journal: opened}, opened.Snapshots()
		s.raise()
		return opened
	}
	before := open()
	id := s.accept(s.delivery("one")).GetWebhookId()
	s.await(id, completed)
	var covered journal.Position
	for deadline := time.Now().Add(patience); before.Stats().Records < 2 || covered != before.End(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("the changes are not in a snapshot within %v", patience)
		}
		s.clock.Advance(2 * time.Millisecond) // they are written, and nothing has synced them
		if err := s.Snapshot(context.Background()); err != nil {
			t.Fatal(err)
		}
		at, content, err := s.snapshots.Load()
		if err != nil || content.Close() != nil {
			t.Fatal(err)
		}
		covered = at
	}
	disk = disk.PowerCut(nil)
	if err := errors.Join(s.Stop(), before.Close()); err != nil {
		t.Fatal(err)
	}
	after := open()
	defer func() {
		if err := after.Close(); err != nil {
			t.Error(err)
		}
	}()
	if torn := after.TornTail(); torn != nil || after.End().Compare(covered) < 0 {
		t.Errorf("the snapshot covers the journal up to %v, the power cut left it up to %v: %v", covered, after.End(), torn)
	}
}
