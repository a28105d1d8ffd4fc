package actors

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/hooktroupe/hooktroupe/messages/journalv1"
)

// acceptedHead decodes TaskAccepted records for recovery: everything but headers and body, which it passes over, by hand
// and without allocating for texts that came before, for there may be a million. Its strings are valid UTF-8, for whoever
// wrote the record encoded them as protobuf strings.
type acceptedHead struct {
	journalv1.TaskAccepted
	texts map[string]string // what was seen before, of what repeats
}

// maxHeads bounds the texts that are remembered.
const maxHeads = 100_000

// decode reads a record. The message is valid until the next call.
func (h *acceptedHead) decode(data []byte) error {
	m := &h.TaskAccepted
	m.TaskId, m.Source, m.EventType, m.DeliveryId, m.Key = m.TaskId[:0], "", "", "", ""
	m.At, m.MaxAttempts, m.Route, m.Parts = 0, 0, "", nil
	for len(data) > 0 {
		number, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			return protowire.ParseError(n)
		}
		data = data[n:]
		n = h.field(number, kind, data)
		if n < 0 {
			return fmt.Errorf("field %d: %w", number, protowire.ParseError(n))
		}
		data = data[n:]
	}
	return nil
}

// field reads one field and returns its length, or a negative error code of protowire.
func (h *acceptedHead) field(number protowire.Number, kind protowire.Type, data []byte) int {
	m := &h.TaskAccepted
	switch {
	case kind == protowire.BytesType && slices.Contains(headBytes[:], number):
		value, n := protowire.ConsumeBytes(data)
		if n < 0 {
			return n
		}
		return h.bytes(number, value, n)
	case kind == protowire.VarintType && (number == 6 || number == 7):
		value, n := protowire.ConsumeVarint(data)
		if number == 6 {
			m.At = int64(value)
		} else {
			m.MaxAttempts = uint32(value)
		}
		return n
	default:
		return protowire.ConsumeFieldValue(number, kind, data)
	}
}

// headBytes are the numbers of the fields of bytes, text and messages that recovery needs.
var headBytes = [...]protowire.Number{1, 2, 3, 4, 5, 10, 11}

func (h *acceptedHead) bytes(number protowire.Number, value []byte, n int) int {
	m := &h.TaskAccepted
	switch number {
	case 1:
		m.TaskId = append(m.TaskId, value...)
	case 2:
		m.Source = h.text(value)
	case 3:
		m.EventType = h.text(value)
	case 4:
		m.DeliveryId = string(value) // never comes again
	case 5:
		m.Key = h.text(value)
	case 10:
		m.Route = h.text(value)
	case 11:
		p := &journalv1.Part{}
		if proto.Unmarshal(value, p) != nil {
			return -1
		}
		m.Parts = append(m.Parts, p)
	}
	return n
}

// text returns a string for bytes, the same one for the same bytes.
func (h *acceptedHead) text(value []byte) string {
	if known, ok := h.texts[string(value)]; ok {
		return known
	}
	if h.texts == nil || len(h.texts) >= maxHeads {
		h.texts = make(map[string]string)
	}
	text := string(value)
	h.texts[text] = text
	return text
}
