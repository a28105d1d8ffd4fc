// Package postgres keeps the journals of all shards of a cluster in PostgreSQL, or in a database that speaks its protocol:
// any member appends deliveries to any shard's log, only a shard's owner appends state changes, and what a former owner
// writes is refused. docs/FORMAT.md describes the tables.
//
// Every write is one statement that commits by itself. A member that is frozen or cut off in the middle of one holds no
// lock: the server has either the whole statement or nothing. A statement whose answer is lost can be sent again.
//
// The one invariant: a record's position is given out under the lock of its shard's row, which is held until the commit. So
// the positions of a shard are in the order of commits, nobody ever sees a gap that is filled later, and no record of an older
// generation follows one of a newer.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hooktroupe/hooktroupe/internal/clock"
	"github.com/hooktroupe/hooktroupe/journal"
)

// Defaults and bounds of Config.
const (
	DefaultShards       = 64
	MaxShards           = 1 << shardBits
	DefaultSegmentBytes = 1 << 30
	MinSegmentBytes     = 4 << 10
	MaxSegmentBytes     = 64 << 30
	DefaultSegmentAge   = time.Hour
	DefaultMaxConns     = 10
	DefaultTimeout      = 5 * time.Second
	DefaultHighWater    = 0.9
)

// MaxBatchBytes bounds the data of one Append or Deliver: a statement is held in memory whole by the server.
const MaxBatchBytes = 256 << 20

// Config says where the store is and how it is used. The zero value of everything but URL is its default.
type Config struct {
	// URL is that of the database, postgres://user:password@host:port/name?sslmode=verify-full. It holds a secret, and no
	// error or log shows it.
	URL string
	// Shards is how many there are, at most MaxShards (1024). It is chosen once, by the first Migrate; afterwards it must
	// be the same, or zero. Default 64.
	Shards int
	// SegmentBytes is how much data a segment may have before Sweep closes it. Default 1 GiB.
	SegmentBytes int64
	// SegmentAge is how long a segment that is not empty may be open before Sweep closes it. Default one hour.
	SegmentAge time.Duration
	// MaxConns bounds the connections. Default 10.
	MaxConns int
	// Timeout bounds each call but Migrate and Sweep, retries included, and each statement on the server. Default 5 s.
	Timeout time.Duration
	// MaxBytes bounds the data of all records in the store. Zero means no bound but the server's.
	MaxBytes int64
	// HighWater is the fraction of MaxBytes that deliveries may fill; the rest is kept for state changes. Default 0.9.
	HighWater float64
	// Clock is what waits between retries. Nil means the machine's.
	Clock clock.Clock
}

// WithDefaults returns the configuration with every zero replaced by its default, but for Shards.
func (c Config) WithDefaults() Config {
	if c.SegmentBytes == 0 {
		c.SegmentBytes = DefaultSegmentBytes
	}
	if c.SegmentAge == 0 {
		c.SegmentAge = DefaultSegmentAge
	}
	if c.MaxConns == 0 {
		c.MaxConns = DefaultMaxConns
	}
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	if c.HighWater == 0 {
		c.HighWater = DefaultHighWater
	}
	if c.Clock == nil {
		c.Clock = clock.Real{}
	}
	return c
}

// Validate says everything that is wrong with a configuration that has its defaults.
func (c Config) Validate() error {
	var wrong []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			wrong = append(wrong, fmt.Errorf(format, args...))
		}
	}
	_, err := pgxpool.ParseConfig(c.URL)
	check(c.URL != "" && err == nil, "url: it is not the URL of a PostgreSQL database") // the cause would show the URL
	check(c.Shards >= 0 && c.Shards <= MaxShards, "shards: %d is not from 1 to %d", c.Shards, MaxShards)
	check(c.SegmentBytes >= MinSegmentBytes && c.SegmentBytes <= MaxSegmentBytes,
		"segment_bytes: %d is not from %d to %d", c.SegmentBytes, MinSegmentBytes, int64(MaxSegmentBytes))
	check(c.SegmentAge >= time.Second, "segment_age: %v is less than a second", c.SegmentAge)
	check(c.MaxConns >= 1 && c.MaxConns <= 1000, "max_conns: %d is not from 1 to 1000", c.MaxConns)
	check(c.Timeout >= 10*time.Millisecond && c.Timeout <= time.Hour, "timeout: %v is not from 10ms to 1h", c.Timeout)
	check(c.MaxBytes >= 0, "max_bytes: %d is negative", c.MaxBytes)
	check(c.HighWater > 0 && c.HighWater <= 1, "high_water: %g is not above 0 and at most 1", c.HighWater)
	return errors.Join(wrong...)
}

