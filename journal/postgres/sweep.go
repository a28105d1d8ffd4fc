package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/hooktroupe/hooktroupe/journal"
)

// sweepLease is how long other members leave the work to one that has begun it. It is there to spare work: two at once do no
// harm.
const sweepLease = time.Minute

// maxSegment is the last segment's number that a position holds. At 1 GiB each that is 4 PiB.
const maxSegment = 1<<(32-shardBits) - 1

// SweepStats says what a Sweep did.
type SweepStats struct {
	// Busy says that another member is at it, and that nothing was done.
	Busy bool
	// Closed says that the open segment was closed and another opened.
	Closed bool
	// Dropped and ClaimTables count tables of records and of claims that were dropped.
	Dropped, ClaimTables int
	// Segments and Bytes are what is left.
	Segments int
	Bytes    int64
}

// Sweep closes the open segment if it is large or old enough, drops segments of which every shard says that it needs
// nothing, and drops claims that are older than claimAge, and at most half as old again; zero keeps claims for ever. Any
// member may call it now and then; one at a time works.
func (s *Store) Sweep(ctx context.Context, claimAge time.Duration) (SweepStats, error) {
	var stats SweepStats
	holder := rand.Text()
	err := s.run(ctx, func(ctx context.Context) error {
		return held(s.takeLock(ctx, "sweep", holder, sweepLease), &stats.Busy)
	})
	if err != nil || stats.Busy {
		return stats, err
	}
	defer func() { // a lock that is not given back lapses
		_ = s.run(context.WithoutCancel(ctx), func(ctx context.Context) error {
			_, err := s.pool.Exec(ctx, "DELETE FROM hooktroupe_locks WHERE name = 'sweep' AND holder = $1", holder)
			return err
		})
	}()
	err = s.rotate(ctx, claimAge, &stats)
	if err == nil {
		err = s.dropSegments(ctx, &stats)
	}
	if err == nil {
		err = s.dropClaims(ctx, claimAge, &stats)
	}
	if err == nil {
		err = s.run(ctx, func(ctx context.Context) error { return s.refresh(ctx, 0) })
	}
	stats.Segments, stats.Bytes = int(s.usage.segments.Load()), s.usage.total()
	return stats, err
}

// held turns errHeld into a fact.
func held(err error, busy *bool) error {
	if *busy = errors.Is(err, errHeld); *busy {
		return nil
	}
	return err
}

// rotate closes the open segment if it is due.
func (s *Store) rotate(ctx context.Context, claimAge time.Duration, stats *SweepStats) error {
	var (
		open, claims              int32
		bytes, ageMS, claimsAgeMS int64
	)
	err := s.run(ctx, func(ctx context.Context) error {
		return s.pool.QueryRow(ctx, `
SELECT g.segment, g.claims, (SELECT COALESCE(sum(bytes), 0) FROM hooktroupe_shards)::bigint,
    (EXTRACT(epoch FROM now() - g.opened_at) * 1000)::bigint, (EXTRACT(epoch FROM now() - c.opened_at) * 1000)::bigint
FROM hooktroupe_segments g JOIN hooktroupe_claim_tables c ON c.claims = g.claims
WHERE g.closed_at IS NULL ORDER BY g.segment DESC LIMIT 1`).Scan(&open, &claims, &bytes, &ageMS, &claimsAgeMS)
	})
	if err != nil {
		return err
	}
	oldClaims := claimAge > 0 && claimsAgeMS >= claimAge.Milliseconds()/2
	if bytes == 0 || bytes < s.config.SegmentBytes && ageMS < s.config.SegmentAge.Milliseconds() && !oldClaims {
		return nil
	}
	if open == maxSegment {
		return fmt.Errorf("%w: there is no segment behind %d", journal.ErrFull, open)
	}
	next := claims
	if oldClaims {
		next++
	}
	for _, sql := range []string{makeRecordsSQL(open + 1), makeClaimsSQL(next)} {
		err := s.run(ctx, func(ctx context.Context) error {
			_, err := s.pool.Exec(ctx, sql)
			return err
		})
		if err != nil {
			return err
		}
	}
	if err := s.run(ctx, func(ctx context.Context) error { return s.tuneRecords(ctx, open+1) }); err != nil {
		return err
	}
	return s.run(ctx, func(ctx context.Context) error {
		return s.pool.QueryRow(ctx, rotateSQL, open, next, claims).Scan(&stats.Closed)
	})
}

