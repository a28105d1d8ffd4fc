package postgres_test

import (
	"os"
	"testing"
	"time"

	"github.com/hooktroupe/hooktroupe/cluster"
	"github.com/hooktroupe/hooktroupe/cluster/clustertest"
	"github.com/hooktroupe/hooktroupe/cluster/postgres"
	"github.com/hooktroupe/hooktroupe/internal/pgtest"
	journal "github.com/hooktroupe/hooktroupe/journal/postgres"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// migrated is a database of so many shards, and its journals' store.
func migrated(t testing.TB, shards int) (string, *journal.Store) {
	t.Helper()
	url := pgtest.Database(t)
	c := journal.Config{URL: url, Shards: shards, Timeout: time.Minute, MaxConns: 2}
	if err := journal.Migrate(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	s, err := journal.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return url, s
}

// open is a store with a patience that a loaded machine needs.
func open(t testing.TB, url string) *postgres.Store {
	t.Helper()
	s, err := postgres.Open(t.Context(), postgres.Config{URL: url, Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// TestConformance has time pass by making all times earlier.
func TestConformance(t *testing.T) {
	var url string
	var journals *journal.Store
	clustertest.Run(t, func(t2 *testing.T, shards int) clustertest.Subject {
		if journals == nil {
			url, journals = migrated(t, shards)
		}
		for _, reset := range []string{"DELETE FROM hooktroupe_members", "UPDATE hooktroupe_shards SET owner = '', generation = 0"} {
			if _, err := journals.Pool().Exec(t.Context(), reset); err != nil {
				t.Fatal(err)
			}
		}
		return clustertest.Subject{
			Open: func() cluster.Store { return open(t2, url) },
			Advance: func(d time.Duration) {
				_, err := journals.Pool().Exec(t.Context(), `WITH m AS (
    UPDATE hooktroupe_members SET joined_at = joined_at - $1::bigint * interval '1 microsecond',
        seen_at = seen_at - $1::bigint * interval '1 microsecond', ends_at = ends_at - $1::bigint * interval '1 microsecond'
) UPDATE hooktroupe_shards SET taken_at = taken_at - $1::bigint * interval '1 microsecond'`, d.Microseconds())
				if err != nil {
					t.Fatal(err)
				}
			},
		}
	})
}
