package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/hooktroupe/hooktroupe/journal"
)

// Entry is a record to be appended.
type Entry struct {
	// Type is the caller's; zero is invalid.
	Type uint8
	// Data is the caller's.
	Data []byte
}

// Batch is what a shard's owner appends: all of it or nothing.
type Batch struct {
	// Shard is whose log gets it.
	Shard int
	// Generation is the owner's.
	Generation int64
	// Seq counts the batches of this shard under this generation from 1. One whose outcome is unknown is appended again,
	// unchanged and under its number, until its outcome is known; only then comes the next. So it is written once, even if a
	// server that was frozen executes an earlier attempt long after. A batch with zero has no number, and may be written
	// again by each attempt: that is for records that may be repeated.
	Seq int64
	// Entries are written in order.
	Entries []Entry
}

// Append writes batches of different shards in one round trip. For each, positions[i] are those of its entries, and errs[i]
// is nil; or nothing of it was written and errs[i] is journal.ErrFenced, for the generation is not the newest, or
// ErrSequence; or errs[i] is another error, the same for all: after ErrUnavailable the outcome is unknown, and after
// journal.ErrFull, journal.ErrTooLarge (more than MaxBatchBytes in all) or journal.ErrInvalid nothing was written.
func (s *Store) Append(ctx context.Context, batches []Batch) (positions [][]journal.Position, errs []error) {
	positions, errs = make([][]journal.Position, len(batches)), make([]error, len(batches))
	err := s.checkBatches(batches)
	if err == nil && len(batches) > 0 {
		err = s.run(ctx, func(ctx context.Context) error { return s.appendOnce(ctx, batches, positions, errs) })
	}
	if err != nil {
		for i := range batches {
			positions[i], errs[i] = nil, err
		}
	}
	return positions, errs
}

func (s *Store) checkBatches(batches []Batch) error {
	size, shards := int64(0), make(map[int]bool, len(batches))
	for i, b := range batches {
		if shards[b.Shard] || b.Seq < 0 {
			return fmt.Errorf("%w: batch %d is the second of shard %d, or has a number below zero", journal.ErrInvalid, i, b.Shard)
		}
		shards[b.Shard] = true
		if err := s.checkRecord(b.Shard, i, 0); err != nil {
			return err
		}
		for k, e := range b.Entries {
			if e.Type == 0 {
				return fmt.Errorf("%w: record %d of batch %d has type 0", journal.ErrInvalid, k, i)
			}
			if err := s.checkRecord(b.Shard, k, len(e.Data)); err != nil {
				return err
			}
			size += recordBytes(len(e.Data))
		}
	}
	if size > MaxBatchBytes {
		return fmt.Errorf("%w: the batches have %d bytes", journal.ErrTooLarge, size)
	}
	if s.overBudget(size, true) {
		return fmt.Errorf("%w: %d bytes more than %d", journal.ErrBudget, size, s.usage.total())
	}
	return nil
}

// appendSQL writes owners' batches into a segment. The answer tells what each shard's row was under the lock, from which
// the outcome follows.
func appendSQL(open int32) string {
	return fmt.Sprintf(`
WITH batch AS (
    SELECT * FROM unnest($1::int[], $2::bigint[], $3::bigint[], $4::int[], $5::bigint[])
        AS t (shard, generation, seq, records, bytes)
), locked AS (
    SELECT shard, generation, segment, next, bytes, writer_generation, writer_seq, writer_segment, writer_first
    FROM hooktroupe_shards WHERE shard = ANY($1::int[]) ORDER BY shard FOR UPDATE
), todo AS (
    SELECT b.shard, b.generation, b.seq, b.records, b.bytes, l.next
    FROM batch b JOIN locked l ON l.shard = b.shard
    WHERE l.segment = %[1]d AND l.generation = b.generation
    AND (b.seq = 0 OR b.seq = 1 + CASE WHEN l.writer_generation = b.generation THEN l.writer_seq ELSE 0 END)
), written AS (
    INSERT INTO %[2]s (shard, idx, type, head_crc, body_crc, head, body)
    SELECT e.shard, t.next + e.nth, e.type, e.head_crc, e.body_crc, substring($13::bytea from e.start for e.size), ''
    FROM unnest($6::int[], $7::int[], $8::smallint[], $9::bigint[], $10::bigint[], $11::int[], $12::int[])
        AS e (shard, nth, type, head_crc, body_crc, start, size)
    JOIN todo t ON t.shard = e.shard
), moved AS (
    UPDATE hooktroupe_shards s SET next = s.next + t.records, bytes = s.bytes + t.bytes,
        writer_generation = CASE WHEN t.seq = 0 THEN s.writer_generation ELSE t.generation END,
        writer_seq = CASE WHEN t.seq = 0 THEN s.writer_seq ELSE t.seq END,
        writer_segment = CASE WHEN t.seq = 0 THEN s.writer_segment ELSE %[1]d END,
        writer_first = CASE WHEN t.seq = 0 THEN s.writer_first ELSE t.next END
    FROM todo t WHERE s.shard = t.shard
)
SELECT l.shard, l.generation, l.segment, l.next, l.bytes, l.writer_generation, l.writer_seq, l.writer_segment,
    l.writer_first
FROM locked l`, open, recordsTable(open))
}

