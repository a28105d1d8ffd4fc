package task_test

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/hooktroupe/hooktroupe/messages"
	"github.com/hooktroupe/hooktroupe/task"
)

var policy = task.Policy{Base: time.Second, Cap: time.Minute}

// mustApply applies the event of a decision that must be allowed.
func mustApply(t *testing.T, tk *task.Task, ev task.Event, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("decision: %v", err)
	}
	if err := tk.Apply(ev); err != nil {
		t.Fatalf("apply %+v: %v", ev, err)
	}
}

func start(t *testing.T, tk *task.Task, now int64) {
	t.Helper()
	ev, err := tk.Start(now)
	mustApply(t, tk, ev, err)
}

func end(t *testing.T, tk *task.Task, o task.Outcome, now int64) {
	t.Helper()
	ev, err := tk.End(tk.Attempts, task.Result{Outcome: o}, policy, now, 0.5)
	mustApply(t, tk, ev, err)
}

func TestOutcomesLeadToStatuses(t *testing.T) {
	cases := []struct {
		outcome     task.Outcome
		maxAttempts uint16
		want        task.Status
	}{
		{task.Succeeded, 3, task.Completed},
		{task.Discarded, 3, task.Failed},
		{task.Stopped, 3, task.Cancelled},
		{task.Retry, 3, task.Retrying},
		{task.Panicked, 3, task.Retrying},
		{task.TimedOut, 3, task.Retrying},
		{task.Abandoned, 3, task.Retrying},
		{task.Interrupted, 1, task.Retrying},
		{task.Retry, 1, task.Failed},
		{task.Panicked, 1, task.Failed},
	}
	for _, c := range cases {
		t.Run(c.outcome.String()+"/"+c.want.String(), func(t *testing.T) {
			tk := task.New(task.ID{1}, 100, c.maxAttempts)
			start(t, &tk, 110)
			end(t, &tk, c.outcome, 120)
			if tk.Status != c.want || tk.UpdatedAt != 120 || tk.Attempts != 1 {
				t.Fatalf("got %+v, want status %v", tk, c.want)
			}
			if (tk.DueAt != 0) != (c.want == task.Retrying) {
				t.Fatalf("due at %d in status %v", tk.DueAt, tk.Status)
			}
		})
	}
}

func TestFailsAfterLastAttemptAndRunsAgainWhenRequeued(t *testing.T) {
	tk := task.New(task.ID{1}, 0, 3)
	for range 3 {
		start(t, &tk, 1)
		end(t, &tk, task.Retry, 2)
	}
	if tk.Status != task.Failed || tk.Attempts != 3 {
		t.Fatalf("after three failures: %+v", tk)
	}
	ev, err := tk.Requeue(3)
	mustApply(t, &tk, ev, err)
	start(t, &tk, 4)
	end(t, &tk, task.Retry, 5)
	if tk.Status != task.Retrying || tk.Attempts != 4 || tk.Spent != 1 {
		t.Fatalf("after the requeue: %+v", tk)
	}
}

func TestInterruptionsUseNoAttemptButAreBounded(t *testing.T) {
	tk := task.New(task.ID{1}, 0, 1)
	for i := 1; i < task.MaxInterruptions; i++ {
		start(t, &tk, 1)
		end(t, &tk, task.Interrupted, 2)
		if tk.Status != task.Retrying || tk.Spent != 0 || tk.DueAt != 2 {
			t.Fatalf("interruption %d: %+v", i, tk)
		}
	}
	start(t, &tk, 3)
	end(t, &tk, task.Interrupted, 4)
	if tk.Status != task.Failed {
		t.Fatalf("after %d interruptions: %+v", task.MaxInterruptions, tk)
	}
}

func TestLateResultsAreRefused(t *testing.T) {
	tk := task.New(task.ID{1}, 0, 3)
	if _, err := tk.End(0, task.Result{Outcome: task.Succeeded}, policy, 1, 0); !errors.Is(err, task.ErrWrongStatus) {
		t.Fatalf("end before start: %v", err)
	}
	start(t, &tk, 1)
	end(t, &tk, task.Abandoned, 2)
	start(t, &tk, 3)
	if _, err := tk.End(1, task.Result{Outcome: task.Succeeded}, policy, 4, 0); !errors.Is(err, task.ErrWrongAttempt) {
		t.Fatalf("result of the abandoned attempt: %v", err)
	}
}

func TestRetryAfterIsTheLeastWait(t *testing.T) {
	tk := task.New(task.ID{1}, 0, 3)
	start(t, &tk, 0)
	r := task.Result{Outcome: task.Retry, RetryAfter: time.Hour}
	ev, err := tk.End(1, r, policy, 0, 0.99)
	mustApply(t, &tk, ev, err)
	if tk.DueAt != int64(time.Hour) {
		t.Fatalf("due at %v, want after an hour", time.Duration(tk.DueAt))
	}
}

