package postgres_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hooktroupe/hooktroupe/internal/pgserver"
	"github.com/hooktroupe/hooktroupe/internal/pgtest"
	"github.com/hooktroupe/hooktroupe/journal/postgres"
)

const (
	benchBytes   = 8 << 10
	benchClients = 64
	maxBenchSize = 4 << 20
)

// randomBody is one that does not shrink.
func randomBody(chance *rand.Rand) []byte {
	body := make([]byte, benchBytes)
	for i := 0; i < len(body); i += 8 {
		binary.LittleEndian.PutUint64(body[i:], chance.Uint64())
	}
	return body
}

// waiting is a delivery whose sender waits.
type waiting struct {
	delivery postgres.Delivery
	done     chan error // the one answer
}

// commitGroups is group commit without a timer, as a member does it: what gathered while the last group was written is
// the next.
func commitGroups(ctx context.Context, s *postgres.Store, in <-chan waiting, groups *atomic.Int64) {
	for w := range in {
		group := []waiting{w}
		for size := benchBytes; size < maxBenchSize; size += benchBytes {
			select {
			case more, ok := <-in:
				if ok {
					group = append(group, more)
					continue
				}
			default:
			}
			break
		}
		batch := make([]postgres.Delivery, len(group))
		for i, w := range group {
			batch[i] = w.delivery
		}
		_, err := s.Deliver(ctx, batch)
		groups.Add(1)
		for _, w := range group {
			w.done <- err
		}
	}
}

