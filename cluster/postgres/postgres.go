// Package postgres keeps members and leases in PostgreSQL, or in a database that speaks its protocol, in the tables that
// journal/postgres makes: hooktroupe_members has a row for each session, hooktroupe_shards says which session owns a shard,
// under which generation. The generation is the one that the shards' logs are fenced by.
//
// A request is one message with a few statements in it, in one transaction. The server begins when it has the whole message,
// and needs nothing more to commit, so a member that is frozen or cut off holds no lock. Rows are locked in one order, members
// before shards and each by their keys, so requests and writers of logs never wait for each other in a circle.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hooktroupe/hooktroupe/cluster"
)

// Config says where the store is.
type Config struct {
	// URL is that of the database. It holds a secret, and no error shows it.
	URL string
	// Timeout bounds a request on the server, so that what was given up here does not go on there. From 100 ms to a
	// minute; zero means a third of cluster.DefaultTTL.
	Timeout time.Duration
}

// maxConns is how many connections there are: one at work, one in place of one that was given up.
const maxConns = 2

// Store is a cluster.Store. It has connections of its own: a renewal never waits behind deliveries for one.
type Store struct{ pool *pgxpool.Pool }

// Open returns a Store, and connects when it is first asked something.
func Open(ctx context.Context, c Config) (*Store, error) {
	if c.Timeout == 0 {
		c.Timeout = cluster.DefaultTTL / 3
	}
	if c.Timeout < 100*time.Millisecond || c.Timeout > time.Minute {
		return nil, errors.New("cluster: timeout of the store must be between 100 ms and a minute")
	}
	p, err := pgxpool.ParseConfig(c.URL)
	if c.URL == "" || err != nil {
		return nil, errors.New("cluster: url: it is not the URL of a PostgreSQL database") // the cause would show it
	}
	p.MaxConns = maxConns
	p.ConnConfig.ConnectTimeout = c.Timeout
	p.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol // one message, and no prepared statements
	params := p.ConnConfig.RuntimeParams
	for name, value := range map[string]string{
		"application_name":  "hooktroupe-cluster",
		"statement_timeout": strconv.FormatInt(c.Timeout.Milliseconds(), 10),
	} {
		if _, chosen := params[name]; !chosen {
			params[name] = value
		}
	}
	pool, err := pgxpool.NewWithConfig(ctx, p)
	if err != nil {
		return nil, fmt.Errorf("cluster: store: %w", err)
	}
	return &Store{pool: pool}, nil
}

// Close ends the connections, once one in use has come back.
func (s *Store) Close() { s.pool.Close() }

// Sync implements cluster.Store.
func (s *Store) Sync(ctx context.Context, r cluster.Request) (cluster.Answer, error) {
	var a cluster.Answer
	full := false
	batch := queue(r, &full)
	batch.Queue(readMembers).Query(func(rows pgx.Rows) (err error) {
		a.Members, err = pgx.CollectRows(rows, scanMember)
		return err
	})
	batch.Queue(readShards).Query(func(rows pgx.Rows) (err error) {
		a.Shards, err = scanShards(rows)
		return err
	})
	if err := s.pool.SendBatch(ctx, batch).Close(); err != nil {
		return cluster.Answer{}, fmt.Errorf("cluster: store: %w", err)
	}
	if full {
		return cluster.Answer{}, cluster.ErrFull
	}
	a.Live = slices.ContainsFunc(a.Members, func(m cluster.Member) bool { return m.ID == r.Session.ID })
	return a, nil
}

func scanMember(row pgx.CollectableRow) (m cluster.Member, err error) {
	var joined, seen, left int64
	err = row.Scan(&m.ID, &m.Address, &m.Version, &m.Started, &m.Leaving, &joined, &seen, &left)
	m.Started = m.Started.UTC()
	m.Joined, m.Seen, m.Left = microseconds(max(0, joined)), microseconds(max(0, seen)), microseconds(left)
	return m, err
}

func scanShards(rows pgx.Rows) (shards []cluster.Shard, err error) {
	var number, held int64
	var shard cluster.Shard
	_, err = pgx.ForEachRow(rows, []any{&number, &shard.Generation, &shard.Owner, &held}, func() error {
		if number != int64(len(shards)) {
			return errors.New("shards are not numbered from zero")
		}
		shard.Held = microseconds(max(0, held))
		shards = append(shards, shard)
		return nil
	})
	return shards, err
}

func microseconds(n int64) time.Duration { return time.Duration(n) * time.Microsecond }
