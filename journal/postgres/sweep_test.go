package postgres_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/hooktroupe/hooktroupe/internal/pgtest"
	"github.com/hooktroupe/hooktroupe/journal"
	"github.com/hooktroupe/hooktroupe/journal/postgres"
)

func sweep(tb testing.TB, s *postgres.Store, claimAge time.Duration) postgres.SweepStats {
	tb.Helper()
	stats, err := s.Sweep(tb.Context(), claimAge)
	if err != nil {
		tb.Fatal("Sweep:", err)
	}
	return stats
}

// tables counts the store's tables whose names begin so.
func tables(tb testing.TB, s *postgres.Store, prefix string) (n int) {
	tb.Helper()
	err := s.Pool().QueryRow(tb.Context(), "SELECT count(*) FROM pg_tables WHERE tablename LIKE $1", prefix+"%").Scan(&n)
	if err != nil {
		tb.Fatal(err)
	}
	return n
}

// age lets everything in the store have happened earlier.
func age(tb testing.TB, s *postgres.Store, by time.Duration) {
	tb.Helper()
	for _, table := range []string{"hooktroupe_segments", "hooktroupe_claim_tables"} {
		_, err := s.Pool().Exec(tb.Context(), "UPDATE "+table+" SET opened_at = opened_at - $1 * interval '1 millisecond', "+
			"closed_at = closed_at - $1 * interval '1 millisecond'", by.Milliseconds())
		if err != nil {
			tb.Fatal(err)
		}
	}
}

// Rows of up to a page stay in one piece in the first segment and in every other, and the server makes no body smaller.
func TestRowsStayInOnePiece(t *testing.T) {
	s := open(t, postgres.Config{Shards: 2, SegmentBytes: 4 << 10})
	write := func(from, size int) {
		for n := range 3 {
			d := delivery(from+n, n%2)
			d.Body = make([]byte, size) // it would shrink
			deliver(t, s, d)
		}
	}
	write(0, 7000)
	if stats := sweep(t, s, 0); !stats.Closed {
		t.Fatalf("%+v", stats)
	}
	write(3, 7000)
	for _, table := range []string{"hooktroupe_records_1", "hooktroupe_records_2"} {
		var toasted int64
		var storage, shortest string
		err := s.Pool().QueryRow(t.Context(), `SELECT pg_relation_size(c.reltoastrelid), a.attstorage::text,
			(SELECT min(pg_column_size(r.body)) FROM `+table+` r)::text
			FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid WHERE c.relname = $1 AND a.attname = 'body'`, table).
			Scan(&toasted, &storage, &shortest)
		if err != nil {
			t.Fatal(err)
		}
		if toasted != 0 || storage != "e" || shortest != "7004" {
			t.Errorf("%s: %d bytes beside it, storage %q, a body of 7000 bytes in %s", table, toasted, storage, shortest)
		}
	}
}

