package actors

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/hooktroupe/hooktroupe/internal/clock"
)

// Errors of a question to an actor.
var (
	// ErrBusy means that too many questions wait for their answer; nothing was asked.
	ErrBusy = errors.New("too many requests wait for an answer")
	// ErrNoAnswer means that no answer came in time; what was asked for may still happen.
	ErrNoAnswer = errors.New("no answer in time")
	// ErrStopped means that the actor is not there any more; nothing was asked.
	ErrStopped = errors.New("the actors have stopped")
)

// seatBits is how many bits of a request ID name the seat; maxQuestions bounds the questions that wait at once.
const (
	seatBits     = 12
	maxQuestions = 1 << seatBits
)

// replies is where actors answer those who are not actors. The library's own futures register a process for each
// question; this one process serves all: the RequestId of the sender's PID says whose answer it is. Its low bits name a
// seat, the others count the seat's holders, so that an answer that comes too late finds nobody.
type replies struct {
	root    *actor.RootContext
	clock   clock.Clock
	address string
	seats   [maxQuestions]seat
	free    chan uint32 // the seats nobody holds; as large as there are seats
}

// seat is where one question waits.
type seat struct {
	holders uint32 // counts them; touched by the present holder only
	waiting atomic.Pointer[question]
}

// question waits for one answer.
type question struct {
	id     uint32
	answer chan any // takes one answer, or ErrNoAnswer from the timer; whoever comes second is dropped
}

func newReplies(system *actor.ActorSystem, clk clock.Clock) *replies {
	r := &replies{root: system.Root, clock: clk, free: make(chan uint32, maxQuestions)}
	for number := range uint32(maxQuestions) {
		r.free <- number
	}
	pid, _ := system.ProcessRegistry.Add(r, nameReplies)
	r.address = pid.Address
	return r
}

// ask sends a message to an actor and waits for the answer, until the timeout, or until ctx ends.
func (r *replies) ask(ctx context.Context, target *actor.PID, message any, timeout time.Duration) (any, error) {
	var number uint32
	select {
	case number = <-r.free:
	default:
		return nil, ErrBusy
	}
	s := &r.seats[number]
	s.holders++
	q := &question{id: s.holders<<seatBits | number, answer: make(chan any, 1)}
	s.waiting.Store(q)
	timer := r.clock.AfterFunc(timeout, func() { q.settle(ErrNoAnswer) })
	r.root.RequestWithCustomSender(target, message, &actor.PID{Address: r.address, Id: nameReplies, RequestId: q.id})
	var answer any
	select {
	case answer = <-q.answer:
	case <-ctx.Done():
		answer = ErrNoAnswer
	}
	timer.Stop()
	s.waiting.Store(nil)
	r.free <- number
	switch m := answer.(type) {
	case error:
		return nil, m
	case *actor.DeadLetterResponse:
		return nil, ErrStopped
	default:
		return answer, nil
	}
}

func (q *question) settle(answer any) {
	select {
	case q.answer <- answer:
	default:
	}
}

// SendUserMessage is called by the actor that answers.
func (r *replies) SendUserMessage(pid *actor.PID, message any) {
	q := r.seats[pid.RequestId%maxQuestions].waiting.Load()
	if q == nil || q.id != pid.RequestId {
		return
	}
	q.settle(actor.UnwrapEnvelopeMessage(message))
}

// SendSystemMessage ignores what the library tells its actors: this process is none.
func (r *replies) SendSystemMessage(*actor.PID, any) {}

// Stop is not for this process: it lives as long as the system.
func (r *replies) Stop(*actor.PID) {}

// noTimeout is for questions that only their context bounds.
const noTimeout = time.Duration(1<<63 - 1)
