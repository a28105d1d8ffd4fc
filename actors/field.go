package actors

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// field is one field of a protobuf message.
type field struct {
	number protowire.Number
	kind   protowire.Type
	// value is that of a number; bytes are those of bytes, a text or a message, and lie in the message.
	value uint64
	bytes []byte
}

// eachField calls fn for every field of a message.
func eachField(data []byte, fn func(field) error) error {
	var f field
	for len(data) > 0 {
		n := f.read(data)
		if n < 0 {
			return protowire.ParseError(n)
		}
		if err := fn(f); err != nil {
			return fmt.Errorf("field %d: %w", f.number, err)
		}
		data = data[n:]
	}
	return nil
}

// read reads the first field and returns its length, or a negative error code of protowire.
func (f *field) read(data []byte) int {
	// Most are short bytes, of a low number.
	if len(data) > 2 && data[0] < 0x80 && data[0]>>3 != 0 && data[0]&7 == byte(protowire.BytesType) &&
		data[1] < 0x80 && len(data) >= 2+int(data[1]) {
		f.number, f.kind = protowire.Number(data[0]>>3), protowire.BytesType
		f.bytes = data[2 : 2+data[1]]
		return 2 + int(data[1])
	}
	var start, n int
	if f.number, f.kind, start = protowire.ConsumeTag(data); start < 0 {
		return start
	}
	switch f.kind {
	case protowire.BytesType:
		f.bytes, n = protowire.ConsumeBytes(data[start:])
	case protowire.VarintType:
		f.value, n = protowire.ConsumeVarint(data[start:])
	case protowire.Fixed64Type:
		f.value, n = protowire.ConsumeFixed64(data[start:])
	default:
		n = protowire.ConsumeFieldValue(f.number, f.kind, data[start:])
	}
	if n < 0 {
		return n
	}
	return start + n
}
