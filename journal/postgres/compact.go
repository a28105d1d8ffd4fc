package postgres

import (
	"context"
	"fmt"
	"math"
	"sort"

	"github.com/jackc/pgx/v5"

	"github.com/hooktroupe/hooktroupe/journal"
)

const (
	// worthwhile is what fraction of a segment may be live for its live records to be moved out of it.
	worthwhile = 4
	// smallFraction of SegmentBytes is how much may be moved whatever fraction that is: segments that were closed by their
	// age are small, and would be many.
	smallFraction = 16
	// moveBytes is how much one statement moves.
	moveBytes = 4 << 20
)

// Compact says which records before a position the shard still needs; all behind it are. What nobody needs goes with its
// segment's table when Sweep drops that: so where little of a closed segment is live, over all shards, this shard's part is
// moved out of it, under the same positions. Damage done by an owner that was replaced meanwhile is none: what was dead for
// it is dead for the next.
func (j *Shard) Compact(before journal.Position, live []journal.Position) error {
	if err := j.load(); err != nil {
		return err
	}
	if before.IsZero() {
		return nil
	}
	ctx := context.Background()
	parts, err := j.parts(ctx, before)
	if err != nil {
		return err
	}
	for i := range parts {
		p := &parts[i]
		p.need(j.id, before, live)
		if err := j.settle(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// part is what a shard has in a closed segment.
type part struct {
	segment                   int32
	records, bytes            int64
	liveRecords, liveBytes    int64 // as they were known
	released                  bool
	segmentBytes, segmentLive int64 // of all shards

	live      []int64 // the records that are needed, in order
	liveSizes []int64
	tail      int64 // every record from here on is needed, too
}

// parts looks up what the shard has in closed segments up to the one of a position.
func (j *Shard) parts(ctx context.Context, before journal.Position) ([]part, error) {
	last, _, _ := place(before)
	var parts []part
	err := j.store.run(ctx, func(ctx context.Context) error {
		parts = nil
		if _, err := j.readNewest(ctx); err != nil {
			return err // fenced
		}
		rows, err := j.store.pool.Query(ctx, `
SELECT u.segment, u.records, u.bytes, u.live_records, u.live_bytes, u.released, COALESCE(g.bytes, 0), a.live::bigint
FROM hooktroupe_usage u LEFT JOIN hooktroupe_segments g ON g.segment = u.segment
JOIN (SELECT segment, sum(live_bytes) AS live FROM hooktroupe_usage GROUP BY segment) a ON a.segment = u.segment
WHERE u.shard = $1 AND u.segment <= $2 ORDER BY u.segment`, j.id, last)
		if err != nil {
			return err
		}
		parts, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (p part, err error) {
			err = row.Scan(&p.segment, &p.records, &p.bytes, &p.liveRecords, &p.liveBytes, &p.released, &p.segmentBytes,
				&p.segmentLive)
			return p, err
		})
		return err
	})
	return parts, err
}

// need notes which of the part's records are live.
func (p *part) need(shard int, before journal.Position, live []journal.Position) {
	p.tail = math.MaxInt64
	if segment, _, idx := place(before); segment == p.segment {
		p.tail = idx
	}
	from := position(p.segment, shard, 0, 0)
	for i := sort.Search(len(live), func(i int) bool { return live[i].Compare(from) >= 0 }); i < len(live); i++ {
		segment, _, idx := place(live[i])
		if segment != p.segment || idx >= p.tail {
			break
		}
		p.live, p.liveSizes = append(p.live, idx), append(p.liveSizes, recordBytes(int(live[i].Length)))
	}
	average := p.bytes / max(p.records, 1)
	for idx := p.tail; idx < p.records; idx++ {
		p.live, p.liveSizes = append(p.live, idx), append(p.liveSizes, average)
	}
}

// settle does with a part what its live records call for.
func (j *Shard) settle(ctx context.Context, p *part) error {
	count, bytes := int64(len(p.live)), int64(0)
	for _, size := range p.liveSizes {
		bytes += size
	}
	left := p.segmentLive - p.liveBytes + bytes // of all shards
	config := j.store.config
	switch {
	case p.released && count == p.liveRecords:
		return nil
	case p.released:
		if err := j.dropKept(ctx, p); err != nil {
			return err
		}
	case count == 0:
		p.released = true
	case left <= p.segmentBytes/worthwhile || left <= config.SegmentBytes/smallFraction:
		if err := j.move(ctx, p); err != nil {
			return err
		}
		p.released = true
	case count == p.liveRecords && bytes == p.liveBytes:
		return nil
	}
	return j.store.run(ctx, func(ctx context.Context) error {
		_, err := j.store.pool.Exec(ctx, `
UPDATE hooktroupe_usage SET live_records = $4, live_bytes = $5, released = released OR $6
WHERE shard = $1 AND segment = $2 AND EXISTS (SELECT 1 FROM hooktroupe_shards WHERE shard = $1 AND generation = $3)`,
			j.id, p.segment, j.generation, count, bytes, p.released)
		return err
	})
}

// move copies a part's live records to where they outlive the segment. Again is the same; the segment's table goes only
// after the part is marked as released.
func (j *Shard) move(ctx context.Context, p *part) error {
	sql := fmt.Sprintf(`
INSERT INTO hooktroupe_kept (shard, segment, idx, type, task, head_crc, body_crc, head, body)
SELECT shard, %d, idx, type, task, head_crc, body_crc, head, body FROM %s WHERE shard = $1 AND idx = ANY($2)
ON CONFLICT DO NOTHING`, p.segment, recordsTable(p.segment))
	for begin := 0; begin < len(p.live); {
		end, size := begin, int64(0)
		for end < len(p.live) && (end == begin || size+p.liveSizes[end] <= moveBytes) {
			size, end = size+p.liveSizes[end], end+1
		}
		err := j.store.run(ctx, func(ctx context.Context) error {
			_, err := j.store.pool.Exec(ctx, sql, j.id, p.live[begin:end])
			return err
		})
		if err != nil {
			return err
		}
		begin = end
	}
	return nil
}

// dropKept removes those of a part's records that were moved and are needed no more.
func (j *Shard) dropKept(ctx context.Context, p *part) error {
	live := p.live
	if live == nil {
		live = []int64{}
	}
	return j.store.run(ctx, func(ctx context.Context) error {
		_, err := j.store.pool.Exec(ctx, `
DELETE FROM hooktroupe_kept WHERE shard = $1 AND segment = $2 AND NOT idx = ANY($4::bigint[])
AND EXISTS (SELECT 1 FROM hooktroupe_shards WHERE shard = $1 AND generation = $3)`, j.id, p.segment, j.generation, live)
		return err
	})
}
