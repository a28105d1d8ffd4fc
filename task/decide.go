package task

import "time"

// Policy is when a failed attempt is followed by another.
type Policy struct {
	// Base is the upper bound of the first wait; it doubles with every attempt.
	Base time.Duration
	// Cap bounds the wait, whatever the attempt; a delay that the handler asked for may be longer.
	Cap time.Duration
	// MaxElapsed bounds the time from Task.Since to the start of the last attempt; zero for no bound.
	MaxElapsed time.Duration
	// Quarantine is how many panics in a row make a task a dead letter whatever attempts are left; zero for no bound.
	Quarantine int
}

// Backoff is the wait after the n-th attempt that used one up, n from 1: exponential with full jitter, which spreads
// tasks that failed together (Brooker, "Exponential Backoff And Jitter", 2015). random is in [0, 1).
func (p Policy) Backoff(n uint16, random float64) time.Duration {
	ceiling := p.Base
	for i := uint16(1); i < n && ceiling < p.Cap; i++ {
		ceiling *= 2
	}
	if ceiling > p.Cap || ceiling < 0 {
		ceiling = p.Cap
	}
	return time.Duration(random * float64(ceiling))
}

// Result is what an attempt came to.
type Result struct {
	Outcome Outcome
	// RetryAfter is the least wait that the handler asked for; zero if it did not.
	RetryAfter time.Duration
}

// Start decides that the next attempt begins.
func (t *Task) Start(now int64) (Event, error) {
	if !t.waits() {
		return Event{}, ErrWrongStatus
	}
	return Event{Kind: AttemptStarted, Attempt: t.Attempts + 1, Revision: t.Revision + 1, At: now}, nil
}

// End decides what follows the end of an attempt. ErrWrongAttempt and ErrWrongStatus mean that the result came too late
// and changes nothing.
func (t *Task) End(attempt uint32, r Result, p Policy, now int64, random float64) (Event, error) {
	if t.Status != Processing {
		return Event{}, ErrWrongStatus
	}
	if attempt != t.Attempts {
		return Event{}, ErrWrongAttempt
	}
	ev := Event{Kind: AttemptEnded, Attempt: attempt, Outcome: r.Outcome, Revision: t.Revision + 1, At: now}
	switch r.Outcome {
	case Succeeded:
		ev.Next = Completed
	case Discarded:
		ev.Next = Failed
	case Stopped:
		ev.Next = Cancelled
	case Interrupted:
		ev.Next, ev.DueAt = Retrying, now
		if t.Interruptions+1 >= MaxInterruptions {
			ev.Next, ev.DueAt = Failed, 0
		}
	default:
		ev.Next, ev.DueAt = t.again(r, p, now, random)
	}
	return ev, nil
}

// again decides whether another attempt follows one that failed, and when.
func (t *Task) again(r Result, p Policy, now int64, random float64) (next Status, dueAt int64) {
	if t.Spent >= t.MaxAttempts {
		return Failed, 0
	}
	if r.Outcome == Panicked && p.Quarantine > 0 && int(t.Crashes)+1 >= p.Quarantine {
		return Failed, 0
	}
	dueAt = now + int64(max(p.Backoff(t.Spent, random), r.RetryAfter))
	if p.MaxElapsed > 0 && dueAt-t.Since > int64(p.MaxElapsed) {
		return Failed, 0
	}
	return Retrying, dueAt
}

// Cancel decides that a task that is not final ends now.
func (t *Task) Cancel(now int64) (Event, error) {
	if t.Status.Final() {
		return Event{}, ErrWrongStatus
	}
	return Event{Kind: TaskCancelled, Revision: t.Revision + 1, At: now}, nil
}

// Requeue decides that a final task runs again with its automatic attempts anew, or that a retrying one need not wait.
func (t *Task) Requeue(now int64) (Event, error) {
	if !t.Status.Final() && t.Status != Retrying {
		return Event{}, ErrWrongStatus
	}
	return Event{Kind: TaskRequeued, Revision: t.Revision + 1, At: now}, nil
}

// Supersede decides that a newer task takes the place of one that is not final.
func (t *Task) Supersede(now int64) (Event, error) {
	if t.Status.Final() {
		return Event{}, ErrWrongStatus
	}
	return Event{Kind: TaskSuperseded, Revision: t.Revision + 1, At: now}, nil
}

// Expire decides that a waiting task fails because its deadline has passed.
func (t *Task) Expire(now int64) (Event, error) {
	if !t.waits() {
		return Event{}, ErrWrongStatus
	}
	return Event{Kind: TaskExpired, Revision: t.Revision + 1, At: now}, nil
}

// Move decides that a waiting task gets another place in its lane, which is nothing that its state says.
func (t *Task) Move(now int64) (Event, error) {
	if !t.waits() {
		return Event{}, ErrWrongStatus
	}
	return Event{Kind: TaskMoved, Revision: t.Revision + 1, At: now}, nil
}