// Store is the journals of all shards. It is safe for use by several goroutines.
type Store struct {
	config Config
	pool   *pgxpool.Pool
	shards int

	catalog    atomic.Pointer[catalog] // the tables that are there; replaced as a whole
	refreshing sync.Mutex              // held by refresh, so that of many at once one asks the server

	usage usage
}

// Open connects to a store that Migrate has prepared. ErrSchema means that it is not what this version works with,
// ErrUnavailable that it does not answer.
func Open(ctx context.Context, config Config) (*Store, error) {
	s, err := connect(ctx, config)
	if err != nil {
		return nil, err
	}
	if err := s.open(ctx); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// connect makes a store that has not looked at the database yet.
func connect(ctx context.Context, config Config) (*Store, error) {
	config = config.WithDefaults()
	if err := config.Validate(); err != nil {
		return nil, err
	}
	c, err := pgxpool.ParseConfig(config.URL)
	if err != nil {
		return nil, errors.New("url: it is not the URL of a PostgreSQL database")
	}
	c.MaxConns = int32(config.MaxConns)
	c.ConnConfig.ConnectTimeout = config.Timeout
	params := c.ConnConfig.RuntimeParams
	if params["synchronous_commit"] == "off" {
		return nil, errors.New("url: with synchronous_commit=off, what is confirmed is not on stable storage")
	}
	for name, value := range map[string]string{
		"application_name": "hooktroupe",
		// A statement whose sender gave it up is given up by the server, too.
		"statement_timeout":                   strconv.FormatInt(config.Timeout.Milliseconds(), 10),
		"idle_in_transaction_session_timeout": strconv.FormatInt(config.Timeout.Milliseconds(), 10),
		// What is confirmed is on stable storage, whatever the database is set to.
		"synchronous_commit": "on",
	} {
		if _, chosen := params[name]; !chosen {
			params[name] = value
		}
	}
	pool, err := pgxpool.NewWithConfig(ctx, c)
	if err != nil {
		return nil, classify(err)
	}
	return &Store{config: config, pool: pool}, nil
}

// open checks the schema, and learns which tables there are.
func (s *Store) open(ctx context.Context) error {
	err := s.run(ctx, func(ctx context.Context) error {
		shards, err := readSchema(ctx, s.pool)
		s.shards = shards
		return err
	})
	if err != nil {
		return err
	}
	if s.config.Shards != 0 && s.config.Shards != s.shards {
		return schemaError("the store has %d shards, and %d are configured", s.shards, s.config.Shards)
	}
	s.usage.open = make([]atomic.Int64, s.shards)
	ctx, cancel := context.WithTimeout(ctx, s.config.Timeout)
	defer cancel()
	return classify(s.refresh(ctx, 0))
}

// Pool is the store's connections, for those who keep more in the same database.
func (s *Store) Pool() *pgxpool.Pool { return s.pool }

// Shards is how many there are.
func (s *Store) Shards() int { return s.shards }

// Close ends the connections, once those in use have come back.
func (s *Store) Close() { s.pool.Close() }

// shardBits is how many bits of a position's segment say the shard.
const shardBits = 10

// position says where a record is: in which segment's table, of which shard, which one.
func position(segment int32, shard int, idx int64, size int) journal.Position {
	return journal.Position{
		Segment: uint32(segment)<<shardBits | uint32(shard), Offset: uint32(idx), Length: uint32(size),
	}
}

// place is the inverse of position.
func place(p journal.Position) (segment int32, shard int, idx int64) {
	return int32(p.Segment >> shardBits), int(p.Segment & (MaxShards - 1)), int64(p.Offset)
}
