package actors_test

import (
	"context"
	"testing"

	"github.com/hooktroupe/hooktroupe/journal"
	"github.com/hooktroupe/hooktroupe/messages"
)

// A delivery that is refused after it claimed its ID frees the ID again, and whoever sent it once more meanwhile is refused
// with it: nobody is told that something is stored which is not.
func TestARefusedDeliveryFreesItsID(t *testing.T) {
	s := newStage(t, succeed).raise()
	s.journal.failWith(onlyReserve(journal.ErrFull))
	release := s.journal.holdBack()
	refusals := make(chan *messages.DeliveryRefused, 3)
	send := func() {
		accepted, refused, err := s.Accept(context.Background(), s.delivery("claimed"))
		if accepted != nil || err != nil {
			t.Errorf("accepted %v, error %v", accepted, err)
		}
		refusals <- refused
	}
	go send()
	s.eventually("the delivery is known", func() bool {
		counts, _ := s.Counts(context.Background())
		return counts.GetQueued() == 1
	})
	go send() // duplicates: they wait for the first, or come after it and fare alike
	go send()
	for range 100 {
		if _, err := s.Counts(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if len(refusals) != 0 {
		t.Errorf("%d answers before the journal's", len(refusals))
	}
	release()
	for range 3 {
		if refused := <-refusals; refused.GetReason() != messages.Refusal_REFUSAL_STORAGE_FULL {
			t.Errorf("refused as %v", refused)
		}
	}
	if n := len(s.list()); n != 0 {
		t.Errorf("%d tasks are left", n)
	}
	s.journal.failWith(nil)
	again := s.accept(s.delivery("claimed"))
	if again.GetDuplicate() || again.GetRedelivered() {
		t.Errorf("the ID was not free: %v", again)
	}
	s.await(again.GetWebhookId(), completed)
	if duplicate := s.accept(s.delivery("claimed")); !duplicate.GetDuplicate() || duplicate.GetWebhookId() != again.GetWebhookId() {
		t.Errorf("afterwards: %v", duplicate)
	}
}
