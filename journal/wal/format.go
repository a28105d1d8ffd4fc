package wal

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/hooktroupe/hooktroupe/journal"
)

// The layout of docs/FORMAT.md. Sizes and offsets are in bytes.
const (
	version = 1

	headBytes       = 64
	sealBytes       = 64
	groupHeadBytes  = 32
	recordHeadBytes = 16
	alignment       = 8
	pageBytes       = 4096

	flagSparse = 1

	kindRecord = 1
	kindGap    = 2
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	little     = binary.LittleEndian

	headMagic  = []byte("HOOKSEG\x00")
	sealMagic  = []byte("HOOKEND\x00")
	groupMagic = []byte("HTGR")
)

// key is what a segment's checksums start with.
type key struct {
	salt uint64
	sum  uint32 // CRC32C of the salt
}

func newKey(salt uint64) key {
	return key{salt: salt, sum: crc32.Checksum(little.AppendUint64(nil, salt), castagnoli)}
}

// at is the CRC32C of salt, offset and head. The offset is fed in byte by byte so that nothing is allocated.
func (k key) at(offset uint32, head []byte) uint32 {
	sum := ^k.sum
	for i := range 8 {
		sum = castagnoli[byte(sum)^byte(uint64(offset)>>(8*i))] ^ sum>>8
	}
	return crc32.Update(^sum, castagnoli, head)
}

// segmentHead is the first 64 bytes of a segment.
type segmentHead struct {
	number uint32
	salt   uint64
	size   int64
	first  uint64 // sequence number of the first group
	sparse bool
}

func (h segmentHead) encode() []byte {
	p := make([]byte, headBytes)
	copy(p, headMagic)
	little.PutUint16(p[8:], version)
	if h.sparse {
		little.PutUint16(p[10:], flagSparse)
	}
	little.PutUint32(p[12:], h.number)
	little.PutUint64(p[16:], h.salt)
	little.PutUint64(p[24:], uint64(h.size))
	little.PutUint64(p[32:], h.first)
	little.PutUint32(p[60:], crc32.Checksum(p[:60], castagnoli))
	return p
}

// decodeHead returns the head, or what is wrong with it.
func decodeHead(p []byte) (h segmentHead, wrong string) {
	switch {
	case !bytes.HasPrefix(p, headMagic):
		return h, "not a segment"
	case little.Uint32(p[60:]) != crc32.Checksum(p[:60], castagnoli):
		return h, "checksum of the segment's head"
	case little.Uint16(p[8:]) != version:
		return h, fmt.Sprintf("format version %d is not known", little.Uint16(p[8:]))
	}
	h = segmentHead{
		number: little.Uint32(p[12:]), salt: little.Uint64(p[16:]), size: int64(little.Uint64(p[24:])),
		first: little.Uint64(p[32:]), sparse: little.Uint16(p[10:])&flagSparse != 0,
	}
	if h.size < headBytes+sealBytes || h.size > 2*journal.MaxGroupBytes {
		return h, fmt.Sprintf("segment size %d", h.size)
	}
	return h, ""
}

// seal is the last 64 bytes of a segment that is complete.
type seal struct {
	number, end     uint32
	salt, next      uint64
	groups, records uint32
	held            int64
}

func (s seal) encode() []byte {
	p := make([]byte, sealBytes)
	copy(p, sealMagic)
	little.PutUint32(p[8:], s.number)
	little.PutUint32(p[12:], s.end)
	little.PutUint64(p[16:], s.salt)
	little.PutUint64(p[24:], s.next)
	little.PutUint32(p[32:], s.groups)
	little.PutUint32(p[36:], s.records)
	little.PutUint64(p[40:], uint64(s.held))
	little.PutUint32(p[60:], crc32.Update(newKey(s.salt).sum, castagnoli, p[:60]))
	return p
}

// decodeSeal returns the seal, if p is one: it carries its own salt.
func decodeSeal(p []byte) (s seal, ok bool) {
	s = seal{
		number: little.Uint32(p[8:]), end: little.Uint32(p[12:]),
		salt: little.Uint64(p[16:]), next: little.Uint64(p[24:]),
		groups: little.Uint32(p[32:]), records: little.Uint32(p[36:]), held: int64(little.Uint64(p[40:])),
	}
	return s, bytes.HasPrefix(p, sealMagic) &&
		little.Uint32(p[60:]) == crc32.Update(newKey(s.salt).sum, castagnoli, p[:60])
}

// groupHead is the head of a group.
type groupHead struct {
	length   uint32 // of the records
	sequence uint64
	synced   uint32
	records  uint32
	heads    uint32 // CRC32C of the record heads
}

