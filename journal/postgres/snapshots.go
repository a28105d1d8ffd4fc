package postgres

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/jackc/pgx/v5"

	"github.com/hooktroupe/hooktroupe/journal"
)

const (
	// chunkBytes is how much of a snapshot a row holds.
	chunkBytes = 1 << 20
	// MaxSnapshotBytes bounds a snapshot.
	MaxSnapshotBytes = 64 << 30
)

// sweepSnapshotsSQL removes what is not the newest snapshot, in the name of the owner. Chunks of a newer owner are not
// seen by a statement of an older one: it either began before them, or finds another generation.
const sweepSnapshotsSQL = `
DELETE FROM hooktroupe_snapshots c WHERE c.shard = $1 AND EXISTS (
    SELECT 1 FROM hooktroupe_shards s WHERE s.shard = $1 AND s.generation = $2 AND s.snapshot <> c.snapshot)`

// adoptSQL makes a snapshot the newest, if it was made from the one before by the shard's owner: so a statement that is
// executed late undoes nothing.
const adoptSQL = `
UPDATE hooktroupe_shards SET snapshot = $4, snapshot_segment = $5, snapshot_offset = $6, snapshot_length = $7,
    snapshot_bytes = $8, snapshot_crc = $9
WHERE shard = $1 AND generation = $2 AND snapshot = $3`

// Save writes a snapshot in rows of 1 MiB beside the newest, and then makes it the newest, unless there is a newer
// generation: journal.ErrFenced.
func (j *Shard) Save(covered journal.Position, write func(io.Writer) error) error {
	ctx := context.Background()
	if err := j.load(); err != nil {
		return err
	}
	previous, err := j.newest(ctx)
	if err != nil {
		return err
	}
	var id [8]byte
	if _, err := rand.Read(id[:]); err != nil {
		return err
	}
	w := &chunkWriter{shard: j, snapshot: int64(binary.BigEndian.Uint64(id[:])>>1) | 1}
	if err := j.sweepSnapshots(ctx); err != nil {
		return err
	}
	if err := write(w); err != nil {
		return errors.Join(err, j.sweepSnapshots(ctx))
	}
	if err := w.flush(); err != nil {
		return errors.Join(err, j.sweepSnapshots(ctx))
	}
	err = j.store.run(ctx, func(ctx context.Context) error {
		done, err := j.store.pool.Exec(ctx, adoptSQL, j.id, j.generation, previous, w.snapshot,
			int64(covered.Segment), int64(covered.Offset), int64(covered.Length), w.bytes, int64(w.crc))
		if err != nil || done.RowsAffected() == 1 {
			return err
		}
		now, err := j.readNewest(ctx)
		if err == nil && now != w.snapshot { // or else an earlier attempt has done it
			err = fmt.Errorf("%w: another snapshot of shard %d was saved meanwhile", journal.ErrFenced, j.id)
		}
		return err
	})
	if err != nil {
		return err
	}
	_ = j.sweepSnapshots(ctx) // or else the next Save does it
	return nil
}

// newest returns the newest snapshot's number; zero if there is none.
func (j *Shard) newest(ctx context.Context) (id int64, err error) {
	err = j.store.run(ctx, func(ctx context.Context) error {
		id, err = j.readNewest(ctx)
		return err
	})
	return id, err
}

func (j *Shard) readNewest(ctx context.Context) (id int64, err error) {
	var generation int64
	err = j.store.pool.QueryRow(ctx, "SELECT generation, snapshot FROM hooktroupe_shards WHERE shard = $1", j.id).
		Scan(&generation, &id)
	if err == nil && generation != j.generation {
		err = fenced(j.id, generation, j.generation)
	}
	return id, err
}

func fenced(shard int, newest, generation int64) error {
	return fmt.Errorf("%w: shard %d has generation %d, not %d", journal.ErrFenced, shard, newest, generation)
}

func (j *Shard) sweepSnapshots(ctx context.Context) error {
	return j.store.run(ctx, func(ctx context.Context) error {
		_, err := j.store.pool.Exec(ctx, sweepSnapshotsSQL, j.id, j.generation)
		return err
	})
}

// chunkWriter writes a snapshot a row at a time.
type chunkWriter struct {
	shard    *Shard
	snapshot int64
	chunk    int32
	buffer   []byte
	bytes    int64
	crc      uint32
}

