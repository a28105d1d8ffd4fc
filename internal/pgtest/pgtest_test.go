package pgtest_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/hooktroupe/hooktroupe/internal/pgserver"
	"github.com/hooktroupe/hooktroupe/internal/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// query asks a database for one number.
func query(url, sql string, timeout time.Duration) (n int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close(context.Background()) }()
	err = conn.QueryRow(ctx, sql).Scan(&n)
	return n, err
}

const tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"

// Each test has a database of its own.
func TestDatabase(t *testing.T) {
	one, other := pgtest.Database(t), pgtest.Database(t)
	if one == other {
		t.Fatal("two tests share ", one)
	}
	if _, err := query(one, "CREATE TABLE t (n int); SELECT 1", time.Minute); err == nil {
		t.Fatal("two statements in one")
	}
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, one)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(ctx, "CREATE TABLE t (n int)"); err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(ctx); err != nil {
		t.Fatal(err)
	}
	for url, want := range map[string]int{one: 1, other: 0} {
		if n, err := query(url, tables, time.Minute); err != nil || n != want {
			t.Errorf("%d tables, want %d: %v", n, want, err)
		}
	}
	if n, err := query(one, "SELECT CASE current_setting('fsync') WHEN 'on' THEN 1 ELSE 0 END", time.Minute); n != 1 {
		t.Errorf("fsync is not on: %v", err)
	}
}

// A server stops, is killed and is frozen, and is there again with what it had.
func TestFates(t *testing.T) {
	server, url := pgtest.Server(t, pgserver.Options{NoSync: true})
	check := func(after string) {
		t.Helper()
		if n, err := query(url, "SELECT 7", time.Minute); err != nil || n != 7 {
			t.Fatalf("after %s: %d, %v", after, n, err)
		}
	}
	check("the start")
	server.Freeze()
	if _, err := query(url, "SELECT 7", 300*time.Millisecond); err == nil {
		t.Error("a frozen server answers")
	}
	server.Thaw()
	check("a thaw")
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := query(url, "SELECT 7", time.Second); err == nil {
		t.Error("a stopped server answers")
	}
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	check("a stop")
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	check("a kill")
	server.Freeze()
	if err := server.Close(); err != nil {
		t.Errorf("a frozen server cannot be closed: %v", err)
	}
	if _, err := os.Stat(server.Dir()); err == nil {
		t.Error("its folder is left")
	}
}
