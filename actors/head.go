package actors

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/hooktroupe/hooktroupe/messages/journalv1"
	"github.com/hooktroupe/hooktroupe/task"
)

// acceptance is what the table takes in of a delivery: all of a TaskAccepted but headers and body.
type acceptance struct {
	id          task.ID
	delivery    deliveryHash
	origin      origin
	place       place
	at          int64
	maxAttempts uint16
	parts       []acceptedPart // where it was split; nil where it is one task
}

// acceptedPart is one of the tasks that a delivery was split into.
type acceptedPart struct {
	id          task.ID
	place       place
	maxAttempts uint16
}

// newAcceptance takes it from a record whose delivery was hashed.
func newAcceptance(m *journalv1.TaskAccepted, delivery deliveryHash) (acceptance, error) {
	a := acceptance{
		delivery: delivery, origin: origin{m.GetSource(), m.GetEventType()}, place: place{m.GetRoute(), m.GetKey()},
		at: m.GetAt(), maxAttempts: uint16(m.GetMaxAttempts()),
	}
	for _, p := range m.GetParts() {
		if err := a.addPart(p); err != nil {
			return a, err
		}
	}
	var err error
	a.id, err = parseID(m.GetTaskId())
	return a, err
}

func (a *acceptance) addPart(p *journalv1.Part) error {
	id, err := parseID(p.GetTaskId())
	a.parts = append(a.parts, acceptedPart{id, place{p.GetRoute(), p.GetKey()}, uint16(p.GetMaxAttempts())})
	return err
}

// parseID is for an ID as records have it.
func parseID(b []byte) (task.ID, error) {
	if len(b) != len(task.ID{}) {
		return task.ID{}, fmt.Errorf("task ID of %d bytes", len(b))
	}
	return task.ID(b), nil
}

// acceptedDecoder decodes TaskAccepted records for recovery, by hand and without allocating for texts that came before, for
// there may be a million. It passes over headers and body. Its strings are valid UTF-8, for whoever wrote the record encoded
// them as protobuf strings.
type acceptedDecoder struct {
	texts map[string]string // what was seen before, of what repeats
	last  acceptance        // whose texts are likely to come again

	// The record that is being read.
	accepted       *acceptance
	id, deliveryID []byte
}

// maxHeads bounds the texts that are remembered.
const maxHeads = 100_000

// decode reads a record. It leaves the hash of the delivery's ID, which it returns, to whoever has the time; the ID is part of
// the record.
func (d *acceptedDecoder) decode(data []byte, a *acceptance) (deliveryID []byte, err error) {
	*a = acceptance{}
	d.accepted, d.id, d.deliveryID = a, nil, nil
	if err := eachField(data, d.field); err != nil {
		return nil, err
	}
	d.last.origin, d.last.place = a.origin, a.place
	a.id, err = parseID(d.id)
	return d.deliveryID, err
}

// field takes in one field. One of another wire type than the message says is unknown, and passed over.
func (d *acceptedDecoder) field(f field) error {
	a := d.accepted
	switch {
	case f.kind == protowire.BytesType:
		return d.bytes(f)
	case f.kind == protowire.VarintType && f.number == 6:
		a.at = int64(f.value)
	case f.kind == protowire.VarintType && f.number == 7:
		a.maxAttempts = uint16(f.value)
	}
	return nil
}

func (d *acceptedDecoder) bytes(f field) error {
	a := d.accepted
	switch f.number {
	case 1:
		d.id = f.bytes
	case 2:
		a.origin.source = d.text(f.bytes, d.last.origin.source)
	case 3:
		a.origin.eventType = d.text(f.bytes, d.last.origin.eventType)
	case 4:
		d.deliveryID = f.bytes
	case 5:
		a.place.key = d.text(f.bytes, d.last.place.key)
	case 10:
		a.place.route = d.text(f.bytes, d.last.place.route)
	case 11:
		var p journalv1.Part
		if err := proto.Unmarshal(f.bytes, &p); err != nil {
			return err
		}
		return a.addPart(&p)
	}
	return nil
}

// text returns a string for bytes, the same one for the same bytes: the last one, or another that came before.
func (d *acceptedDecoder) text(value []byte, last string) string {
	if string(value) == last {
		return last
	}
	if known, ok := d.texts[string(value)]; ok {
		return known
	}
	if d.texts == nil || len(d.texts) >= maxHeads {
		d.texts = make(map[string]string)
	}
	text := string(value)
	d.texts[text] = text
	return text
}
