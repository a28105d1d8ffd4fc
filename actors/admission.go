package actors

import (
	"math"

	"github.com/hooktroupe/hooktroupe/messages"
	"github.com/hooktroupe/hooktroupe/messages/journalv1"
	"github.com/hooktroupe/hooktroupe/task"
)

// fill completes the record of a delivery that becomes the task of that ID; of several where several routes want it.
func (t *terms) fill(record *journalv1.TaskAccepted, d *messages.Delivery, id task.ID, newID func() task.ID) {
	record.TaskId, record.MaxAttempts = id[:], uint32(t.maxAttempts(d))
	if len(d.GetAssignments()) < 2 {
		return
	}
	for _, wanted := range d.GetAssignments() {
		id := newID()
		record.Parts = append(record.Parts, &journalv1.Part{
			TaskId: id[:], Route: wanted.GetRoute(), Key: wanted.GetKey(),
			MaxAttempts: uint32(t.attempts(d.GetMaxAttempts(), t.routes[wanted.GetRoute()].maxAttempts())),
		})
	}
}

// maxAttempts bounds the automatic attempts of a delivery that is not split: by what its source says, its route, its
// handler, or the configuration.
func (t *terms) maxAttempts(d *messages.Delivery) uint16 {
	if assignments := d.GetAssignments(); len(assignments) > 0 {
		return t.attempts(d.GetMaxAttempts(), t.routes[assignments[0].GetRoute()].maxAttempts())
	}
	binding, _ := t.handlers.Lookup(d.GetSource(), d.GetEventType())
	return t.attempts(d.GetMaxAttempts(), binding.MaxAttempts)
}

// attempts is the first of the bounds that is set.
func (t *terms) attempts(ofDelivery uint32, ofHandler int) uint16 {
	bound := or(int(ofDelivery), or(ofHandler, t.config.MaxAttempts))
	return uint16(min(bound, math.MaxUint16))
}
