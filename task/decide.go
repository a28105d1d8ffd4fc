package task

import "time"

// Policy is when a failed attempt is followed by another.
type Policy struct {
	// Base is the upper bound of the first wait; it doubles with every attempt.
	Base time.Duration
	// Cap bounds the wait, whatever the attempt; a delay that the handler asked for may be longer.
	Cap time.Duration
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
	if t.Status != Queued && t.Status != Retrying {
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
		ev.Next = Failed
		if t.Spent < t.MaxAttempts {
			wait := max(p.Backoff(t.Spent, random), r.RetryAfter)
			ev.Next, ev.DueAt = Retrying, now+int64(wait)
		}
	}
	return ev, nil
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
