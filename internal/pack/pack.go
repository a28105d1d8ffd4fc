// Package pack makes bodies small for the disk: JSON shrinks to a third at a few microseconds for a body of 8 KB, which is
// less than it costs to write the rest.
package pack

import (
	"errors"
	"fmt"
	"sync"

	"github.com/klauspost/compress/s2"
)

// minBytes is below what length bodies stay as they are.
const minBytes = 256

// maxScratch bounds the buffers that are kept for the next body.
const maxScratch = 256 << 10

// ErrDamaged means that bytes are not what Pack made.
var ErrDamaged = errors.New("pack: damaged block")

var scratch = sync.Pool{New: func() any { return new([]byte) }}

// Pack returns body as one S2 block (https://github.com/klauspost/compress/tree/master/s2, a superset of Snappy's), or
// nil where that saves less than an eighth.
func Pack(body []byte) []byte {
	if len(body) < minBytes {
		return nil
	}
	buffer, _ := scratch.Get().(*[]byte)
	defer scratch.Put(buffer)
	block := s2.Encode((*buffer)[:cap(*buffer)], body)
	if cap(block) <= maxScratch {
		*buffer = block
	}
	if len(block) > len(body)-len(body)/8 {
		return nil
	}
	return append([]byte(nil), block...)
}

// Unpack returns the body that a block was made of, if it has at most so many bytes. Anything else is ErrDamaged.
func Unpack(block []byte, most int) ([]byte, error) {
	n, err := s2.DecodedLen(block)
	if err != nil || n > most {
		return nil, fmt.Errorf("%w: it says %d bytes", ErrDamaged, n)
	}
	body, err := s2.Decode(nil, block)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return body, nil
}
