package actors

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/hooktroupe/hooktroupe/messages"
	"github.com/hooktroupe/hooktroupe/task"
)

func warmID(n int) (id task.ID) {
	binary.BigEndian.PutUint32(id[:], uint32(n))
	return id
}

func TestWarm(t *testing.T) {
	kept := &messages.Delivery{Key: "kept"}
	var w warm
	w.put(warmID(1), kept)
	if w.take(warmID(2)) != nil {
		t.Error("another task was given the delivery")
	}
	if w.take(warmID(1)) != kept {
		t.Error("the delivery was not kept")
	}
	if w.take(warmID(1)) != nil {
		t.Error("the delivery was given away twice")
	}
	w.put(warmID(3), &messages.Delivery{Body: make([]byte, maxWarmBytes+1)})
	if w.take(warmID(3)) != nil {
		t.Error("a large delivery was kept")
	}
}

// The oldest give way to newer ones, by number and by bytes.
func TestWarmIsBounded(t *testing.T) {
	for name, c := range map[string]struct{ bytes, fit int }{
		"number": {0, warmDeliveries},
		"bytes":  {maxWarmBytes, warmBytes / maxWarmBytes},
	} {
		t.Run(name, func(t *testing.T) {
			var w warm
			d := &messages.Delivery{Body: make([]byte, c.bytes/2), Headers: []*messages.Header{{Value: strings.Repeat("x", c.bytes/2)}}}
			last := 3 * warmDeliveries
			for n := range last + 1 {
				if w.put(warmID(n), d); w.bytes > warmBytes || len(w.kept) > warmDeliveries {
					t.Fatalf("%d bytes of %d deliveries are kept", w.bytes, len(w.kept))
				}
				if n%3 == 0 && n < last-c.fit {
					w.take(warmID(n))
				}
			}
			if w.take(warmID(last-c.fit)) != nil {
				t.Error("the oldest did not give way")
			}
			for n := last - c.fit + 1; n <= last; n++ {
				if w.take(warmID(n)) != d {
					t.Fatalf("of %d deliveries, %d was not kept", last, n)
				}
			}
			if w.bytes != 0 || len(w.kept) != 0 {
				t.Errorf("%d bytes of %d deliveries are kept of none", w.bytes, len(w.kept))
			}
		})
	}
}

// A delivery that is put once more counts once.
func TestWarmAgain(t *testing.T) {
	var w warm
	for range 3 {
		w.put(warmID(1), &messages.Delivery{Body: make([]byte, 10)})
	}
	if w.bytes != 10 {
		t.Errorf("%d bytes are kept", w.bytes)
	}
}
