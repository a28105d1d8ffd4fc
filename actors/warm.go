package actors

import (
	"github.com/hooktroupe/hooktroupe/messages"
	"github.com/hooktroupe/hooktroupe/task"
)

const (
	// warmDeliveries is how many deliveries are kept in memory at most once they are accepted.
	warmDeliveries = 256
	// maxWarmBytes is how large the body of one of them may be.
	maxWarmBytes = 32 << 10
)

// warm keeps deliveries that were accepted just now, so that an attempt that starts at once need not read them back. Newer
// ones push out older ones: where tasks wait, their bodies are in the journal alone.
type warm struct{ places [warmDeliveries]warmDelivery }

type warmDelivery struct {
	id       task.ID
	delivery *messages.Delivery
}

// place is where the delivery of a task may lie. The last byte of an ID is as good as random.
func (w *warm) place(id task.ID) *warmDelivery {
	return &w.places[int(id[len(id)-1])%warmDeliveries]
}

// put keeps the delivery of a task if it is small.
func (w *warm) put(id task.ID, d *messages.Delivery) {
	if len(d.GetBody()) <= maxWarmBytes {
		*w.place(id) = warmDelivery{id, d}
	}
}

// take gives away the delivery of a task; nil if it is not there. A part has an ID of its own, and so never shares the
// bytes of its delivery with another.
func (w *warm) take(id task.ID) *messages.Delivery {
	p := w.place(id)
	if p.id != id {
		return nil
	}
	d := p.delivery
	*p = warmDelivery{}
	return d
}
