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

// Commits are counted, and leave nothing; a table that is in the way is an error.
func TestCommits(t *testing.T) {
	url := pgtest.Database(t)
	for range 2 {
		if rate, err := ceiling.Commits(t.Context(), url, 50*time.Millisecond); err != nil || rate <= 0 {
			t.Fatalf("%f commits per second, %v", rate, err)
		}
	}
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	if _, err := conn.Exec(t.Context(), "CREATE TABLE commits (n bigint NOT NULL)"); err != nil {
		t.Fatal(err)
	}
	if _, err := ceiling.Commits(t.Context(), url, time.Millisecond); err == nil {
		t.Error("a table that is there is made again")
	}
	if _, err := ceiling.Commits(t.Context(), "postgres://127.0.0.1:x", time.Millisecond); err == nil {
		t.Error("nonsense is taken for a URL")
	}
}
