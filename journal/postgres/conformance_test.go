package postgres_test

import (
	"sync"
	"testing"
	"time"

	"github.com/hooktroupe/hooktroupe/internal/pgserver"
	"github.com/hooktroupe/hooktroupe/internal/pgtest"
	"github.com/hooktroupe/hooktroupe/journal"
	"github.com/hooktroupe/hooktroupe/journal/journaltest"
	"github.com/hooktroupe/hooktroupe/journal/postgres"
)

// swept is a shard whose compactions are followed by a sweep, and whose store closes segments early.
type swept struct {
	*postgres.Shard
	store      *postgres.Store
	id         int
	generation int64
	tb         testing.TB
}

// Compact also sweeps: before, so that there are closed segments, and after, so that those without live records go.
func (s *swept) Compact(before journal.Position, live []journal.Position) error {
	if _, err := s.store.Sweep(s.tb.Context(), time.Hour); err != nil {
		return err
	}
	if err := s.Shard.Compact(before, live); err != nil {
		return err
	}
	_, err := s.store.Sweep(s.tb.Context(), time.Hour)
	return err
}

// stores are one for each test and budget, whose journals are its shards.
type stores struct {
	server *pgserver.Server
	mu     sync.Mutex
	used   map[testing.TB]map[int64]*shards
}

type shards struct {
	store *postgres.Store
	next  int
}

func (s *stores) open(tb testing.TB, budget int64) journal.Journal {
	tb.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.used[tb] == nil {
		s.used[tb] = map[int64]*shards{}
	}
	have := s.used[tb][budget]
	if have == nil || have.next == have.store.Shards() {
		have = &shards{store: open(tb, postgres.Config{
			URL: pgtest.DatabaseOn(tb, s.server), Shards: 120, SegmentBytes: 48 << 10, MaxBytes: budget, MaxConns: 4,
		})}
		s.used[tb][budget] = have
	}
	id := have.next
	have.next++
	own(tb, have.store, id, 1)
	return &swept{Shard: have.store.Shard(id, 1), store: have.store, id: id, generation: 1, tb: tb}
}

func TestConformance(t *testing.T) {
	server, _ := pgtest.Server(t, pgserver.Options{NoSync: true}) // what a power cut leaves is the server's business
	all := &stores{server: server, used: map[testing.TB]map[int64]*shards{}}
	journaltest.Run(t, journaltest.Features{
		Open:      all.open,
		Snapshots: func(_ testing.TB, j journal.Journal) journal.Snapshots { return j.(*swept).Shard },
		Budget:    256 << 10,
		Reopen: func(tb testing.TB, closed journal.Journal) journal.Journal {
			again := *closed.(*swept)
			if again.generation%2 == 1 { // the next owner, or the same one again
				again.generation++
				own(tb, again.store, again.id, again.generation)
			}
			again.Shard = again.store.Shard(again.id, again.generation)
			return &again
		},
	})
}
