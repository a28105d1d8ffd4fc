package postgres

import (
	"context"
	"crypto/rand"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

//go:embed migrations/*.sql
var migrations embed.FS

const (
	// migrateLease is how long another migration waits for one that has died. Each migration renews it.
	migrateLease = time.Minute
	// migrateWait is how often a migration that waits looks again.
	migrateWait = 100 * time.Millisecond
)

// baseSQL makes what migrations themselves need. It may run twice.
var baseSQL = []string{
	"CREATE TABLE IF NOT EXISTS hooktroupe_settings (name text PRIMARY KEY, value text NOT NULL)",
	`CREATE TABLE IF NOT EXISTS hooktroupe_locks (
    name text PRIMARY KEY, holder text NOT NULL, expires_at timestamptz NOT NULL)`,
	"INSERT INTO hooktroupe_settings (name, value) VALUES ('schema', '0') ON CONFLICT (name) DO NOTHING",
}

// Step is one thing that a migration did.
type Step struct {
	// Version is the schema's after it; zero for what is no migration.
	Version int
	// What says what was done, in a few words.
	What string
}

// Migrate brings a database to this version's schema, and chooses the number of shards if nobody has. It does nothing to
// one that is there already. Many at once are safe: one works, by a lock that lapses with it, the others wait. ErrSchema
// means that the database is newer, or has another number of shards.
func Migrate(ctx context.Context, config Config) error {
	return MigrateReport(ctx, config, func(Step) {})
}

// MigrateReport is Migrate, and tells of each step it has done.
func MigrateReport(ctx context.Context, config Config, report func(Step)) error {
	if config.Timeout == 0 {
		config.Timeout = migrateLease / 2 // making an index may take long; a lock must not lapse meanwhile
	}
	s, err := connect(ctx, config)
	if err != nil {
		return err
	}
	defer s.Close()
	err = s.locked(ctx, "migrate", migrateLease, func(renew func(context.Context) error) error {
		return s.migrate(ctx, report, renew)
	})
	return classify(err)
}

// migrate runs under the lock.
func (s *Store) migrate(ctx context.Context, report func(Step), renew func(context.Context) error) error {
	all, err := fs.ReadDir(migrations, "migrations")
	if err != nil {
		return err
	}
	version, err := readVersion(ctx, s.pool)
	if err != nil {
		return err
	}
	if version > len(all) {
		return schemaError("it has version %d, and this program knows %d: it was migrated by a newer one", version, len(all))
	}
	for i, file := range all[version:] {
		to := version + i + 1
		if err := renew(ctx); err != nil {
			return err
		}
		if err := s.apply(ctx, file.Name(), to); err != nil {
			return fmt.Errorf("migration %s: %w", file.Name(), err)
		}
		report(Step{Version: to, What: "applied " + file.Name()})
	}
	return s.chooseShards(ctx, report)
}

// apply runs one migration and counts it, in one transaction where the database can do that; every statement may run
// twice where it cannot.
func (s *Store) apply(ctx context.Context, name string, to int) error {
	text, err := migrations.ReadFile("migrations/" + name)
	if err != nil {
		return err
	}
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		for _, statement := range statements(string(text)) {
			if _, err := tx.Exec(ctx, statement); err != nil {
				return err
			}
		}
		// Conditional, so that one whose lock lapsed does not undo what another counted.
		done, err := tx.Exec(ctx, "UPDATE hooktroupe_settings SET value = $1 WHERE name = 'schema' AND value = $2",
			strconv.Itoa(to), strconv.Itoa(to-1))
		if err == nil && done.RowsAffected() != 1 {
			err = errors.New("another migration went ahead")
		}
		return err
	})
}

// statements splits a file where a line ends with a semicolon.
func statements(text string) []string {
	var all []string
	for _, s := range strings.Split(text, ";\n") {
		if s = strings.TrimSpace(s); s != "" {
			all = append(all, s)
		}
	}
	return all
}