func (w *chunkWriter) Write(p []byte) (n int, err error) {
	for len(p) > 0 {
		k := min(len(p), chunkBytes-len(w.buffer))
		w.buffer = append(w.buffer, p[:k]...)
		p, n = p[k:], n+k
		if len(w.buffer) == chunkBytes {
			if err := w.flush(); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

// flush writes what is in the buffer as one row; again is the same.
func (w *chunkWriter) flush() error {
	if len(w.buffer) == 0 {
		return nil
	}
	if w.bytes += int64(len(w.buffer)); w.bytes > MaxSnapshotBytes {
		return fmt.Errorf("%w: a snapshot of more than %d bytes", journal.ErrTooLarge, int64(MaxSnapshotBytes))
	}
	w.crc = crc32.Update(w.crc, castagnoli, w.buffer)
	store := w.shard.store
	err := store.run(context.Background(), func(ctx context.Context) error {
		_, err := store.pool.Exec(ctx, "INSERT INTO hooktroupe_snapshots (shard, snapshot, chunk, data) "+
			"VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING", w.shard.id, w.snapshot, w.chunk, w.buffer)
		return err
	})
	w.chunk, w.buffer = w.chunk+1, w.buffer[:0]
	return err
}

// Load opens the newest snapshot, whoever saved it.
func (j *Shard) Load() (covered journal.Position, r io.ReadCloser, err error) {
	if err := j.load(); err != nil {
		return covered, nil, err
	}
	var (
		segment, offset, length, crc int64
		reader                       = &chunkReader{shard: j}
	)
	err = j.store.run(context.Background(), func(ctx context.Context) error {
		return j.store.pool.QueryRow(ctx, "SELECT snapshot, snapshot_segment, snapshot_offset, snapshot_length, "+
			"snapshot_bytes, snapshot_crc FROM hooktroupe_shards WHERE shard = $1", j.id).
			Scan(&reader.snapshot, &segment, &offset, &length, &reader.left, &crc)
	})
	if err != nil {
		return covered, nil, err
	}
	if reader.snapshot == 0 {
		return covered, nil, journal.ErrNoSnapshot
	}
	reader.want = uint32(crc)
	covered = journal.Position{Segment: uint32(segment), Offset: uint32(offset), Length: uint32(length)}
	return covered, reader, nil
}

// chunkReader reads a snapshot a row at a time.
type chunkReader struct {
	shard     *Shard
	snapshot  int64
	chunk     int32
	buffer    []byte
	left      int64
	crc, want uint32
}

func (r *chunkReader) Read(p []byte) (int, error) {
	if len(r.buffer) == 0 {
		if err := r.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.buffer)
	r.buffer = r.buffer[n:]
	return n, nil
}

// fill reads the next row. Instead of io.EOF it returns ErrCorrupt if what was read is not what was saved.
func (r *chunkReader) fill() error {
	corrupt := func(reason string) error {
		return &journal.CorruptError{
			File: fmt.Sprintf("snapshot of shard %d", r.shard.id), Offset: int64(r.chunk) * chunkBytes, Reason: reason,
		}
	}
	if r.left == 0 {
		if r.crc != r.want {
			return corrupt("checksum")
		}
		return io.EOF
	}
	store := r.shard.store
	err := store.run(context.Background(), func(ctx context.Context) error {
		err := store.pool.QueryRow(ctx, "SELECT data FROM hooktroupe_snapshots WHERE shard = $1 AND snapshot = $2 AND chunk = $3",
			r.shard.id, r.snapshot, r.chunk).Scan(&r.buffer)
		if !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		if _, err := r.shard.readNewest(ctx); err != nil {
			return err // replaced by a newer owner's, perhaps
		}
		return corrupt("a part is missing")
	})
	if err != nil {
		return err
	}
	if len(r.buffer) == 0 || int64(len(r.buffer)) > r.left {
		return corrupt("a part has another length")
	}
	r.crc = crc32.Update(r.crc, castagnoli, r.buffer)
	r.left -= int64(len(r.buffer))
	r.chunk++
	return nil
}

// Close has nothing to close.
func (r *chunkReader) Close() error { return nil }
