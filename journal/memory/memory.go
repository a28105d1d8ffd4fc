// Package memory keeps a journal in memory, for when persistence is off: the same contract as on disk, but that nothing
// survives the process, a sync is nothing, and compaction frees each dead record by itself. It never fails.
//
// The one invariant: a record's position is good until the record is compacted away, and is never used again.
package memory

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/hooktroupe/hooktroupe/journal"
)

// DefaultHighWater is the fraction of the budget that groups without the reserve may fill.
const DefaultHighWater = 0.9

// segmentBytes is where the offsets of one segment end and the next begins, unless a group is larger.
const segmentBytes = 64 << 20

// frameBytes is what a record takes beside its data: its place in the journal's own tables.
const frameBytes = 64

// Config is what the operator may choose.
type Config struct {
	// MaxBytes bounds the data of all records, with 64 bytes for each. Zero means no bound but the machine's.
	MaxBytes int64
	// HighWater is the fraction of MaxBytes, above 0 and at most 1, that groups without Options.Reserve may fill. Zero
	// means DefaultHighWater (0.9).
	HighWater float64
}

// WithDefaults returns the configuration with every zero replaced by its default.
func (c Config) WithDefaults() Config {
	if c.HighWater == 0 {
		c.HighWater = DefaultHighWater
	}
	return c
}

// Validate says everything that is wrong with a configuration that has its defaults.
func (c Config) Validate() error {
	var wrong []error
	if c.MaxBytes < 0 {
		wrong = append(wrong, fmt.Errorf("max_bytes: %d is negative", c.MaxBytes))
	}
	if c.HighWater <= 0 || c.HighWater > 1 {
		wrong = append(wrong, fmt.Errorf("high_water: %g is not above 0 and at most 1", c.HighWater))
	}
	return errors.Join(wrong...)
}

// Journal is a journal.Journal in memory. New makes it.
type Journal struct {
	config Config

	compacting sync.Mutex // held by Compact, so that one at a time replaces the records

	mu      sync.RWMutex // guards what follows
	records []journal.Record
	end     journal.Position
	bytes   int64
	stats   journal.Stats // its counters
	closed  bool
}

var _ journal.Journal = (*Journal)(nil)

// New returns an empty journal.
func New(config Config) (*Journal, error) {
	config = config.WithDefaults()
	if err := config.Validate(); err != nil {
		return nil, err
	}
	return &Journal{config: config, end: journal.Position{Segment: 1}}, nil
}

// Append copies the group's data.
func (j *Journal) Append(
	dst []journal.Position, group []journal.Entry, opts journal.Options,
) ([]journal.Position, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return dst, journal.ErrClosed
	}
	size, err := groupBytes(group)
	if err != nil {
		return dst, err
	}
	if len(group) == 0 {
		return dst, nil
	}
	if j.overBudget(size, opts.Reserve) {
		return dst, fmt.Errorf("%w: %d bytes more than %d", journal.ErrBudget, size, j.bytes)
	}
	if j.end.Offset > 0 && int64(j.end.Offset)+size > segmentBytes {
		j.end = journal.Position{Segment: j.end.Segment + 1}
	}
	for _, e := range group {
		at := j.end
		at.Length = uint32(len(e.Data))
		j.records = append(j.records, journal.Record{Position: at, Type: e.Type, Data: slices.Clone(e.Data)})
		j.end.Offset += frameBytes + at.Length
		dst = append(dst, at)
	}
	j.bytes += size
	j.stats.Groups++
	j.stats.Records += uint64(len(group))
	j.stats.WrittenBytes += uint64(size)
	return dst, nil
}

