package postgres_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/hooktroupe/hooktroupe/internal/pgtest"
	"github.com/hooktroupe/hooktroupe/journal"
	"github.com/hooktroupe/hooktroupe/journal/postgres"
)

// Statements are planned while their tables are empty, and the plans kept while they grow. None may read a grown table from
// begin to end: the server counts the rows that such scans read.
func TestNoStatementScansAGrownTable(t *testing.T) {
	const (
		groups, group = 30, 200
		shards        = 8
	)
	url := pgtest.Database(t)
	s := open(t, postgres.Config{URL: url, MaxConns: 2})
	for shard := range shards {
		own(t, s, shard, 1)
	}
	cursors := make([]postgres.Cursor, shards)
	for shard := range cursors {
		cursors[shard].Shard = shard
	}
	for g := range groups {
		var batch []postgres.Delivery
		for n := range group {
			batch = append(batch, delivery(g*group+n, n%shards))
		}
		if g > 0 { // and one that was there before
			again := delivery((g-1)*group, 0)
			again.TaskID = id(1 << 40)
			batch = append(batch, again)
		}
		done := deliver(t, s, batch...)
		if last := done[len(done)-1]; g > 0 && !last.Duplicate {
			t.Fatalf("group %d: %+v", g, last)
		}
		var changes []postgres.Batch
		for shard := range shards {
			changes = append(changes, postgres.Batch{
				Shard: shard, Generation: 1, Seq: int64(g) + 1, Entries: []postgres.Entry{{Type: 2, Data: []byte("change")}},
			})
		}
		_, errs := s.Append(t.Context(), changes)
		for _, err := range errs {
			if err != nil {
				t.Fatal(err)
			}
		}
		news, err := s.Tail(t.Context(), cursors, []uint8{1}, 2*group, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range news {
			cursors[n.Shard].After = n.Through
		}
		if _, err := s.Read(t.Context(), firstPosition(t, done)); err != nil {
			t.Fatal(err)
		}
	}
	s.Close() // what its connections did is counted by now

	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	for deadline := time.Now().Add(patient); ; {
		tables, inserted, scanned := 0, 0, 0
		err := conn.QueryRow(t.Context(), `SELECT count(*), sum(n_tup_ins), sum(seq_tup_read) FROM pg_stat_user_tables
			WHERE relname LIKE 'hooktroupe\_records\_%' OR relname LIKE 'hooktroupe\_claims\_%'`).Scan(&tables, &inserted, &scanned)
		if err != nil {
			t.Fatal(err)
		}
		if want := 2*groups*group + groups*shards; tables >= 2 && inserted >= want {
			if scanned >= group { // what a plan from before there was anything may read of next to nothing is forgiven
				t.Errorf("scans from begin to end read %d rows of %d", scanned, inserted)
			}
			return
		} else if time.Now().After(deadline) {
			t.Fatalf("%d tables, %d of %d rows are counted", tables, inserted, want)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// firstPosition is where the first record of a group is.
func firstPosition(t *testing.T, done []postgres.Delivered) journal.Position {
	t.Helper()
	for _, d := range done {
		if !d.Position.IsZero() {
			return d.Position
		}
	}
	t.Fatal("nothing was written")
	return journal.Position{}
}