func TestBackoffStaysBelowItsCeiling(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Uint16Range(1, 65535).Draw(t, "n")
		random := rapid.Float64Range(0, 0.999999).Draw(t, "random")
		p := task.Policy{
			Base: time.Duration(rapid.Int64Range(1, int64(time.Hour)).Draw(t, "base")),
			Cap:  time.Duration(rapid.Int64Range(1, int64(1000*time.Hour)).Draw(t, "cap")),
		}
		ceiling := float64(p.Base)
		for i := uint16(1); i < n && ceiling < float64(p.Cap); i++ {
			ceiling *= 2
		}
		got := p.Backoff(n, random)
		if got < 0 || float64(got) > min(ceiling, float64(p.Cap)) {
			t.Fatalf("backoff %v above %v", got, time.Duration(ceiling))
		}
	})
}

func TestStatusNamesAreTheSeedsAndTheWireNumbersOurs(t *testing.T) {
	for number, name := range messages.Status_name {
		s := task.Status(number)
		if number == 0 {
			if s.Valid() {
				t.Fatal("status zero is valid")
			}
			continue
		}
		if want := "STATUS_" + upper(s.String()); want != name {
			t.Errorf("status %d is %s here and %s on the wire", number, want, name)
		}
		if back, err := task.ParseStatus(s.String()); err != nil || back != s {
			t.Errorf("ParseStatus(%q) = %v, %v", s.String(), back, err)
		}
	}
	for number, name := range messages.Outcome_name {
		if number != 0 && "OUTCOME_"+upper(task.Outcome(number).String()) != name {
			t.Errorf("outcome %d is %v here and %s on the wire", number, task.Outcome(number), name)
		}
	}
	if _, err := task.ParseStatus("done"); err == nil {
		t.Error("ParseStatus took an unknown name")
	}
}

func upper(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'a' && c <= 'z' {
			b[i] = c - 'a' + 'A'
		}
	}
	return string(b)
}

func TestParseIDTakesTheCanonicalFormOnly(t *testing.T) {
	const canonical = "0193570f-6f7c-7c1e-9d2a-0123456789ab"
	id, err := task.ParseID(canonical)
	if err != nil || id.String() != canonical {
		t.Fatalf("ParseID: %v, %v", id, err)
	}
	for _, bad := range []string{"", "x", "{" + canonical + "}", "urn:uuid:" + canonical, canonical[:35], canonical[:35] + "g",
		"0193570f6f7c7c1e9d2a0123456789ab"} {
		if _, err := task.ParseID(bad); err == nil {
			t.Errorf("ParseID took %q", bad)
		}
	}
}

// TestRandomHistories drives a task with random decisions and checks what must hold at every step, and that replaying
// the events on a fresh task leads to the same state: recovery is Apply and nothing else.
func TestRandomHistories(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		maxAttempts := rapid.Uint16Range(1, 5).Draw(t, "max")
		live := task.New(task.ID{7}, 0, maxAttempts)
		var events []task.Event
		steps := rapid.IntRange(1, 60).Draw(t, "steps")
		for now := int64(1); now <= int64(steps); now++ {
			ev, err := decide(t, &live, now)
			before := live
			if err != nil {
				continue
			}
			if err := live.Apply(ev); err != nil {
				t.Fatalf("a decision made on %+v was refused: %+v: %v", before, ev, err)
			}
			if err := live.Apply(ev); !errors.Is(err, task.ErrWrongRevision) {
				t.Fatalf("the same event was applied twice: %v", err)
			}
			events = append(events, ev)
			checkInvariants(t, live)
		}
		recovered := task.New(task.ID{7}, 0, maxAttempts)
		for _, ev := range events {
			if err := recovered.Apply(ev); err != nil {
				t.Fatalf("replay of %+v: %v", ev, err)
			}
		}
		if recovered != live {
			t.Fatalf("recovered %+v, lived %+v", recovered, live)
		}
	})
}

// Whatever events are lost, the next one that is not leads to where it says: status, attempts and due time are those of a
// task that lost none, and what follows follows.
func TestBridgeGoesOnBehindLostEvents(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		live := task.New(task.ID{7}, 0, rapid.Uint16Range(1, 5).Draw(t, "max"))
		maimed := live
		lost := false
		for now := int64(1); now <= 60; now++ {
			ev, err := decide(t, &live, now)
			if err != nil {
				continue
			}
			if err := live.Apply(ev); err != nil {
				t.Fatal(err)
			}
			if rapid.IntRange(0, 3).Draw(t, "fate") == 0 {
				lost = true
				continue
			}
			before := maimed
			if maimed.Bridge(ev); !lost && maimed != before {
				t.Fatalf("nothing was lost, but %+v became %+v", before, maimed)
			}
			if err := maimed.Apply(ev); err != nil {
				t.Fatalf("%+v behind lost events, on %+v: %v", ev, before, err)
			}
			if maimed.Status != live.Status && ev.Kind != task.TaskMoved || maimed.Revision != live.Revision ||
				ev.Attempt != 0 && (maimed.Attempts != live.Attempts || maimed.DueAt != live.DueAt) {
				t.Fatalf("after %+v: %+v, with nothing lost %+v", ev, maimed, live)
			}
			if maimed.Spent > maimed.MaxAttempts || (maimed.DueAt != 0) != (maimed.Status == task.Retrying) {
				t.Fatalf("after %+v: %+v", ev, maimed)
			}
			stands := maimed
			if maimed.Bridge(ev); maimed != stands {
				t.Fatalf("bridged to what it has already: %+v became %+v", stands, maimed)
			}
			lost = maimed != live
		}
	})
}

