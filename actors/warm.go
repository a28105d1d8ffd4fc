package actors

import (
	"github.com/hooktroupe/hooktroupe/messages"
	"github.com/hooktroupe/hooktroupe/task"
)

const (
	// warmDeliveries is how many deliveries are kept in memory at most once they are accepted.
	warmDeliveries = 1024
	// warmBytes bounds their bodies and headers together, and maxWarmBytes those of one.
	warmBytes    = 4 << 20
	maxWarmBytes = 32 << 10
)

// warm keeps the deliveries that were accepted last, so that an attempt that starts at once need not read its own back.
// Newer ones push out the oldest: where tasks wait, their bodies are in the journal alone.
type warm struct {
	kept  map[task.ID]warmDelivery
	order [warmDeliveries]task.ID // those that were put from first to next, as a ring; some may have been taken
	first uint
	next  uint
	bytes int // of those that are kept
}

type warmDelivery struct {
	delivery *messages.Delivery
	bytes    int
}

// put keeps the delivery of a task if it is small.
func (w *warm) put(id task.ID, d *messages.Delivery) {
	size := len(d.GetBody())
	for _, h := range d.GetHeaders() {
		size += len(h.GetName()) + len(h.GetValue())
	}
	if size > maxWarmBytes {
		return
	}
	w.take(id)
	for w.next-w.first == warmDeliveries || w.bytes+size > warmBytes {
		w.take(w.order[w.first%warmDeliveries])
		w.first++
	}
	if w.kept == nil {
		w.kept = make(map[task.ID]warmDelivery)
	}
	w.kept[id] = warmDelivery{d, size}
	w.order[w.next%warmDeliveries] = id
	w.next++
	w.bytes += size
}

// take gives away the delivery of a task; nil if it is not there. A part has an ID of its own, and so never shares the
// bytes of its delivery with another.
func (w *warm) take(id task.ID) *messages.Delivery {
	d := w.kept[id]
	w.bytes -= d.bytes
	delete(w.kept, id)
	return d.delivery
}
