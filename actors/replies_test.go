package actors_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/hooktroupe/hooktroupe/actors"
	"github.com/hooktroupe/hooktroupe/messages"
)

// mostQuestions is how many questions may wait for their answer at once.
const mostQuestions = 4096

// reply is what an Accept on a goroutine of its own came to.
type reply struct {
	delivery string
	accepted *messages.DeliveryAccepted
	err      error
}

// acceptBeside sends a delivery from another goroutine, which ends with its answer; the channel must have room for it.
func (s *stage) acceptBeside(id string, replies chan<- reply) {
	d := s.delivery(id)
	go func() {
		accepted, _, err := s.Accept(context.Background(), d)
		replies <- reply{id, accepted, err}
	}()
}

// awaitTimers waits until so many timers are set: every question that waits has one.
func (s *stage) awaitTimers(atLeast int) {
	s.t.Helper()
	for deadline := time.Now().Add(patience); s.clock.Pending() < atLeast; runtime.Gosched() {
		if time.Now().After(deadline) {
			s.t.Fatalf("%d timers within %v, want %d", s.clock.Pending(), patience, atLeast)
		}
	}
}

func TestQuestionsBeyondTheBoundAreRefusedAtOnce(t *testing.T) {
	s := newStage(t, succeed).raise()
	release := s.journal.holdBack()
	replies := make(chan reply, mostQuestions+1)
	for i := range mostQuestions + 1 {
		s.acceptBeside(fmt.Sprint(i), replies)
	}
	if first := <-replies; !errors.Is(first.err, actors.ErrBusy) {
		t.Errorf("one question too many: %v, %v; want ErrBusy", first.accepted, first.err)
	}
	release()
	for range mostQuestions {
		if r := <-replies; r.accepted == nil {
			t.Fatalf("delivery %s was within the bound: %v", r.delivery, r.err)
		}
	}
	if _, err := s.Counts(context.Background()); err != nil {
		t.Errorf("after the rush: %v", err)
	}
}

// The answers to questions that were given up come in while others sit in their seats: nobody gets another's answer.
func TestLateAnswersReachNobody(t *testing.T) {
	const given = 50
	s := newStage(t, succeed).raise()
	release := s.journal.holdBack()
	over, cancel := context.WithCancel(context.Background())
	cancel()
	for i := range given {
		if _, _, err := s.Accept(over, s.delivery(fmt.Sprintf("late-%d", i))); !errors.Is(err, actors.ErrNoAnswer) {
			t.Fatalf("with a context that has ended: %v", err)
		}
	}
	for range mostQuestions - given { // seats are given out in turn: the next ones are those of the late answers
		if _, err := s.Counts(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	before := s.clock.Pending()
	replies := make(chan reply, given)
	for i := range given {
		s.acceptBeside(fmt.Sprintf("next-%d", i), replies)
	}
	s.awaitTimers(before + given)
	release()
	for range given {
		r := <-replies
		if r.accepted == nil {
			t.Fatalf("delivery %s: %v", r.delivery, r.err)
		}
		if got := s.await(r.accepted.GetWebhookId(), completed).GetDeliveryId(); got != r.delivery {
			t.Errorf("delivery %s was given the answer to %s", r.delivery, got)
		}
	}
	if got := len(s.list()); got != 2*given {
		t.Errorf("%d tasks; want %d, for what was given up happened all the same", got, 2*given)
	}
}

func TestQuestionEndsAtTheAnswerTimeout(t *testing.T) {
	s := newStage(t, succeed)
	s.config.AnswerTimeout = 8 * time.Second
	s.raise()
	if _, err := s.Counts(context.Background()); err != nil { // the registry has started, and set its own timers
		t.Fatal(err)
	}
	release := s.journal.holdBack()
	before := s.clock.Pending()
	replies := make(chan reply, 1)
	s.acceptBeside("slow", replies)
	s.awaitTimers(before + 1)
	s.clock.Advance(8*time.Second - 1)
	select {
	case r := <-replies:
		t.Fatalf("before the timeout: %v, %v", r.accepted, r.err)
	default:
	}
	s.clock.Advance(1)
	if r := <-replies; !errors.Is(r.err, actors.ErrNoAnswer) {
		t.Errorf("at the timeout: %v, %v", r.accepted, r.err)
	}
	release()
	again := s.accept(s.delivery("slow"))
	if !again.GetDuplicate() {
		t.Errorf("sent again: %v; what was not answered in time was accepted", again)
	}
}

func TestStoppedTroupeSaysSo(t *testing.T) {
	s := newStage(t, succeed).raise()
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Counts(context.Background()); !errors.Is(err, actors.ErrStopped) {
		t.Errorf("got %v, want ErrStopped", err)
	}
}