// rotateSQL closes a segment and opens the next, under the rows of all shards, so that nobody writes to it any more who
// has not written yet. If the segment is not open, it does nothing.
const rotateSQL = `
WITH locked AS (
    SELECT shard, segment, next, bytes FROM hooktroupe_shards ORDER BY shard FOR UPDATE
), due AS (
    SELECT shard, next, bytes FROM locked WHERE segment = $1::int
), used AS (
    INSERT INTO hooktroupe_usage (segment, shard, records, bytes, live_records, live_bytes)
    SELECT $1::int, shard, next, bytes, next, bytes FROM due WHERE next > 0
), moved AS (
    UPDATE hooktroupe_shards s SET segment = $1::int + 1, next = 0, bytes = 0,
        last_segment = CASE WHEN s.next > 0 THEN s.segment ELSE s.last_segment END,
        last_idx = CASE WHEN s.next > 0 THEN s.next - 1 ELSE s.last_idx END
    FROM due d WHERE d.shard = s.shard
), closed AS (
    UPDATE hooktroupe_segments SET closed_at = now(), records = (SELECT sum(next) FROM due),
        bytes = (SELECT sum(bytes) FROM due)
    WHERE segment = $1::int AND EXISTS (SELECT 1 FROM due)
), opened AS (
    INSERT INTO hooktroupe_segments (segment, claims) SELECT $1::int + 1, $2::int WHERE EXISTS (SELECT 1 FROM due)
), closed_claims AS (
    UPDATE hooktroupe_claim_tables SET closed_at = now()
    WHERE claims = $3::int AND $2::int <> $3::int AND EXISTS (SELECT 1 FROM due)
), opened_claims AS (
    INSERT INTO hooktroupe_claim_tables (claims) SELECT $2::int WHERE $2::int <> $3::int AND EXISTS (SELECT 1 FROM due)
)
SELECT EXISTS (SELECT 1 FROM due)`

// dropSegments drops what every shard has released. A table is marked first: one that a crash leaves is dropped next time.
func (s *Store) dropSegments(ctx context.Context, stats *SweepStats) error {
	dropped, err := s.dropTables(ctx, `
UPDATE hooktroupe_segments g SET dropping = true WHERE g.closed_at IS NOT NULL AND NOT g.dropping AND NOT EXISTS (
    SELECT 1 FROM hooktroupe_usage u WHERE u.segment = g.segment AND NOT u.released)`,
		"SELECT segment FROM hooktroupe_segments WHERE dropping", "DELETE FROM hooktroupe_segments WHERE segment = $1",
		recordsTable)
	stats.Dropped = dropped
	if err != nil {
		return err
	}
	return s.run(ctx, func(ctx context.Context) error {
		_, err := s.pool.Exec(ctx, `
DELETE FROM hooktroupe_usage WHERE released AND live_records = 0
AND NOT segment IN (SELECT segment FROM hooktroupe_segments)`)
		return err
	})
}

// dropClaims drops tables of claims that were closed so long ago that all in them are old enough.
func (s *Store) dropClaims(ctx context.Context, claimAge time.Duration, stats *SweepStats) error {
	if claimAge <= 0 {
		return nil
	}
	mark := fmt.Sprintf("UPDATE hooktroupe_claim_tables SET dropping = true "+
		"WHERE NOT dropping AND closed_at < now() - %d * interval '1 millisecond'", claimAge.Milliseconds())
	dropped, err := s.dropTables(ctx, mark, "SELECT claims FROM hooktroupe_claim_tables WHERE dropping",
		"DELETE FROM hooktroupe_claim_tables WHERE claims = $1", claimsTable)
	stats.ClaimTables = dropped
	return err
}

// dropTables marks what is to go, drops the tables of all that are marked, and forgets them.
func (s *Store) dropTables(ctx context.Context, mark, marked, forget string, table func(int32) string) (int, error) {
	var numbers []int32
	err := s.run(ctx, func(ctx context.Context) error {
		if _, err := s.pool.Exec(ctx, mark); err != nil {
			return err
		}
		rows, err := s.pool.Query(ctx, marked)
		if err != nil {
			return err
		}
		numbers, err = pgx.CollectRows(rows, pgx.RowTo[int32])
		return err
	})
	if err != nil {
		return 0, err
	}
	for i, n := range numbers {
		err := s.run(ctx, func(ctx context.Context) error {
			if _, err := s.pool.Exec(ctx, "DROP TABLE IF EXISTS "+table(n)); err != nil {
				return err
			}
			_, err := s.pool.Exec(ctx, forget, n)
			return err
		})
		if err != nil {
			return i, err
		}
	}
	return len(numbers), nil
}

// Claim is a claim and the task that has it.
type Claim struct {
	Claim  [32]byte
	TaskID [16]byte
}

// Release frees claims, so that a delivery with one is taken as new. One that another task has is left alone. Claims need
// not be released one by one to be forgotten: Sweep drops old ones.
func (s *Store) Release(ctx context.Context, claims []Claim) error {
	if len(claims) == 0 {
		return nil
	}
	sorted := slices.SortedFunc(slices.Values(claims), func(a, b Claim) int {
		return strings.Compare(string(a.Claim[:]), string(b.Claim[:]))
	})
	keys, tasks := make([][]byte, len(sorted)), make([][16]byte, len(sorted))
	for i := range sorted {
		keys[i], tasks[i] = sorted[i].Claim[:], sorted[i].TaskID
	}
	return s.run(ctx, func(ctx context.Context) error {
		var deletes []string
		for _, n := range s.catalog.Load().claims {
			deletes = append(deletes, fmt.Sprintf(
				"d%d AS (DELETE FROM %s c USING freed f WHERE c.claim = f.claim AND c.task = f.task)", n, claimsTable(n)))
		}
		_, err := s.pool.Exec(ctx, "WITH freed AS (SELECT * FROM unnest($1::bytea[], $2::uuid[]) AS t (claim, task)), "+
			strings.Join(deletes, ", ")+" SELECT 1", keys, tasks)
		return err
	})
}
