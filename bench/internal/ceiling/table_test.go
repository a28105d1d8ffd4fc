//go:build linux

package ceiling_test

import (
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/hooktroupe/hooktroupe/bench/internal/ceiling"
	"github.com/hooktroupe/hooktroupe/internal/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// Every insert that is counted is a row.
func TestTable(t *testing.T) {
	url := pgtest.Database(t)
	table, err := ceiling.OpenTable(t.Context(), url, 4)
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	began := time.Now()
	rate, err := table.Insert(t.Context(), 4, []byte(`{"n":1}`), 200*time.Millisecond)
	if err != nil || rate <= 0 {
		t.Fatalf("%f inserts per second, %v", rate, err)
	}
	took := time.Since(began).Seconds()
	if commits, err := table.Commit(t.Context(), 50*time.Millisecond); err != nil || commits <= 0 {
		t.Errorf("%f commits per second, %v", commits, err)
	}
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	var rows, ids int
	err = conn.QueryRow(t.Context(), "SELECT count(*), count(DISTINCT args->>'id') FROM jobs WHERE args->>'body' = 'eyJuIjoxfQ=='").Scan(&rows, &ids)
	if err != nil || rows == 0 || rows != ids || float64(rows) > rate*took+1 {
		t.Errorf("%d rows with %d IDs after %f a second for %f s, %v", rows, ids, rate, took, err)
	}
	if _, err := ceiling.OpenTable(t.Context(), url, 4); err == nil {
		t.Error("a table that is there is made again")
	}
	if _, err := ceiling.OpenTable(t.Context(), "postgres://127.0.0.1:x", 1); err == nil {
		t.Error("nonsense is taken for a URL")
	}
}
