package postgres

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/hooktroupe/hooktroupe/journal"
)

const (
	// spanTables is in how many segments one call looks for one shard, and maxTables for all.
	spanTables = 4
	maxTables  = 16
	// MaxTail bounds the records of one Tail.
	MaxTail = 100_000
)

// Cursor is how far a shard's log has been read.
type Cursor struct {
	Shard int
	// After is exclusive. The zero Position is before every record.
	After journal.Position
}

// News is what a shard's log has behind a cursor.
type News struct {
	Shard int
	// Records are in order, and the caller's own.
	Records []journal.Record
	// Through is the next cursor: everything up to it, of whatever type, has been looked at. It may be a place without a
	// record.
	Through journal.Position
	// More says that there may be more behind Through already.
	More bool
}

// Behind is the first place behind a position of the same shard, for those who count from a place on.
func Behind(p journal.Position) journal.Position {
	if p.Offset == math.MaxUint32 {
		return journal.Position{Segment: p.Segment + MaxShards}
	}
	return journal.Position{Segment: p.Segment, Offset: p.Offset + 1}
}

// Tail returns, for each cursor, the records of some types behind it; no types means all. Of a delivery it returns the head
// alone, under the position of the whole. There are at most limit records of at most maxBytes for all shards together, but
// one where there is any, and each shard with news gets its turn. It is one round trip.
func (s *Store) Tail(ctx context.Context, cursors []Cursor, types []uint8, limit, maxBytes int) ([]News, error) {
	points := make([]point, len(cursors))
	seen := make(map[int]bool, len(cursors))
	for i, c := range cursors {
		if seen[c.Shard] || c.Shard < 0 || c.Shard >= s.shards {
			return nil, fmt.Errorf("%w: shard %d of %d, or twice", journal.ErrInvalid, c.Shard, s.shards)
		}
		seen[c.Shard] = true
		points[i] = point{shard: c.Shard, segment: 1, idx: -1, after: c.After}
		if !c.After.IsZero() {
			points[i].segment, _, points[i].idx = place(c.After)
		}
	}
	return s.tail(ctx, points, types, min(max(limit, 1), MaxTail), min(max(maxBytes, 1), MaxBatchBytes))
}

// point is an exclusive place in a shard's log, which may be before its first record.
type point struct {
	shard   int
	segment int32
	idx     int64
	after   journal.Position
	// until is the last segment that is looked at.
	until int32
}

func (s *Store) tail(ctx context.Context, points []point, types []uint8, limit, maxBytes int) ([]News, error) {
	if len(points) == 0 {
		return nil, nil
	}
	var news []News
	err := s.run(ctx, func(ctx context.Context) (err error) {
		news, err = s.tailOnce(ctx, points, types, limit, maxBytes)
		return err
	})
	return news, err
}

// choose decides which tables are looked at, and how far for each point; kept says that some of what lies in between has no
// table any more. Those who are far behind come last, so that they do not hold up the others.
func (c *catalog) choose(points []point) (tables []int32, kept bool) {
	order := make([]int, len(points))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return int(points[b].segment - points[a].segment) })
	chosen := map[int32]bool{}
	for _, i := range order {
		p := &points[i]
		p.until = p.segment - 1
		for _, n := range c.span(p.segment, spanTables) {
			if !chosen[n] && len(chosen) == maxTables {
				break
			}
			kept = kept || n != p.until+1
			chosen[n], p.until = true, n
		}
	}
	for n := range chosen {
		tables = append(tables, n)
	}
	slices.Sort(tables)
	return tables, kept
}

// tailSQL looks for records behind points, in one snapshot. Of each shard it takes so many, then by turns one of each shard
// until there are enough.
func tailSQL(tables []int32, kept bool) string {
	var parts []string
	if kept {
		parts = append(parts, `(SELECT k.segment, k.idx, k.type, octet_length(k.body), k.head_crc, k.head FROM hooktroupe_kept k
            WHERE k.shard = e.shard AND k.segment >= e.segment AND k.segment <= e.until
            AND (k.segment > e.segment OR k.idx > e.idx) AND NOT k.segment = ANY($8::int[])
            AND ($5::smallint[] IS NULL OR k.type = ANY($5::smallint[]))
            ORDER BY k.segment, k.idx LIMIT $6::int)`)
	}
	for _, n := range tables {
		parts = append(parts, fmt.Sprintf(`(SELECT %d, t.idx, t.type, octet_length(t.body), t.head_crc, t.head FROM %s t
            WHERE t.shard = e.shard AND e.segment <= %[1]d AND e.until >= %[1]d
            AND t.idx > CASE WHEN e.segment < %[1]d THEN -1 ELSE e.idx END
            AND ($5::smallint[] IS NULL OR t.type = ANY($5::smallint[]))
            ORDER BY t.idx LIMIT $6::int)`, n, recordsTable(n)))
	}
	if len(parts) == 0 {
		parts = []string{`(SELECT 0, 0::bigint, 0::smallint, 0, 0::bigint, ''::bytea WHERE false)`}
	}
	return fmt.Sprintf(`
WITH ends AS (
    SELECT p.shard, p.segment, p.idx, p.until, s.segment AS end_segment, s.next, s.last_segment, s.last_idx, s.bytes
    FROM unnest($1::int[], $2::int[], $3::bigint[], $4::int[]) AS p (shard, segment, idx, until)
    JOIN hooktroupe_shards s ON s.shard = p.shard
    WHERE $6::int > 0 AND ($5::smallint[] IS NULL OR $8::int[] IS NOT NULL) -- whichever tables: the same parameters
), found AS (
    SELECT e.shard, r.segment, r.idx, r.type, r.body_size, r.crc, r.head,
        row_number() OVER (PARTITION BY e.shard ORDER BY r.segment, r.idx) AS nth
    FROM ends e CROSS JOIN LATERAL (
        %s
    ) AS r (segment, idx, type, body_size, crc, head)
), ranked AS (
    SELECT *, row_number() OVER (ORDER BY nth, shard) AS turn, sum(octet_length(head)) OVER (ORDER BY nth, shard) AS total
    FROM found
), enough AS (
    SELECT * FROM ranked WHERE turn <= $7::int AND (total <= $9::bigint OR turn = 1)
), counts AS (
    SELECT shard, count(*) AS n FROM found GROUP BY shard
)
SELECT e.shard, e.end_segment, e.next, e.last_segment, e.last_idx, e.bytes, COALESCE(c.n, 0),
    r.segment, r.idx, r.type, r.body_size, r.crc, r.head
FROM ends e LEFT JOIN counts c ON c.shard = e.shard LEFT JOIN enough r ON r.shard = e.shard
ORDER BY e.shard, r.segment, r.idx`, strings.Join(parts, "\n        UNION ALL\n        "))
}

