package postgres

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"

	"github.com/hooktroupe/hooktroupe/journal"
)

const (
	// replayRecords and replayBytes bound what Replay reads at a time.
	replayRecords = 2000
	replayBytes   = 4 << 20
)

// Shard is one shard's log under one generation, as a journal.Journal and its journal.Snapshots. Where the contract speaks
// of a file, the store is meant: what Append wrote is on the server's stable storage, synced or not.
//
// Others append to the same log. So End is behind every record that this Shard has appended or replayed, and those of others
// may lie there already. Replay gives of a delivery the head alone. Stats count the whole store, but groups and records only
// of this Shard.
type Shard struct {
	store      *Store
	id         int
	generation int64

	mu                     sync.Mutex // guards what follows
	loaded, failed, closed bool
	seq                    int64 // of the last batch
	end                    journal.Position
	groups, records, bytes uint64
}

var (
	_ journal.Journal   = (*Shard)(nil)
	_ journal.Snapshots = (*Shard)(nil)
)

// Shard returns one shard's log for an owner of a generation. It asks the store nothing yet.
func (s *Store) Shard(id int, generation int64) *Shard {
	return &Shard{store: s, id: id, generation: generation}
}

// load looks up where the log ends, and which batch was the generation's last.
func (j *Shard) load() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return journal.ErrClosed
	}
	if j.loaded {
		return nil
	}
	if j.id < 0 || j.id >= j.store.shards {
		return fmt.Errorf("%w: shard %d of %d", journal.ErrInvalid, j.id, j.store.shards)
	}
	var (
		segment           int32
		next, writer, seq int64
	)
	err := j.store.run(context.Background(), func(ctx context.Context) error {
		return j.store.pool.QueryRow(ctx,
			"SELECT segment, next, writer_generation, writer_seq FROM hooktroupe_shards WHERE shard = $1", j.id).
			Scan(&segment, &next, &writer, &seq)
	})
	if err != nil {
		return err
	}
	if writer == j.generation {
		j.seq = seq
	}
	j.reach(position(segment, j.id, next, 0))
	j.loaded = true
	return nil
}

// reach moves the end; mu is held.
func (j *Shard) reach(at journal.Position) {
	if at.Compare(j.end) > 0 {
		j.end = at
	}
}

// Append writes a group under the Shard's generation; ErrFenced means that there is a newer one. After an error that leaves
// the outcome unknown, which wraps both journal.ErrFailed and ErrUnavailable, another Shard must be made.
func (j *Shard) Append(
	dst []journal.Position, group []journal.Entry, opts journal.Options,
) ([]journal.Position, error) {
	if err := j.load(); err != nil {
		return dst, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.failed {
		return dst, journal.ErrFailed
	}
	if len(group) == 0 {
		return dst, nil
	}
	b := Batch{Shard: j.id, Generation: j.generation, Seq: j.seq + 1, Entries: make([]Entry, len(group))}
	for i, e := range group {
		b.Entries[i] = Entry(e)
	}
	size := batchBytes(b)
	if err := j.store.checkBatches([]Batch{b}); err != nil {
		return dst, err
	}
	if j.store.overBudget(size, opts.Reserve) {
		return dst, fmt.Errorf("%w: %d bytes more than %d", journal.ErrBudget, size, j.store.usage.total())
	}
	positions, errs := j.store.Append(context.Background(), []Batch{b})
	if err := errs[0]; err != nil {
		if errors.Is(err, journal.ErrFenced) || errors.Is(err, journal.ErrFull) {
			return dst, err
		}
		j.failed = true
		return dst, fmt.Errorf("%w: %w", journal.ErrFailed, err)
	}
	j.seq++
	j.groups, j.records, j.bytes = j.groups+1, j.records+uint64(len(group)), j.bytes+uint64(size)
	j.reach(Behind(positions[0][len(group)-1]))
	return append(dst, positions[0]...), nil
}

// Read returns a record of this shard.
func (j *Shard) Read(at journal.Position) (journal.Record, error) {
	if err := j.load(); err != nil {
		return journal.Record{}, err
	}
	if _, shard, _ := place(at); shard != j.id {
		return journal.Record{}, notFound(at)
	}
	return j.store.Read(context.Background(), at)
}

// Replay passes on what is there when it reads it, a page at a time.
func (j *Shard) Replay(from journal.Position, fn func(journal.Record) error) error {
	if err := j.load(); err != nil {
		return err
	}
	p := point{shard: j.id, segment: 1, idx: -1}
	if !from.IsZero() {
		segment, _, idx := place(from)
		p.segment, p.idx = max(segment, 1), idx-1
	}
	for {
		news, err := j.store.tail(context.Background(), []point{p}, nil, replayRecords, replayBytes)
		if err != nil {
			return err
		}
		for _, r := range news[0].Records {
			if err := fn(r); err != nil {
				return err
			}
		}
		if through := news[0].Through; !through.IsZero() {
			p.after = through
			p.segment, _, p.idx = place(through)
			if through.Offset < math.MaxUint32 { // a record's place, not that behind a segment
				j.mu.Lock()
				j.reach(Behind(through))
				j.mu.Unlock()
			}
		}
		if !news[0].More {
			return nil
		}
	}
}

// End is behind every record that this Shard has appended or replayed. It is zero if the store could not be asked.
func (j *Shard) End() journal.Position {
	_ = j.load() // what cannot be asked for is not known
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.end
}

// Stats are those of the store, as far as this member has seen, with what this Shard appended.
func (j *Shard) Stats() journal.Stats {
	j.mu.Lock()
	defer j.mu.Unlock()
	return journal.Stats{
		Segments:    int(j.store.usage.segments.Load()),
		Bytes:       j.store.usage.total(),
		BudgetBytes: j.store.config.MaxBytes,
		Full:        j.store.overBudget(frameBytes+1, false),
		Groups:      j.groups, Records: j.records, Syncs: j.groups, WrittenBytes: j.bytes,
	}
}

// Close ends the use of this Shard, not of the store.
func (j *Shard) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.closed = true
	return nil
}
