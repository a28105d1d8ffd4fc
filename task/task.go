// Package task is the life of a task as a pure state machine: which states there are, which event leads from which to
// which, and when the next attempt is due. It knows no clock, no disk, no actor and no handler: time and chance are
// arguments.
//
// A decision (Start, End, Cancel, Requeue, Supersede, Expire, Move) looks at a task and returns the event that should happen; Apply is the only
// way in which a task changes. The registry decides, journals the event, and applies it; recovery only applies. So what
// is rebuilt after a crash is, by construction, what was there before it.
//
//	         Requeue (operator, redelivery)
//	   ┌──────────────────────────────────────────────┐
//	   ▼            Start                End          │
//	queued ───────────────► processing ──────► completed
//	   ▲ │                   │  ▲    │ └──────► failed (dead letter)
//	   │ │ Requeue      End  ▼  │    │              ▲
//	   └─┼────────────── retrying    │ Cancel       │ Expire: the deadline passed
//	     │                   ├───────┼───────► cancelled
//	     └───────────────────┴───────┴───────► superseded (Supersede: a newer one of its key)
package task

import (
	"errors"
	"fmt"
	"math"

	"github.com/google/uuid"
)

// ID is the webhook_id: a UUIDv7 (RFC 9562), which sorts by time.
type ID [16]byte

// ParseID reads the canonical text form of a UUID and no other.
func ParseID(s string) (ID, error) {
	if len(s) != 36 {
		return ID{}, fmt.Errorf("webhook_id %.40q is not a UUID", s)
	}
	u, err := uuid.Parse(s)
	if err != nil {
		return ID{}, fmt.Errorf("webhook_id %.40q is not a UUID", s)
	}
	return ID(u), nil
}

// String is the canonical text form.
func (id ID) String() string { return uuid.UUID(id).String() }

// Status is where a task stands. Its numbers are those of webhook.v1.Status and of the journal; they never change.
type Status uint8

// The statuses; each says how it is entered and whether it is final.
const (
	Queued     Status = 1 // by acceptance or Requeue; waits for its first attempt since then
	Processing Status = 2 // by Start; owns exactly one attempt
	Completed  Status = 3 // final: by End after a success
	Failed     Status = 4 // final until requeued: by End when no attempt is left, or the handler discarded it
	Retrying   Status = 5 // by End when another attempt is due; waits until DueAt
	Cancelled  Status = 6 // final: by Cancel
	Superseded Status = 7 // final: a newer task of the same key took its place
)

var statusNames = [...]string{"", "queued", "processing", "completed", "failed", "retrying", "cancelled", "superseded"}

// String is the name at the border: the seed's words.
func (s Status) String() string {
	if !s.Valid() {
		return fmt.Sprintf("status(%d)", uint8(s))
	}
	return statusNames[s]
}

// Valid says whether s is one of the statuses.
func (s Status) Valid() bool { return s >= Queued && s <= Superseded }

// Final says whether nothing more happens by itself.
func (s Status) Final() bool {
	return s == Completed || s == Failed || s == Cancelled || s == Superseded
}

// ParseStatus is the inverse of String.
func ParseStatus(name string) (Status, error) {
	for i := int(Queued); i < len(statusNames); i++ {
		if statusNames[i] == name {
			return Status(i), nil
		}
	}
	return 0, fmt.Errorf("%.40q is not a status", name)
}

// Outcome is how one attempt ended. Its numbers are those of webhook.v1.Outcome; they never change.
type Outcome uint8

// The outcomes; each says what follows.
const (
	Succeeded   Outcome = 1 // completed
	Retry       Outcome = 2 // another attempt, if one is left
	Discarded   Outcome = 3 // failed at once
	Panicked    Outcome = 4 // as Retry
	TimedOut    Outcome = 5 // as Retry
	Abandoned   Outcome = 6 // as Retry; the goroutine was left behind
	Interrupted Outcome = 7 // the process died or was stopped: again, without using up an attempt, MaxInterruptions times
	Stopped     Outcome = 8 // the task was cancelled while it ran
)

var outcomeNames = [...]string{
	"", "succeeded", "retry", "discarded", "panicked", "timed_out", "abandoned", "interrupted", "cancelled",
}

// String is the outcome's name in metrics, logs and the API.
func (o Outcome) String() string {
	if o < Succeeded || o > Stopped {
		return fmt.Sprintf("outcome(%d)", uint8(o))
	}
	return outcomeNames[o]
}

// MaxInterruptions bounds how often a task runs again because the process died during its attempt: a delivery that
// brings the whole process down ends as a dead letter instead of doing so for ever.
const MaxInterruptions = 10

// Task is the state of one task: no more than its life needs, and no pointers, for there may be a million of them.
// Times are in nanoseconds since 1970.
type Task struct {
	ID        ID
	CreatedAt int64
	UpdatedAt int64
	// DueAt is when the next attempt may start; zero unless Retrying.
	DueAt int64
	// Since is when its automatic attempts began: CreatedAt, or the last Requeue.
	Since int64
	// Revision counts the events applied, so that recovery can tell which of them a snapshot already holds.
	Revision uint32
	// Attempts counts those started over the whole life.
	Attempts uint32
	// Spent counts those that used up an automatic attempt since the last Requeue.
	Spent uint16
	// MaxAttempts bounds Spent; at least 1.
	MaxAttempts uint16
	// Interruptions counts attempts that ended as Interrupted since the last Requeue.
	Interruptions uint8
	// Crashes counts the attempts in a row that ended as Panicked.
	Crashes uint8
	Status  Status
}