// chooseShards makes the shards and the first segment of a store that has none.
func (s *Store) chooseShards(ctx context.Context, report func(Step)) error {
	want := s.config.Shards
	if want == 0 {
		want = DefaultShards
	}
	for _, sql := range []string{makeRecordsSQL(1), makeClaimsSQL(1)} {
		if _, err := s.pool.Exec(ctx, sql); err != nil {
			return err
		}
	}
	done, err := s.pool.Exec(ctx, `
WITH chosen AS (INSERT INTO hooktroupe_settings (name, value) VALUES ('shards', $1::text) ON CONFLICT (name) DO NOTHING
    RETURNING name),
shards AS (INSERT INTO hooktroupe_shards (shard) SELECT n FROM generate_series(0, $1::text::int - 1) AS n, chosen
    RETURNING shard),
claims AS (INSERT INTO hooktroupe_claim_tables (claims) SELECT 1 FROM chosen RETURNING claims)
INSERT INTO hooktroupe_segments (segment, claims) SELECT 1, 1 FROM chosen`, strconv.Itoa(want))
	if err != nil {
		return err
	}
	if done.RowsAffected() > 0 {
		report(Step{What: fmt.Sprintf("made %d shards", want)})
		return s.tuneRecords(ctx, 1)
	}
	have, err := readSchema(ctx, s.pool)
	if err == nil && s.config.Shards != 0 && s.config.Shards != have {
		err = schemaError("the store has %d shards, and %d are configured", have, s.config.Shards)
	}
	return err
}

// readVersion returns the schema's version; zero if there is none.
func readVersion(ctx context.Context, pool *pgxpool.Pool) (int, error) {
	var text string
	err := pool.QueryRow(ctx, "SELECT value FROM hooktroupe_settings WHERE name = 'schema'").Scan(&text)
	if code(err) == codeUndefinedTable || errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	version, err := strconv.Atoi(text)
	if err != nil {
		return 0, schemaError("its version is %.20q", text)
	}
	return version, nil
}

// readSchema returns the number of shards of a store that has this version's schema.
func readSchema(ctx context.Context, pool *pgxpool.Pool) (shards int, err error) {
	all, err := fs.ReadDir(migrations, "migrations")
	if err != nil {
		return 0, err
	}
	version, err := readVersion(ctx, pool)
	switch {
	case err != nil:
		return 0, err
	case version < len(all):
		return 0, schemaError("it has version %d of %d: run hooktroupe migrate", version, len(all))
	case version > len(all):
		return 0, schemaError("it has version %d, and this program knows %d: it was migrated by a newer one",
			version, len(all))
	}
	var text string
	err = pool.QueryRow(ctx, "SELECT value FROM hooktroupe_settings WHERE name = 'shards'").Scan(&text)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, schemaError("it has no shards yet: run hooktroupe migrate")
	}
	if err != nil {
		return 0, err
	}
	if shards, err = strconv.Atoi(text); err != nil || shards < 1 || shards > MaxShards {
		return 0, schemaError("it has %.20q shards", text)
	}
	return shards, nil
}

// errHeld means that somebody else holds a lock.
var errHeld = errors.New("store: the lock is held")

// locked runs fn while this process holds a lock by name, which lapses by the store's clock if it is not renewed. It waits
// for another's.
func (s *Store) locked(
	ctx context.Context, name string, lease time.Duration, fn func(renew func(context.Context) error) error,
) error {
	holder := rand.Text()
	take := func(ctx context.Context) error { return s.takeLock(ctx, name, holder, lease) }
	for {
		err := s.makeBase(ctx)
		if err == nil {
			err = take(ctx)
		}
		if err == nil {
			break
		}
		if !errors.Is(err, errHeld) {
			return err
		}
		if s.wait(ctx, migrateWait); ctx.Err() != nil {
			return ctx.Err()
		}
	}
	defer func() { // a lock that is not given back lapses
		_, _ = s.pool.Exec(context.WithoutCancel(ctx), "DELETE FROM hooktroupe_locks WHERE name = $1 AND holder = $2", name,
			holder)
	}()
	return fn(take)
}

// takeLock takes or renews a lock, or returns errHeld.
func (s *Store) takeLock(ctx context.Context, name, holder string, lease time.Duration) error {
	done, err := s.pool.Exec(ctx, `
INSERT INTO hooktroupe_locks (name, holder, expires_at) VALUES ($1, $2, now() + $3::bigint * interval '1 millisecond')
ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at
WHERE hooktroupe_locks.holder = excluded.holder OR hooktroupe_locks.expires_at < now()`,
		name, holder, lease.Milliseconds())
	if err == nil && done.RowsAffected() == 0 {
		err = errHeld
	}
	return err
}

// alreadyThere are the codes of one who makes what another makes at the same time, IF NOT EXISTS or not.
var alreadyThere = map[string]bool{codeUniqueViolation: true, codeDuplicateTable: true, codeDuplicateObject: true}

// makeBase makes the tables that a migration needs. Two that make one at the same time are told so by the server, and try
// again.
func (s *Store) makeBase(ctx context.Context) error {
	for _, sql := range baseSQL {
		err := errors.New("not tried")
		for attempt := 0; err != nil; attempt++ {
			_, err = s.pool.Exec(ctx, sql)
			if err != nil && (attempt == maxAttempts || !alreadyThere[code(err)]) {
				return err
			}
		}
	}
	return nil
}