// groupBytes is what a group takes; ErrTooLarge and ErrInvalid say what cannot be appended.
func groupBytes(group []journal.Entry) (int64, error) {
	size, data := int64(0), int64(0)
	for i, e := range group {
		if len(e.Data) > journal.MaxRecordBytes {
			return 0, fmt.Errorf("%w: record %d of the group has %d bytes", journal.ErrTooLarge, i, len(e.Data))
		}
		if e.Type == 0 {
			return 0, fmt.Errorf("%w: record %d of the group has type 0", journal.ErrInvalid, i)
		}
		data += int64(len(e.Data))
		size += frameBytes + int64(len(e.Data))
	}
	if data > journal.MaxGroupBytes || size > 2*journal.MaxGroupBytes {
		return 0, fmt.Errorf("%w: the group has %d bytes in %d records", journal.ErrTooLarge, data, len(group))
	}
	return size, nil
}

// overBudget says whether a growth in bytes exceeds what the records may take; mu is held.
func (j *Journal) overBudget(growth int64, reserve bool) bool {
	limit := float64(j.config.MaxBytes)
	if !reserve {
		limit *= j.config.HighWater
	}
	return j.config.MaxBytes > 0 && float64(j.bytes+growth) > limit
}

// search returns the place of the first record at or after a position, and whether it is at it.
func (j *Journal) search(at journal.Position) (int, bool) {
	return slices.BinarySearchFunc(j.records, at, func(r journal.Record, p journal.Position) int {
		return r.Position.Compare(p)
	})
}

// Read returns a copy.
func (j *Journal) Read(at journal.Position) (journal.Record, error) {
	j.mu.RLock()
	defer j.mu.RUnlock()
	if j.closed {
		return journal.Record{}, journal.ErrClosed
	}
	i, found := j.search(at)
	if !found {
		return journal.Record{}, fmt.Errorf("%w: segment %d offset %d", journal.ErrNotFound, at.Segment, at.Offset)
	}
	r := j.records[i]
	r.Data = slices.Clone(r.Data)
	return r, nil
}

// Replay passes on the records as they were when it was called.
func (j *Journal) Replay(from journal.Position, fn func(journal.Record) error) error {
	records, err := j.from(from)
	if err != nil {
		return err
	}
	for _, r := range records {
		if err := fn(r); err != nil {
			return err
		}
	}
	return nil
}

func (j *Journal) from(at journal.Position) ([]journal.Record, error) {
	j.mu.RLock()
	defer j.mu.RUnlock()
	if j.closed {
		return nil, journal.ErrClosed
	}
	i, _ := j.search(at)
	return slices.Clone(j.records[i:]), nil
}

// End is the position of the next record, unless its group begins a new segment.
func (j *Journal) End() journal.Position {
	j.mu.RLock()
	defer j.mu.RUnlock()
	return j.end
}

// Compact frees every record before a position that is not live. It picks them while others append and read, and only
// puts the result in place under the lock.
func (j *Journal) Compact(before journal.Position, live []journal.Position) error {
	j.compacting.Lock()
	defer j.compacting.Unlock()
	old, err := j.until(before)
	if err != nil {
		return err
	}
	var kept []journal.Record
	freed := int64(0)
	for _, r := range old {
		for len(live) > 0 && live[0].Compare(r.Position) < 0 {
			live = live[1:]
		}
		if len(live) > 0 && live[0].Compare(r.Position) == 0 {
			kept = append(kept, r)
			continue
		}
		freed += frameBytes + int64(len(r.Data))
	}
	if freed == 0 {
		return nil
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return journal.ErrClosed
	}
	j.records = append(kept, j.records[len(old):]...)
	j.bytes -= freed
	return nil
}

// until returns the records before a position. Append only adds behind them.
func (j *Journal) until(before journal.Position) ([]journal.Record, error) {
	j.mu.RLock()
	defer j.mu.RUnlock()
	if j.closed {
		return nil, journal.ErrClosed
	}
	end, _ := j.search(before)
	return j.records[:end:end], nil
}

// Stats counts all records as one segment.
func (j *Journal) Stats() journal.Stats {
	j.mu.RLock()
	defer j.mu.RUnlock()
	s := j.stats
	s.Segments, s.Bytes, s.BudgetBytes = 1, j.bytes, j.config.MaxBytes
	s.Full = j.overBudget(frameBytes+1, false)
	return s
}

// Close forgets everything.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.closed, j.records, j.bytes = true, nil, 0
	return nil
}