// decide makes a random decision about a task.
func decide(t *rapid.T, live *task.Task, now int64) (task.Event, error) {
	switch rapid.IntRange(0, 7).Draw(t, "decision") {
	case 0, 7:
		return live.Start(now)
	case 1:
		o := task.Outcome(rapid.IntRange(int(task.Succeeded), int(task.Stopped)).Draw(t, "outcome"))
		return live.End(live.Attempts, task.Result{Outcome: o}, policy, now, 0.3)
	case 2:
		return live.Cancel(now)
	case 3:
		return live.Requeue(now)
	case 4:
		return live.Supersede(now)
	case 5:
		return live.Expire(now)
	default:
		return live.Move(now)
	}
}

func checkInvariants(t *rapid.T, tk task.Task) {
	switch {
	case !tk.Status.Valid():
		t.Fatalf("invalid status: %+v", tk)
	case (tk.DueAt != 0) != (tk.Status == task.Retrying):
		t.Fatalf("due time and status disagree: %+v", tk)
	case tk.Spent > tk.MaxAttempts:
		t.Fatalf("more attempts than allowed: %+v", tk)
	case uint32(tk.Spent) > tk.Attempts:
		t.Fatalf("more spent than made: %+v", tk)
	case tk.Crashes > 0 && tk.Status == task.Completed:
		t.Fatalf("crashes in a row end with a success: %+v", tk)
	case tk.Since < tk.CreatedAt || tk.Since > tk.UpdatedAt:
		t.Fatalf("attempts began at an impossible time: %+v", tk)
	case tk.Interruptions > task.MaxInterruptions:
		t.Fatalf("interrupted too often: %+v", tk)
	}
}

func TestQuarantineAfterPanicsInARow(t *testing.T) {
	careful := task.Policy{Base: 1, Cap: 1, Quarantine: 3}
	tk := task.New(task.ID{1}, 0, 100)
	for i, o := range []task.Outcome{task.Panicked, task.Panicked, task.Retry, task.Panicked, task.Panicked, task.Panicked} {
		start(t, &tk, int64(i))
		ev, err := tk.End(tk.Attempts, task.Result{Outcome: o}, careful, int64(i), 0)
		mustApply(t, &tk, ev, err)
		if want := map[bool]task.Status{false: task.Retrying, true: task.Failed}[i == 5]; tk.Status != want {
			t.Fatalf("after attempt %d: %+v", i+1, tk)
		}
	}
}

func TestMaxElapsedCountsFromTheRequeue(t *testing.T) {
	short := task.Policy{Base: time.Second, Cap: time.Second, MaxElapsed: time.Minute}
	failAt := func(tk *task.Task, now int64) {
		start(t, tk, now)
		ev, err := tk.End(tk.Attempts, task.Result{Outcome: task.Retry}, short, now, 0.5)
		mustApply(t, tk, ev, err)
	}
	tk := task.New(task.ID{1}, 0, 100)
	failAt(&tk, int64(59*time.Second))
	if tk.Status != task.Retrying {
		t.Fatalf("within the time: %+v", tk)
	}
	failAt(&tk, int64(60*time.Second))
	if tk.Status != task.Failed {
		t.Fatalf("the next attempt would come too late: %+v", tk)
	}
	ev, err := tk.Requeue(int64(time.Hour))
	mustApply(t, &tk, ev, err)
	failAt(&tk, int64(time.Hour)+int64(59*time.Second))
	if tk.Status != task.Retrying || !tk.Requeued() {
		t.Fatalf("after the requeue: %+v", tk)
	}
}

func TestApplyRefusesWhatCannotBe(t *testing.T) {
	queued := task.New(task.ID{1}, 0, 3)
	cases := []struct {
		name string
		ev   task.Event
		want error
	}{
		{"end before start", task.Event{Kind: task.AttemptEnded, Next: task.Completed, Revision: 1}, task.ErrWrongStatus},
		{"second attempt first", task.Event{Kind: task.AttemptStarted, Attempt: 2, Revision: 1}, task.ErrWrongAttempt},
		{"from the future", task.Event{Kind: task.AttemptStarted, Attempt: 1, Revision: 2}, task.ErrWrongRevision},
		{"requeue of a queued one", task.Event{Kind: task.TaskRequeued, Revision: 1}, task.ErrWrongStatus},
		{"unknown kind", task.Event{Kind: 99, Revision: 1}, task.ErrWrongStatus},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			tk := queued
			if err := tk.Apply(c.ev); !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			if tk != queued {
				t.Fatalf("a refused event changed the task: %+v", tk)
			}
		})
	}
}
