// Package pgtest gives tests a PostgreSQL: one server for a test binary, with a fresh database for each test, or a server of
// its own for a test that stops, freezes or kills it. Where PostgreSQL is not installed, the tests are skipped, and say so.
package pgtest

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/hooktroupe/hooktroupe/internal/pgserver"
)

// shared is the server of the test binary, started by the first test that needs it.
var shared struct {
	once   sync.Once
	server *pgserver.Server
	err    error
	count  atomic.Int64 // of databases made
}

// Main runs the tests of a binary and stops its server: func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }.
func Main(m *testing.M) int {
	code := m.Run()
	if shared.server == nil {
		return code
	}
	if err := shared.server.Close(); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		return max(code, 1)
	}
	return code
}

// Database returns the URL of an empty database. The server syncs what it confirms, as a real one does.
func Database(tb testing.TB) string {
	tb.Helper()
	shared.once.Do(func() { shared.server, shared.err = pgserver.Start(pgserver.Options{}) })
	skipOrFail(tb, shared.err)
	return DatabaseOn(tb, shared.server)
}

// Server starts a server for one test, which may do to it what it likes, with an empty database of the URL.
func Server(tb testing.TB, o pgserver.Options) (server *pgserver.Server, url string) {
	tb.Helper()
	server, err := pgserver.Start(o)
	skipOrFail(tb, err)
	tb.Cleanup(func() {
		if err := server.Close(); err != nil {
			tb.Error(err)
		}
	})
	return server, DatabaseOn(tb, server)
}

// DatabaseOn returns the URL of an empty database on a server.
func DatabaseOn(tb testing.TB, server *pgserver.Server) string {
	tb.Helper()
	name := fmt.Sprintf("test_%d", shared.count.Add(1))
	if err := server.CreateDatabase(name); err != nil {
		tb.Fatal(err)
	}
	return server.URL(name)
}

func skipOrFail(tb testing.TB, err error) {
	tb.Helper()
	if errors.Is(err, pgserver.ErrNotInstalled) {
		tb.Skip("SKIPPED: ", err)
	}
	if err != nil {
		tb.Fatal(err)
	}
}
