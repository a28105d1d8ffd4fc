//go:build linux

package ceiling

import (
	"context"
	"encoding/json"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// jobsSQL makes a queue's table as River (0.51) makes it: its columns, its checks, its indexes.
const jobsSQL = `
CREATE TYPE job_state AS ENUM ('available', 'cancelled', 'completed', 'discarded', 'pending', 'retryable', 'running', 'scheduled');
CREATE TABLE jobs (
    id bigserial PRIMARY KEY, state job_state NOT NULL DEFAULT 'available', attempt smallint NOT NULL DEFAULT 0,
    max_attempts smallint NOT NULL CHECK (max_attempts > 0), attempted_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(), finalized_at timestamptz, scheduled_at timestamptz NOT NULL DEFAULT now(),
    priority smallint NOT NULL DEFAULT 1 CHECK (priority BETWEEN 1 AND 4), args jsonb NOT NULL, attempted_by text[],
    errors jsonb[], kind text NOT NULL CHECK (length(kind) BETWEEN 1 AND 127), metadata jsonb NOT NULL DEFAULT '{}',
    queue text NOT NULL DEFAULT 'default' CHECK (length(queue) BETWEEN 1 AND 127), tags varchar(255)[] NOT NULL DEFAULT '{}',
    unique_key bytea, unique_states bit(8),
    CHECK ((finalized_at IS NOT NULL) = (state IN ('cancelled', 'completed', 'discarded'))));
CREATE INDEX ON jobs (kind);
CREATE INDEX ON jobs (state, finalized_at) WHERE finalized_at IS NOT NULL;
CREATE INDEX ON jobs (state, queue, priority, scheduled_at, id);
CREATE INDEX ON jobs USING gin (args);
CREATE INDEX ON jobs USING gin (metadata);
CREATE UNIQUE INDEX ON jobs (unique_key) WHERE unique_key IS NOT NULL;
CREATE TABLE commits (n bigint NOT NULL)`

// Table is a queue in a PostgreSQL database, as programs keep one that insert a job with each request: a transaction of its
// own, with the body as JSON.
type Table struct{ pool *pgxpool.Pool }

// OpenTable makes the table in an empty database, and that many connections.
func OpenTable(ctx context.Context, url string, connections int) (*Table, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	config.MaxConns = int32(connections)
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	err = pool.AcquireFunc(ctx, func(c *pgxpool.Conn) error {
		_, err := c.Conn().PgConn().Exec(ctx, jobsSQL).ReadAll()
		return err
	})
	if err != nil {
		pool.Close()
		return nil, err
	}
	return &Table{pool}, nil
}

// Close ends the connections.
func (t *Table) Close() { t.pool.Close() }

// Insert has that many goroutines insert a job for each delivery of the body, with an ID of its own, for that long. It
// returns how many were committed per second.
func (t *Table) Insert(ctx context.Context, goroutines int, body []byte, d time.Duration) (float64, error) {
	return repeat(ctx, goroutines, d, func(ctx context.Context) error {
		id := uuid.New()
		args, err := json.Marshal(struct {
			ID   string `json:"id"`
			Body []byte `json:"body"` // in base64: the bytes that were signed
		}{id.String(), body})
		if err != nil {
			return err
		}
		return pgx.BeginFunc(ctx, t.pool, func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, `INSERT INTO jobs (args, kind, max_attempts, unique_key) VALUES ($1, 'webhook', 25, $2)
				ON CONFLICT (unique_key) WHERE unique_key IS NOT NULL DO NOTHING`, args, id[:])
			return err
		})
	})
}

// Commit is how many small rows one connection commits per second, each by itself: what the disk and the server allow whoever
// does one thing after the other.
func (t *Table) Commit(ctx context.Context, d time.Duration) (float64, error) {
	return repeat(ctx, 1, d, func(ctx context.Context) error {
		_, err := t.pool.Exec(ctx, "INSERT INTO commits VALUES (1)")
		return err
	})
}