// shardRow is a shard's row before a statement, under its lock.
type shardRow struct {
	shard            int32
	generation       int64
	segment          int32
	next, bytes      int64
	writerGeneration int64
	writerSeq        int64
	writerSegment    int32
	writerFirst      int64
}

// first returns where the batch that the row was locked for begins: appended now, or by an earlier attempt.
func (r *shardRow) first(b Batch, open int32) (segment int32, first int64, err error) {
	last := int64(0)
	if r.writerGeneration == b.Generation {
		last = r.writerSeq
	}
	switch {
	case r.generation != b.Generation:
		return 0, 0, fenced(b.Shard, r.generation, b.Generation)
	case b.Seq > 0 && last == b.Seq:
		return r.writerSegment, r.writerFirst, nil
	case b.Seq > 0 && last != b.Seq-1:
		return 0, 0, fmt.Errorf("%w: shard %d has seen %d, and now %d", ErrSequence, b.Shard, last, b.Seq)
	case r.segment != open:
		return 0, 0, errStale
	default:
		return open, r.next, nil
	}
}

func (s *Store) appendOnce(ctx context.Context, batches []Batch, positions [][]journal.Position, errs []error) error {
	c := s.catalog.Load()
	rows, err := s.pool.Query(ctx, c.append, batchArguments(batches)...)
	if err != nil {
		return err
	}
	at := make(map[int32]int, len(batches))
	for i, b := range batches {
		at[int32(b.Shard)] = i
	}
	var r shardRow
	stale := false
	_, err = pgx.ForEachRow(rows, []any{
		&r.shard, &r.generation, &r.segment, &r.next, &r.bytes, &r.writerGeneration, &r.writerSeq, &r.writerSegment,
		&r.writerFirst,
	}, func() error {
		i := at[r.shard]
		segment, first, err := r.first(batches[i], c.open)
		switch {
		case err == errStale: //nolint:errorlint // it is never wrapped here
			stale = true
		case err != nil:
			positions[i], errs[i] = nil, err
		default:
			positions[i], errs[i] = batchPositions(batches[i], segment, first), nil
			s.usage.sawOpen(batches[i].Shard, r.bytes+batchBytes(batches[i]))
		}
		return nil
	})
	if err == nil && stale {
		return errStale // what was written now is found written by the next attempt
	}
	return err
}

func batchPositions(b Batch, segment int32, first int64) []journal.Position {
	all := make([]journal.Position, len(b.Entries))
	for k, e := range b.Entries {
		all[k] = position(segment, b.Shard, first+int64(k), len(e.Data))
	}
	return all
}

func batchBytes(b Batch) int64 {
	size := int64(0)
	for _, e := range b.Entries {
		size += recordBytes(len(e.Data))
	}
	return size
}

// batchArguments are the columns of batches, and then those of their entries; the data of all of them is the last.
func batchArguments(batches []Batch) []any {
	n := len(batches)
	shards, generations, seqs := make([]int32, n), make([]int64, n), make([]int64, n)
	records, bytes := make([]int32, n), make([]int64, n)
	entries := 0
	for _, b := range batches {
		entries += len(b.Entries)
	}
	entryShards, nths, kinds := make([]int32, 0, entries), make([]int32, 0, entries), make([]int16, 0, entries)
	sums, bodySums := make([]int64, 0, entries), make([]int64, 0, entries)
	starts, sizes, data := make([]int32, 0, entries), make([]int32, 0, entries), []byte{}
	for i, b := range batches {
		shards[i], generations[i], seqs[i] = int32(b.Shard), b.Generation, b.Seq
		records[i], bytes[i] = int32(len(b.Entries)), batchBytes(b)
		for k, e := range b.Entries {
			entryShards, nths = append(entryShards, int32(b.Shard)), append(nths, int32(k))
			kinds, sums = append(kinds, int16(e.Type)), append(sums, checksum(e.Type, e.Data))
			bodySums = append(bodySums, checksum(e.Type, nil))
			starts, sizes = append(starts, int32(len(data))+1), append(sizes, int32(len(e.Data))) // SQL counts from 1
			data = append(data, e.Data...)
		}
	}
	return []any{shards, generations, seqs, records, bytes, entryShards, nths, kinds, sums, bodySums, starts, sizes, data}
}