func (g groupHead) put(p []byte, k key, offset uint32) {
	copy(p, groupMagic)
	little.PutUint32(p[4:], g.length)
	little.PutUint64(p[8:], g.sequence)
	little.PutUint32(p[16:], g.synced)
	little.PutUint32(p[20:], g.records)
	little.PutUint32(p[24:], g.heads)
	little.PutUint32(p[28:], k.at(offset, p[:28]))
}

func decodeGroup(p []byte, k key, offset uint32) (g groupHead, ok bool) {
	if !bytes.HasPrefix(p, groupMagic) || little.Uint32(p[28:]) != k.at(offset, p[:28]) {
		return g, false
	}
	return groupHead{
		length: little.Uint32(p[4:]), sequence: little.Uint64(p[8:]), synced: little.Uint32(p[16:]),
		records: little.Uint32(p[20:]), heads: little.Uint32(p[24:]),
	}, true
}

// recordHead is the head of a record or a gap.
type recordHead struct {
	length uint32
	kind   uint8
	typ    uint8
	sum    uint32 // CRC32C of the data; zero for a gap
}

func (r recordHead) put(p []byte, k key, offset uint32) {
	little.PutUint32(p, r.length)
	p[4], p[5], p[6], p[7] = r.kind, r.typ, 0, 0
	little.PutUint32(p[8:], r.sum)
	little.PutUint32(p[12:], k.at(offset, p[:12]))
}

func decodeRecord(p []byte, k key, offset uint32) (r recordHead, ok bool) {
	r = recordHead{length: little.Uint32(p), kind: p[4], typ: p[5], sum: little.Uint32(p[8:])}
	if little.Uint32(p[12:]) != k.at(offset, p[:12]) || p[6] != 0 || p[7] != 0 {
		return r, false
	}
	isRecord := r.kind == kindRecord && r.typ != 0 && r.length <= journal.MaxRecordBytes
	isGap := r.kind == kindGap && r.typ == 0 && r.length%alignment == 0
	return r, isRecord || isGap
}

// padded rounds a length up to the alignment of frames.
func padded(length int64) int64 { return (length + alignment - 1) &^ (alignment - 1) }

// paged rounds an offset up to the page of the file system.
func paged(offset int64) int64 { return (offset + pageBytes - 1) &^ (pageBytes - 1) }

// frameBytes is what a record with so much data takes.
func frameBytes(length uint32) int64 { return recordHeadBytes + padded(int64(length)) }

// groupBytes is what a group takes; ErrTooLarge and ErrInvalid say what cannot be written.
func groupBytes(group []journal.Entry) (int64, error) {
	total, data := int64(groupHeadBytes), int64(0)
	for i, e := range group {
		if len(e.Data) > journal.MaxRecordBytes {
			return 0, fmt.Errorf("%w: record %d of the group has %d bytes", journal.ErrTooLarge, i, len(e.Data))
		}
		if e.Type == 0 {
			return 0, fmt.Errorf("%w: record %d of the group has type 0", journal.ErrInvalid, i)
		}
		total += frameBytes(uint32(len(e.Data)))
		data += int64(len(e.Data))
	}
	if data > journal.MaxGroupBytes || total > 2*journal.MaxGroupBytes-pageBytes {
		return 0, fmt.Errorf("%w: the group has %d bytes in %d records", journal.ErrTooLarge, data, len(group))
	}
	return total, nil
}

// appendGroup appends the frames of a group that is to lie at offset in a segment, and the positions of its records.
func appendGroup(
	buf []byte, at []journal.Position, group []journal.Entry, g groupHead, k key, segment, offset uint32,
) ([]byte, []journal.Position) {
	var zeros [groupHeadBytes]byte
	base := len(buf)
	buf = append(buf, zeros[:]...)
	g.records = uint32(len(group))
	for _, e := range group {
		start := len(buf)
		where := offset + uint32(start-base)
		buf = append(buf, zeros[:recordHeadBytes]...)
		buf = append(buf, e.Data...)
		buf = append(buf, zeros[:padded(int64(len(e.Data)))-int64(len(e.Data))]...)
		head := recordHead{
			length: uint32(len(e.Data)), kind: kindRecord, typ: e.Type, sum: crc32.Checksum(e.Data, castagnoli),
		}
		head.put(buf[start:], k, where)
		g.heads = crc32.Update(g.heads, castagnoli, buf[start:start+recordHeadBytes])
		at = append(at, journal.Position{Segment: segment, Offset: where, Length: head.length})
	}
	g.length = uint32(len(buf) - base - groupHeadBytes)
	g.put(buf[base:], k, offset)
	return buf, at
}
