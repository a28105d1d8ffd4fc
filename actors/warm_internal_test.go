package actors

import (
	"testing"

	"github.com/hooktroupe/hooktroupe/messages"
	"github.com/hooktroupe/hooktroupe/task"
)

func TestWarm(t *testing.T) {
	id := func(first, last byte) task.ID { return task.ID{0: first, 15: last} }
	kept, other := &messages.Delivery{Key: "kept"}, &messages.Delivery{Key: "other"}
	var w warm
	w.put(id(1, 7), kept)
	if w.take(id(2, 7)) != nil {
		t.Error("another task was given the delivery")
	}
	if w.take(id(1, 7)) != kept {
		t.Error("the delivery was not kept")
	}
	if w.take(id(1, 7)) != nil {
		t.Error("the delivery was given away twice")
	}
	w.put(id(1, 7), kept)
	w.put(id(2, 7), other)
	if w.take(id(1, 7)) != nil || w.take(id(2, 7)) != other {
		t.Error("a newer delivery does not push out an older one")
	}
	w.put(id(1, 8), &messages.Delivery{Body: make([]byte, maxWarmBytes+1)})
	if w.take(id(1, 8)) != nil {
		t.Error("a large delivery was kept")
	}
}
