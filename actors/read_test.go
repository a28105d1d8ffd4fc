package actors_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/hooktroupe/hooktroupe/actors"
	"github.com/hooktroupe/hooktroupe/handler"
	"github.com/hooktroupe/hooktroupe/journal"
	"github.com/hooktroupe/hooktroupe/messages"
	"github.com/hooktroupe/hooktroupe/schedule"
)

func TestDeliveryIsReadBackByteForByte(t *testing.T) {
	s := newStage(t, func(context.Context, *handler.Task) ([]byte, error) { return nil, nil }).raise()
	sent := s.delivery("d-1")
	sent.Body = []byte{0, 0xff, '{', '\r', '\n'}
	sent.Headers = append(sent.Headers, &messages.Header{Name: "X-Twice", Value: "a"}, &messages.Header{Name: "X-Twice", Value: "b"})
	id := s.accept(proto.CloneOf(sent)).GetWebhookId()
	s.await(id, completed)
	task, got, err := s.Delivery(context.Background(), id)
	if err != nil || task.GetWebhookId() != id || task.GetDeliveryId() != "d-1" {
		t.Fatalf("task %v, %v", task, err)
	}
	got.MaxAttempts = 0 // what the registry decided
	if !proto.Equal(got, sent) {
		t.Errorf("got  %v\nsent %v", got, sent)
	}
	task, got, err = s.Delivery(context.Background(), "0190c7e1-0000-7000-8000-000000000000")
	if task != nil || got != nil || err != nil {
		t.Errorf("of no task: %v, %v, %v", task, got, err)
	}
}

func TestDeliveryOfAPartIsThatOfTheWhole(t *testing.T) {
	s := newStage(t, nil)
	idle := handler.Func(func(context.Context, *handler.Task) ([]byte, error) { return nil, nil })
	for _, name := range []string{"a", "b"} {
		s.routes = append(s.routes, actors.Route{
			Route: schedule.Route{Name: name}, Binding: handler.Binding{Name: name, Handler: idle},
		})
	}
	s.raise()
	sent := s.delivery("split")
	sent.Assignments = []*messages.Assignment{{Route: "a"}, {Route: "b"}}
	id := s.accept(sent).GetWebhookId()
	parts := s.get(id).GetParts()
	if len(parts) != 2 {
		t.Fatalf("%d parts", len(parts))
	}
	for _, p := range parts {
		task, got, err := s.Delivery(context.Background(), p.GetWebhookId())
		if err != nil || task.GetParentId() != id || string(got.GetBody()) != "body of split" {
			t.Errorf("part %v: %v, %v, %v", p.GetRoute(), task, got, err)
		}
	}
}

// A body that can be made smaller lies in the journal so, and comes to the handler as it was: at once, and from the disk.
func TestPackedBody(t *testing.T) {
	handled := make(chan []byte, 2)
	var refused bool
	s := newStage(t, func(_ context.Context, task *handler.Task) ([]byte, error) {
		handled <- task.Body
		if !refused {
			refused = true
			return nil, errors.New("once more")
		}
		return nil, nil
	}).raise()
	before := s.journal.Stats().WrittenBytes
	sent := s.delivery("packed")
	sent.Body = []byte(`{"items":[` + strings.Repeat(`{"id":1,"name":"hook"},`, 1000) + `null]}`)
	want := bytes.Clone(sent.Body)
	id := s.accept(sent).GetWebhookId()
	s.awaitRetry(id)
	s.await(id, completed)
	for range 2 {
		if got := <-handled; !bytes.Equal(got, want) {
			t.Errorf("the handler was given %d bytes of %d, or others", len(got), len(want))
		}
	}
	_, got, err := s.Delivery(context.Background(), id)
	if err != nil || !bytes.Equal(got.GetBody(), want) {
		t.Errorf("read back: %v, %d bytes of %d, or others", err, len(got.GetBody()), len(want))
	}
	if used := s.journal.Stats().WrittenBytes - before; used > uint64(len(want)/4) {
		t.Errorf("a body of %d bytes takes %d in the journal", len(want), used)
	}
}

// A body is bounded by what it is, not by what it can be packed into.
func TestBodyTooLargeToBeRead(t *testing.T) {
	s := newStage(t, succeed).raise()
	sent := s.delivery("zeros")
	sent.Body = make([]byte, journal.MaxRecordBytes+1)
	s.refuse(sent, messages.Refusal_REFUSAL_TOO_LARGE)
}