// tailRow is one line of the answer: where a shard's log ends, how many records were found, and one of them.
type tailRow struct {
	shard, endSegment, lastSegment int32
	next, lastIdx, bytes, found    int64
	segment                        *int32
	idx                            *int64
	kind                           *int16
	bodySize                       *int32
	crc                            *int64
	head                           []byte
}

func (s *Store) tailOnce(
	ctx context.Context, points []point, types []uint8, limit, maxBytes int,
) ([]News, error) {
	c := s.catalog.Load()
	tables, kept := c.choose(points)
	perShard := min(limit, max(64, 4*limit/len(points)))
	rows, err := s.pool.Query(ctx, tailSQL(tables, kept), tailArguments(c, points, types, perShard, limit, maxBytes)...)
	if err != nil {
		return nil, err
	}
	at := make(map[int32]int, len(points))
	for i, p := range points {
		at[int32(p.shard)] = i
	}
	news := make([]News, len(points))
	var r tailRow
	stale := false
	_, err = pgx.ForEachRow(rows, []any{
		&r.shard, &r.endSegment, &r.next, &r.lastSegment, &r.lastIdx, &r.bytes, &r.found,
		&r.segment, &r.idx, &r.kind, &r.bodySize, &r.crc, &r.head,
	}, func() error {
		i := at[r.shard]
		n := &news[i]
		n.Shard = int(r.shard)
		if r.segment != nil {
			record, err := r.record()
			if err != nil {
				return err
			}
			n.Records = append(n.Records, record)
		}
		n.through(points[i], &r, perShard)
		stale = stale || r.endSegment > c.open
		s.usage.sawOpen(int(r.shard), r.bytes)
		return nil
	})
	if err == nil && stale {
		err = s.refresh(ctx, c.open)
	}
	return news, err
}

// tailArguments are those of tailSQL.
func tailArguments(c *catalog, points []point, types []uint8, perShard, limit, maxBytes int) []any {
	shards, segments := make([]int32, len(points)), make([]int32, len(points))
	indexes, untils := make([]int64, len(points)), make([]int32, len(points))
	for i, p := range points {
		shards[i], segments[i], indexes[i], untils[i] = int32(p.shard), p.segment, p.idx, p.until
	}
	var kinds []int16 // nil is NULL: all
	for _, t := range types {
		kinds = append(kinds, int16(t))
	}
	return []any{shards, segments, indexes, untils, kinds, perShard, limit, c.segments, maxBytes}
}

// record verifies and copies one.
func (r *tailRow) record() (journal.Record, error) {
	at := position(*r.segment, int(r.shard), *r.idx, len(r.head)+int(*r.bodySize))
	record := journal.Record{Position: at, Type: uint8(*r.kind), Data: slices.Clone(r.head)}
	return record, verify(at, *r.kind, *r.crc, r.head)
}

// verify checks a part of a record.
func verify(at journal.Position, kind int16, crc int64, part []byte) error {
	if checksum(uint8(kind), part) == crc {
		return nil
	}
	segment, shard, idx := place(at)
	return &journal.CorruptError{
		File: fmt.Sprintf("%s, shard %d", recordsTable(segment), shard), Offset: idx, Reason: "checksum",
	}
}

// through says how far the records so far reach.
func (n *News) through(p point, r *tailRow, perShard int) {
	switch complete := int64(len(n.Records)) == r.found && r.found < int64(perShard); {
	case complete && p.until >= r.endSegment:
		n.Through, n.More = p.after, false
		end := position(r.lastSegment, p.shard, r.lastIdx, 0)
		if r.next > 0 {
			end = position(r.endSegment, p.shard, r.next-1, 0)
		}
		if (r.next > 0 || r.lastSegment > 0) && end.Compare(p.after) > 0 {
			n.Through = end
		}
	case complete && p.until >= p.segment:
		n.Through, n.More = position(p.until, p.shard, math.MaxUint32, 0), true
	case len(n.Records) > 0:
		n.Through, n.More = n.Records[len(n.Records)-1].Position, true
	default:
		n.Through, n.More = p.after, true
	}
}