// New is a task just accepted.
func New(id ID, at int64, maxAttempts uint16) Task {
	return Task{ID: id, CreatedAt: at, UpdatedAt: at, Since: at, MaxAttempts: max(maxAttempts, 1), Status: Queued}
}

// Requeued says whether it was made to run again.
func (t *Task) Requeued() bool { return t.Since != t.CreatedAt }

// Kind is what an Event says has happened.
type Kind uint8

// The kinds of events.
const (
	AttemptStarted Kind = 1 + iota
	AttemptEnded
	TaskCancelled
	TaskRequeued
	TaskSuperseded
	TaskExpired
	TaskMoved
)

// Event is something that has happened to a task. It is made by a decision, journaled, and given to Apply.
type Event struct {
	Kind     Kind
	Outcome  Outcome // of AttemptEnded
	Next     Status  // of AttemptEnded: the status that follows
	Attempt  uint32  // of AttemptStarted and AttemptEnded
	Revision uint32  // the task's revision once applied
	At       int64
	DueAt    int64 // of AttemptEnded when Next is Retrying
}

// The errors of decisions and of Apply.
var (
	// ErrWrongStatus means that the task's status does not allow it.
	ErrWrongStatus = errors.New("the task's status does not allow this")
	// ErrWrongAttempt means that another attempt than the current one ended: a late result, to be dropped.
	ErrWrongAttempt = errors.New("not the task's current attempt")
	// ErrWrongRevision means that an event does not follow the task's last one.
	ErrWrongRevision = errors.New("the event does not follow the task's last one")
)

// Apply changes the task as the event says. An event that cannot follow changes nothing and is an error.
func (t *Task) Apply(ev Event) error {
	if ev.Revision != t.Revision+1 {
		return ErrWrongRevision
	}
	next := *t
	var err error
	switch ev.Kind {
	case AttemptStarted:
		err = next.becomeProcessing(ev)
	case AttemptEnded:
		err = next.becomeEnded(ev)
	case TaskCancelled:
		err = next.becomeFinal(Cancelled)
	case TaskSuperseded:
		err = next.becomeFinal(Superseded)
	case TaskExpired:
		err = next.becomeExpired()
	case TaskRequeued:
		err = next.becomeQueued(ev)
	case TaskMoved:
		if !t.waits() {
			err = ErrWrongStatus
		}
	default:
		err = fmt.Errorf("event of kind %d: %w", ev.Kind, ErrWrongStatus)
	}
	if err != nil {
		return err
	}
	next.Revision, next.UpdatedAt = ev.Revision, ev.At
	*t = next
	return nil
}

// Bridge takes the task to where ev follows although events between are lost, as they are where a journal was repaired.
// What those counted is made up as far as ev tells. An event that is not newer than the last one changes nothing.
func (t *Task) Bridge(ev Event) {
	if ev.Revision <= t.Revision {
		return
	}
	t.Revision = ev.Revision - 1
	fits := t.waits()
	wanted := Queued
	switch ev.Kind {
	case AttemptStarted:
		t.skipAttempts(max(ev.Attempt, 1) - 1)
		t.Spent = min(t.Spent, t.MaxAttempts-1) // it was made to run again, if they were used up
	case AttemptEnded:
		fits, wanted = t.Status == Processing && ev.Attempt == t.Attempts, Processing
		t.skipAttempts(ev.Attempt)
		t.Spent = min(max(t.Spent, 1), t.MaxAttempts)
	case TaskRequeued:
		fits, wanted = t.Status.Final() || t.Status == Retrying, Failed
	case TaskCancelled, TaskSuperseded:
		fits = !t.Status.Final()
	}
	if !fits {
		t.Status, t.DueAt = wanted, 0
	}
}

// skipAttempts counts those whose start is lost.
func (t *Task) skipAttempts(started uint32) {
	if started > t.Attempts {
		t.Spent = uint16(min(uint32(t.Spent)+started-t.Attempts, math.MaxUint16))
		t.Attempts = started
	}
}

// waits says whether an attempt may start once its turn and its due time have come.
func (t *Task) waits() bool { return t.Status == Queued || t.Status == Retrying }

func (t *Task) becomeProcessing(ev Event) error {
	switch {
	case !t.waits():
		return ErrWrongStatus
	case ev.Attempt != t.Attempts+1:
		return ErrWrongAttempt
	}
	t.Status, t.DueAt = Processing, 0
	t.Attempts++
	t.Spent++
	return nil
}

func (t *Task) becomeEnded(ev Event) error {
	switch {
	case t.Status != Processing:
		return ErrWrongStatus
	case ev.Attempt != t.Attempts:
		return ErrWrongAttempt
	case !ev.Next.Final() && ev.Next != Retrying:
		return ErrWrongStatus
	}
	t.Status, t.DueAt = ev.Next, 0
	if ev.Next == Retrying {
		t.DueAt = ev.DueAt
	}
	switch ev.Outcome {
	case Interrupted:
		t.Interruptions++
		t.Spent--
	case Panicked:
		t.Crashes = min(t.Crashes, math.MaxUint8-1) + 1
	default:
		t.Crashes = 0
	}
	return nil
}

func (t *Task) becomeFinal(status Status) error {
	if t.Status.Final() {
		return ErrWrongStatus
	}
	t.Status, t.DueAt = status, 0
	return nil
}

func (t *Task) becomeExpired() error {
	if !t.waits() {
		return ErrWrongStatus
	}
	return t.becomeFinal(Failed)
}

func (t *Task) becomeQueued(ev Event) error {
	if !t.Status.Final() && t.Status != Retrying {
		return ErrWrongStatus
	}
	t.Status, t.DueAt, t.Spent, t.Interruptions, t.Crashes, t.Since = Queued, 0, 0, 0, 0, ev.At
	return nil
}