// clients calls fn from so many goroutines, b.N times in all, and reports how often it was done in a second.
func clients(b *testing.B, n int, fn func(chance *rand.Rand, i int64) error) float64 {
	b.Helper()
	var (
		running sync.WaitGroup
		next    atomic.Int64
	)
	b.ResetTimer()
	started := time.Now()
	for c := range n {
		running.Go(func() {
			chance := rand.New(rand.NewPCG(uint64(c), uint64(started.UnixNano())))
			for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
				if err := fn(chance, i); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	running.Wait()
	b.StopTimer()
	rate := float64(b.N) / time.Since(started).Seconds()
	b.ReportMetric(rate, "/s")
	return rate
}

// BenchmarkDeliver writes deliveries of 8 KB that do not shrink, from 64 clients that each wait for the commit: through a
// batcher, as a member does; and beside it, on the same server, one INSERT for each, as River inserts a job with one
// request; and the rate at which one client commits one small row, which is what the disk allows. It is to be read for the
// ratios.
func BenchmarkDeliver(b *testing.B) {
	server, url := pgtest.Server(b, pgserver.Options{})
	s := open(b, postgres.Config{URL: url})
	var river, single, members float64
	b.Run("river=insert-each", func(b *testing.B) { river = benchInserts(b, server.URL("postgres"), benchClients) })
	b.Run("commit=single-writer", func(b *testing.B) { single = benchCommits(b, server.URL("postgres")) })
	for _, shards := range []int{1, 64} {
		b.Run(fmt.Sprintf("store/shards=%d", shards), func(b *testing.B) { members = benchDeliver(b, s, shards) })
	}
	if river > 0 && single > 0 && members > 0 {
		b.Logf("%.0f deliveries/s: %.1f × one INSERT each (%.0f/s), %.1f × the single-writer commit rate (%.0f/s)",
			members, members/river, river, members/single, single)
	}
}

func benchDeliver(b *testing.B, s *postgres.Store, shards int) float64 {
	in := make(chan waiting, benchClients) // one of each client
	var (
		groups  atomic.Int64
		batcher sync.WaitGroup
	)
	batcher.Go(func() { commitGroups(context.Background(), s, in, &groups) }) // until in is closed
	run := rand.Uint64()
	b.SetBytes(benchBytes)
	rate := clients(b, benchClients, func(chance *rand.Rand, i int64) error {
		d := postgres.Delivery{Shard: chance.IntN(shards), HasClaim: true, Head: make([]byte, 200), Body: randomBody(chance)}
		binary.BigEndian.PutUint64(d.TaskID[:], run)
		binary.BigEndian.PutUint64(d.TaskID[8:], uint64(i))
		d.Claim = sha256.Sum256(d.TaskID[:])
		w := waiting{delivery: d, done: make(chan error, 1)}
		in <- w
		return <-w.done
	})
	close(in)
	batcher.Wait()
	b.ReportMetric(float64(b.N)/float64(groups.Load()), "records/group")
	return rate
}

// riverSQL has the columns and the indexes of River's table of jobs that an insert pays for.
const riverSQL = `
CREATE TABLE IF NOT EXISTS river_job (
    id bigserial PRIMARY KEY, state text NOT NULL DEFAULT 'available', attempt smallint NOT NULL DEFAULT 0,
    max_attempts smallint NOT NULL, attempted_at timestamptz, created_at timestamptz NOT NULL DEFAULT now(),
    finalized_at timestamptz, scheduled_at timestamptz NOT NULL DEFAULT now(), priority smallint NOT NULL DEFAULT 1,
    args jsonb NOT NULL, attempted_by text[], errors jsonb[], kind text NOT NULL, metadata jsonb NOT NULL DEFAULT '{}',
    queue text NOT NULL DEFAULT 'default', tags varchar(255)[] NOT NULL DEFAULT '{}', unique_key bytea, unique_states bit(8));
CREATE INDEX IF NOT EXISTS river_job_kind ON river_job (kind);
CREATE INDEX IF NOT EXISTS river_job_state_and_finalized_at_index ON river_job (state, finalized_at)
    WHERE finalized_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS river_job_prioritized_fetching_index ON river_job (state, queue, priority, scheduled_at, id);
CREATE INDEX IF NOT EXISTS river_job_args_index ON river_job USING gin (args);
CREATE INDEX IF NOT EXISTS river_job_metadata_index ON river_job USING gin (metadata);
CREATE UNIQUE INDEX IF NOT EXISTS river_job_unique_idx ON river_job (unique_key) WHERE unique_key IS NOT NULL`

// benchInserts is one transaction with one INSERT for each request.
func benchInserts(b *testing.B, url string, n int) float64 {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		b.Fatal(err)
	}
	config.MaxConns = int32(n)
	pool, err := pgxpool.NewWithConfig(b.Context(), config)
	if err != nil {
		b.Fatal(err)
	}
	defer pool.Close()
	conn, err := pool.Acquire(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	_, err = conn.Conn().PgConn().Exec(b.Context(), riverSQL).ReadAll()
	conn.Release()
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(benchBytes)
	return clients(b, n, func(chance *rand.Rand, i int64) error {
		text := fmt.Sprintf(`{"body": "%x"}`, randomBody(chance)[:benchBytes/2])
		key := sha256.Sum256([]byte(text))
		return pgx.BeginFunc(b.Context(), pool, func(tx pgx.Tx) error {
			_, err := tx.Exec(b.Context(), "INSERT INTO river_job (args, kind, max_attempts, unique_key) VALUES ($1, 'webhook', 25, $2) "+
				"ON CONFLICT (unique_key) WHERE unique_key IS NOT NULL DO NOTHING RETURNING id", text, key[:])
			return err
		})
	})
}

// benchCommits is what one client commits, a small row at a time.
func benchCommits(b *testing.B, url string) float64 {
	pool, err := pgxpool.New(b.Context(), url)
	if err != nil {
		b.Fatal(err)
	}
	defer pool.Close()
	if _, err := pool.Exec(b.Context(), "CREATE TABLE IF NOT EXISTS commits (n bigint)"); err != nil {
		b.Fatal(err)
	}
	return clients(b, 1, func(_ *rand.Rand, i int64) error {
		_, err := pool.Exec(b.Context(), "INSERT INTO commits VALUES ($1)", i)
		return err
	})
}