// A segment goes when every shard has released it, what is still needed stays where it was, and members that have not heard
// of it find out.
func TestSegmentsGo(t *testing.T) {
	url := pgtest.Database(t)
	s := open(t, postgres.Config{URL: url, Shards: 3, SegmentBytes: 4 << 10})
	other := reopen(t, postgres.Config{URL: url, SegmentBytes: 4 << 10})
	var logs [3][]journal.Position
	n := 0
	write := func(by *postgres.Store, count int) {
		for range count {
			d := delivery(n, n%3)
			d.Body = make([]byte, 500)
			logs[n%3] = append(logs[n%3], deliver(t, by, d)[0].Position)
			n++
		}
	}
	write(s, 12)
	if stats := sweep(t, s, 0); !stats.Closed || stats.Dropped != 0 {
		t.Fatalf("%+v", stats)
	}
	if stats := sweep(t, other, 0); stats.Closed {
		t.Fatal("an empty segment was closed")
	}
	write(s, 3)
	write(other, 12) // by one that does not know the segment is another
	sweep(t, other, 0)
	write(s, 3)
	if got := tables(t, s, "hooktroupe_records_"); got != 3 {
		t.Fatalf("%d tables of records", got)
	}
	owners := [3]*postgres.Shard{}
	for shard := range owners {
		own(t, s, shard, 1)
		owners[shard] = s.Shard(shard, 1)
	}
	last := func(shard int) journal.Position { return logs[shard][len(logs[shard])-1] }
	for shard := range 2 { // two of the three need nothing
		if err := owners[shard].Compact(last(shard), nil); err != nil {
			t.Fatal(err)
		}
	}
	if stats := sweep(t, s, 0); stats.Dropped != 0 {
		t.Fatal("a segment that a shard needs was dropped")
	}
	keep := logs[2][1] // of the first segment
	if err := owners[2].Compact(last(2), []journal.Position{keep}); err != nil {
		t.Fatal(err)
	}
	if stats := sweep(t, s, 0); stats.Dropped != 2 || stats.Segments != 1 {
		t.Fatalf("%+v", stats)
	}
	for _, reader := range []*postgres.Store{s, other} {
		r, err := reader.Read(t.Context(), keep)
		if err != nil || !strings.HasPrefix(string(r.Data), "delivery 5 ") || r.Position != keep {
			t.Errorf("the record that is kept: %v, %v", r.Position, err)
		}
		if _, err := reader.Read(t.Context(), logs[2][0]); !errors.Is(err, journal.ErrNotFound) {
			t.Errorf("one that is gone: %v", err)
		}
		log := tail(t, reader, postgres.Cursor{Shard: 2})
		if len(log) != 2 || log[0].Position != keep || log[1].Position != last(2) {
			t.Errorf("the log has %d records", len(log))
		}
		if log := tail(t, reader, postgres.Cursor{Shard: 2, After: keep}); len(log) != 1 {
			t.Errorf("behind the kept one there are %d records", len(log))
		}
	}
	if err := owners[2].Compact(last(2), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Read(t.Context(), keep); !errors.Is(err, journal.ErrNotFound) {
		t.Errorf("one that is needed no more: %v", err)
	}
	sweep(t, s, 0)
	var usage int
	if err := s.Pool().QueryRow(t.Context(), "SELECT count(*) FROM hooktroupe_usage").Scan(&usage); err != nil || usage != 0 {
		t.Errorf("%d lines of usage are left: %v", usage, err)
	}
	own(t, s, 0, 2)
	if err := owners[0].Compact(last(0), nil); !errors.Is(err, journal.ErrFenced) {
		t.Errorf("Compact by a former owner: %v", err)
	}
}

// A segment that is mostly needed stays, and nothing is moved.
func TestSegmentsStay(t *testing.T) {
	s := open(t, postgres.Config{Shards: 1, SegmentBytes: 4 << 10})
	var all []journal.Position
	for n := range 20 {
		d := delivery(n, 0)
		d.Body = make([]byte, 500)
		all = append(all, deliver(t, s, d)[0].Position)
	}
	sweep(t, s, 0)
	deliver(t, s, delivery(20, 0))
	own(t, s, 0, 1)
	shard := s.Shard(0, 1)
	if err := shard.Compact(shard.End(), all[8:]); err != nil {
		t.Fatal(err)
	}
	if stats := sweep(t, s, 0); stats.Dropped != 0 {
		t.Error("a segment was dropped that is needed by half")
	}
	var moved int
	if err := s.Pool().QueryRow(t.Context(), "SELECT count(*) FROM hooktroupe_kept").Scan(&moved); err != nil || moved != 0 {
		t.Errorf("%d records were moved: %v", moved, err)
	}
	if err := shard.Compact(shard.End(), all[17:]); err != nil {
		t.Fatal(err)
	}
	if stats := sweep(t, s, 0); stats.Dropped != 1 {
		t.Error("a segment that is needed by little stays")
	}
	if log := tail(t, s, postgres.Cursor{}); len(log) != 4 || log[0].Position != all[17] {
		t.Errorf("%d records are left", len(log))
	}
}

// Many segments are followed to the end, wherever one begins.
func TestTailThroughSegments(t *testing.T) {
	s := open(t, postgres.Config{Shards: 2, SegmentBytes: 4 << 10})
	var all []journal.Position
	for n := range 60 {
		d := delivery(n, 0)
		if n >= 20 && n < 40 {
			d.Shard = 1 // long the other has no news
		}
		d.Body = make([]byte, 2100)
		if at := deliver(t, s, d)[0].Position; d.Shard == 0 {
			all = append(all, at)
		}
		if n%2 == 1 {
			sweep(t, s, 0)
		}
	}
	if got := tables(t, s, "hooktroupe_records_"); got != 31 {
		t.Fatalf("%d tables", got)
	}
	reader := reopen(t, postgres.Config{URL: s.Pool().Config().ConnString()})
	for begin := -1; begin < len(all); begin += 3 {
		cursor := postgres.Cursor{Shard: 0}
		if begin >= 0 {
			cursor.After = all[begin]
		}
		log := tail(t, reader, cursor)
		if len(log) != len(all)-begin-1 {
			t.Fatalf("behind record %d there are %d", begin, len(log))
		}
		for i, r := range log {
			if r.Position != all[begin+1+i] {
				t.Fatalf("record %d is at %v, want %v", begin+1+i, r.Position, all[begin+1+i])
			}
		}
	}
	// The two at once, of which one is far behind.
	news, err := reader.Tail(t.Context(), []postgres.Cursor{{Shard: 0, After: all[len(all)-2]}, {Shard: 1}}, nil, 100, 1<<20)
	if err != nil || len(news[0].Records) != 1 || news[0].More || !news[1].More {
		t.Errorf("%+v, %v", news, err)
	}
}

// Claims hold across segments and tables of claims, until they are old or released.
func TestClaims(t *testing.T) {
	const claimAge = time.Hour
	s := open(t, postgres.Config{Shards: 1})
	again := func(n int) bool {
		t.Helper()
		d := delivery(n, 0)
		d.TaskID = id(1_000_000 + n)
		d.Claim = delivery(n, 0).Claim
		return deliver(t, s, d)[0].Duplicate
	}
	deliver(t, s, delivery(1, 0), delivery(2, 0), delivery(3, 0))
	if err := s.Release(t.Context(), []postgres.Claim{
		{Claim: delivery(3, 0).Claim, TaskID: id(3)}, {Claim: delivery(2, 0).Claim, TaskID: id(77)},
	}); err != nil {
		t.Fatal(err)
	}
	if again(3) || !again(2) {
		t.Error("a claim that was released holds, or one of another task was released")
	}
	age(t, s, claimAge*2/3)
	if stats := sweep(t, s, claimAge); !stats.Closed || tables(t, s, "hooktroupe_claims_") != 2 {
		t.Fatalf("%+v", stats)
	}
	deliver(t, s, delivery(4, 0))
	if !again(1) || !again(4) {
		t.Error("a claim does not hold in the next table")
	}
	if done := deliver(t, s, delivery(2, 0)); done[0].Duplicate || done[0].Position.IsZero() {
		t.Errorf("a retry across segments: %+v", done)
	}
	age(t, s, claimAge*2/3)
	sweep(t, s, claimAge)
	if !again(1) {
		t.Error("a claim in a table that was just closed does not hold")
	}
	age(t, s, claimAge*2/3)
	if stats := sweep(t, s, claimAge); stats.ClaimTables != 1 || again(1) {
		t.Errorf("an old claim holds: %+v", stats)
	}
}

// Two that sweep at the same time do not both work.
func TestSweepBusy(t *testing.T) {
	s := open(t, postgres.Config{Shards: 1})
	deliver(t, s, delivery(1, 0))
	_, err := s.Pool().Exec(t.Context(), "INSERT INTO hooktroupe_locks VALUES ('sweep', 'another', now() + interval '1 hour')")
	if err != nil {
		t.Fatal(err)
	}
	age(t, s, 2*time.Hour)
	if stats := sweep(t, s, 0); !stats.Busy || stats.Closed {
		t.Errorf("%+v", stats)
	}
	if _, err := s.Pool().Exec(t.Context(), "UPDATE hooktroupe_locks SET expires_at = now() - interval '1 second'"); err != nil {
		t.Fatal(err)
	}
	if stats := sweep(t, s, 0); stats.Busy || !stats.Closed {
		t.Errorf("after the lock lapsed: %+v", stats)
	}
}

// The snapshot of a former owner, or one that was begun before another, is refused; chunks are not left behind.
func TestSnapshotFenced(t *testing.T) {
	s := open(t, postgres.Config{Shards: 2})
	own(t, s, 1, 1)
	former := s.Shard(1, 1)
	write := func(text string) func(io.Writer) error {
		return func(w io.Writer) error { _, err := io.WriteString(w, strings.Repeat(text, 1<<20)); return err }
	}
	at := journal.Position{Segment: 1<<10 | 1, Offset: 5}
	if err := former.Save(at, write("one ")); err != nil {
		t.Fatal(err)
	}
	err := former.Save(at, func(w io.Writer) error {
		own(t, s, 1, 2) // while it is written
		return errors.Join(write("old ")(w), s.Shard(1, 2).Save(at, write("two ")))
	})
	if !errors.Is(err, journal.ErrFenced) {
		t.Errorf("a former owner's snapshot: %v", err)
	}
	if err := former.Save(at, write("late")); !errors.Is(err, journal.ErrFenced) {
		t.Errorf("a former owner's next snapshot: %v", err)
	}
	_, r, err := s.Shard(1, 2).Load()
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err != nil || len(text) != 4<<20 || string(text[:8]) != "two two " {
		t.Errorf("%d bytes, %v", len(text), err)
	}
	if err := s.Shard(1, 2).Save(at, write("new ")); err != nil {
		t.Fatal(err)
	}
	var left string
	err = s.Pool().QueryRow(t.Context(), "SELECT count(*) || ' ' || count(DISTINCT snapshot) FROM hooktroupe_snapshots").Scan(&left)
	if err != nil || left != "4 1" {
		t.Errorf("rows and snapshots that are left: %s, %v", left, err)
	}
}

// Damage in the store is found, and said where.
func TestCorrupt(t *testing.T) {
	s := open(t, postgres.Config{Shards: 1})
	own(t, s, 0, 1)
	shard := s.Shard(0, 1)
	if err := shard.Save(journal.Position{}, func(w io.Writer) error { _, err := w.Write(make([]byte, 3<<20)); return err }); err != nil {
		t.Fatal(err)
	}
	at := deliver(t, s, delivery(1, 0), delivery(2, 0), delivery(3, 0))
	for i, sql := range []string{
		"UPDATE hooktroupe_records_1 SET body = 'x' WHERE idx = 0",
		"UPDATE hooktroupe_records_1 SET head = 'x' WHERE idx = 1",
		"UPDATE hooktroupe_snapshots SET data = overlay(data placing 'x' from 7) WHERE chunk = 1",
	} {
		if done, err := s.Pool().Exec(t.Context(), sql); err != nil || done.RowsAffected() != 1 {
			t.Fatal(i, err)
		}
	}
	for i := range 2 {
		var where *journal.CorruptError
		if _, err := s.Read(t.Context(), at[i].Position); !errors.As(err, &where) || where.Offset != int64(i) {
			t.Errorf("record %d: %v", i, err)
		}
	}
	if _, err := s.Tail(t.Context(), []postgres.Cursor{{}}, nil, 10, 1000); !errors.Is(err, journal.ErrCorrupt) {
		t.Errorf("Tail: %v", err)
	}
	check := func(what string) {
		_, r, err := shard.Load()
		if err != nil {
			t.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, r); !errors.Is(err, journal.ErrCorrupt) {
			t.Errorf("%s: %d bytes, %v", what, n, err)
		}
	}
	check("a changed snapshot")
	if _, err := s.Pool().Exec(t.Context(), "DELETE FROM hooktroupe_snapshots WHERE chunk = 2"); err != nil {
		t.Fatal(err)
	}
	check("a snapshot without its end")
}

// The budget holds deliveries back first.
func TestBudget(t *testing.T) {
	s := open(t, postgres.Config{Shards: 2, MaxBytes: 100_000, HighWater: 0.5})
	own(t, s, 0, 1)
	var err error
	n := 0
	for ; err == nil; n++ {
		d := delivery(n, n%2)
		d.Body = make([]byte, 900)
		_, err = s.Deliver(t.Context(), []postgres.Delivery{d})
	}
	if !errors.Is(err, journal.ErrBudget) || n < 45 || n > 52 {
		t.Fatalf("after %d: %v", n, err)
	}
	change := postgres.Batch{Generation: 1, Seq: 1, Entries: []postgres.Entry{{Type: 2, Data: make([]byte, 40_000)}}}
	if _, errs := s.Append(t.Context(), []postgres.Batch{change}); errs[0] != nil {
		t.Errorf("a state change: %v", errs[0])
	}
	change.Seq = 2
	if _, errs := s.Append(t.Context(), []postgres.Batch{change}); !errors.Is(errs[0], journal.ErrFull) {
		t.Errorf("a state change beyond the budget: %v", errs[0])
	}
	if text := fmt.Sprint(s.Shard(0, 1).Stats()); !s.Shard(0, 1).Stats().Full {
		t.Error(text)
	}
}
