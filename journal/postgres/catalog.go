package postgres

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
)

// catalog is which tables there are, and the statements that name them. It never changes once made.
type catalog struct {
	// segments are in order; the last is open.
	segments []int32
	open     int32
	// claims are the tables of claims, in order; those of the open segment go to the last.
	claims []int32

	deliver, deliverPatient, append, findClaims string
}

func newCatalog(segments, claims []int32) *catalog {
	c := &catalog{segments: segments, open: segments[len(segments)-1], claims: claims}
	c.deliver, c.deliverPatient = deliverSQL(c.open, claims, false), deliverSQL(c.open, claims, true)
	c.append = appendSQL(c.open)
	c.findClaims = findClaimsSQL(claims)
	return c
}

// has says whether a segment has a table of its own.
func (c *catalog) has(segment int32) bool {
	_, found := slices.BinarySearch(c.segments, segment)
	return found
}

// span returns up to n segments from the first at or after one on.
func (c *catalog) span(from int32, n int) []int32 {
	i, _ := slices.BinarySearch(c.segments, from)
	return c.segments[i:min(i+n, len(c.segments))]
}

const catalogSQL = `
SELECT 0, segment, bytes FROM hooktroupe_segments WHERE NOT dropping
UNION ALL
SELECT 1, claims, 0 FROM hooktroupe_claim_tables WHERE NOT dropping
UNION ALL
SELECT 2, shard, bytes FROM hooktroupe_shards
UNION ALL
SELECT 3, 0, COALESCE(sum(live_bytes), 0)::bigint FROM hooktroupe_usage WHERE released
ORDER BY 1, 2`

// refresh looks up which tables there are, unless somebody did since the open segment was the one that is known to be
// stale.
func (s *Store) refresh(ctx context.Context, stale int32) error {
	s.refreshing.Lock()
	defer s.refreshing.Unlock()
	if now := s.catalog.Load(); now != nil && stale != 0 && now.open != stale {
		return nil
	}
	return s.look(ctx)
}

// look is refresh under the lock.
func (s *Store) look(ctx context.Context) error {
	rows, err := s.pool.Query(ctx, catalogSQL)
	if err != nil {
		return err
	}
	var (
		segments, claims  []int32
		kind, number      int32
		bytes, closed     int64
		closedN, keptSize = 0, int64(0)
	)
	_, err = pgx.ForEachRow(rows, []any{&kind, &number, &bytes}, func() error {
		switch kind {
		case 0:
			segments, closed, closedN = append(segments, number), closed+bytes, closedN+1
		case 1:
			claims = append(claims, number)
		case 2:
			s.usage.sawOpen(int(number), bytes)
		case 3:
			keptSize = bytes
		}
		return nil
	})
	if err != nil {
		return err
	}
	if len(segments) == 0 || len(claims) == 0 {
		return schemaError("it has no open segment")
	}
	s.usage.closed.Store(closed + keptSize)
	s.usage.segments.Store(int64(closedN))
	s.catalog.Store(newCatalog(segments, claims))
	return nil
}

// usage is how much lies in the store, as far as this member has seen.
type usage struct {
	closed   atomic.Int64 // bytes in closed segments, and kept ones
	segments atomic.Int64
	open     []atomic.Int64 // bytes of each shard in the open segment
}

func (u *usage) sawOpen(shard int, bytes int64) {
	if shard >= 0 && shard < len(u.open) {
		u.open[shard].Store(bytes)
	}
}

func (u *usage) total() int64 {
	sum := u.closed.Load()
	for i := range u.open {
		sum += u.open[i].Load()
	}
	return sum
}

// overBudget says whether a growth in bytes exceeds what the records may take.
func (s *Store) overBudget(growth int64, reserve bool) bool {
	limit := float64(s.config.MaxBytes)
	if !reserve {
		limit *= s.config.HighWater
	}
	return s.config.MaxBytes > 0 && float64(s.usage.total()+growth) > limit
}

// The statements that make a segment's table, and a table of claims. Records are only ever added, and go with their table:
// nothing there is to be vacuumed.
func recordsTable(segment int32) string { return fmt.Sprintf("hooktroupe_records_%d", segment) }
func claimsTable(claims int32) string   { return fmt.Sprintf("hooktroupe_claims_%d", claims) }

func makeRecordsSQL(segment int32) string {
	return fmt.Sprintf(`CREATE TABLE IF NOT EXISTS %s (
    shard integer NOT NULL,
    idx bigint NOT NULL,
    type smallint NOT NULL,
    task uuid,
    head_crc bigint NOT NULL,
    body_crc bigint NOT NULL,
    head bytea NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (shard, idx)
) WITH (autovacuum_enabled = false)`, recordsTable(segment))
}

// tuneRecordsSQL has rows of up to a page stay in one piece, and larger bodies not tried to be made smaller: they are packed. None of
// it is plain SQL, and a database that does not know it goes without.
func tuneRecordsSQL(segment int32) []string {
	return []string{
		fmt.Sprintf("ALTER TABLE %s ALTER COLUMN body SET STORAGE EXTERNAL", recordsTable(segment)),
		fmt.Sprintf("ALTER TABLE %s SET (toast_tuple_target = 8160)", recordsTable(segment)),
	}
}

// tuneRecords tunes a segment's table that nobody uses yet.
func (s *Store) tuneRecords(ctx context.Context, segment int32) error {
	for _, sql := range tuneRecordsSQL(segment) {
		if _, err := s.pool.Exec(ctx, sql); err != nil && (code(err) == "" || isUnavailable(code(err))) {
			return err
		}
	}
	return nil
}

func makeClaimsSQL(claims int32) string {
	return fmt.Sprintf(`CREATE TABLE IF NOT EXISTS %s (
    claim bytea PRIMARY KEY,
    task uuid NOT NULL,
    segment integer NOT NULL
)`, claimsTable(claims))
}
