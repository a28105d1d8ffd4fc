package postgres_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hooktroupe/hooktroupe/internal/pgtest"
	"github.com/hooktroupe/hooktroupe/journal"
	"github.com/hooktroupe/hooktroupe/journal/postgres"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// patient is a time that a loaded machine keeps.
const patient = time.Minute

// open migrates a database and opens a store on it.
func open(tb testing.TB, c postgres.Config) *postgres.Store {
	tb.Helper()
	if c.URL == "" {
		c.URL = pgtest.Database(tb)
	}
	if c.Timeout == 0 {
		c.Timeout = patient
	}
	if err := postgres.Migrate(tb.Context(), c); err != nil {
		tb.Fatal(err)
	}
	return reopen(tb, c)
}

// reopen opens another store on a database that is there.
func reopen(tb testing.TB, c postgres.Config) *postgres.Store {
	tb.Helper()
	if c.Timeout == 0 {
		c.Timeout = patient
	}
	s, err := postgres.Open(tb.Context(), c)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.Close)
	return s
}

// own makes a generation the newest of a shard.
func own(tb testing.TB, s *postgres.Store, shard int, generation int64) {
	tb.Helper()
	done, err := s.Pool().Exec(tb.Context(), "UPDATE hooktroupe_shards SET generation = $2 WHERE shard = $1", shard, generation)
	if err != nil || done.RowsAffected() != 1 {
		tb.Fatal("own:", err)
	}
}

// id is the n-th task's.
func id(n int) (task [16]byte) {
	binary.BigEndian.PutUint64(task[:], uint64(n)+1)
	return task
}

// delivery is the n-th, with a claim of its own.
func delivery(n, shard int) postgres.Delivery {
	return postgres.Delivery{
		Shard: shard, Claim: sha256.Sum256(fmt.Append(nil, n)), HasClaim: true, TaskID: id(n),
		Head: fmt.Append(nil, "delivery ", n, " "), Body: bytes.Repeat(fmt.Append(nil, "body ", n, " "), n%40),
	}
}

func deliver(tb testing.TB, s *postgres.Store, batch ...postgres.Delivery) []postgres.Delivered {
	tb.Helper()
	done, err := s.Deliver(tb.Context(), batch)
	if err != nil {
		tb.Fatal("Deliver:", err)
	}
	return done
}

// tail reads a shard's log from a cursor to its end, a page at a time.
func tail(tb testing.TB, s *postgres.Store, c postgres.Cursor, types ...uint8) []journal.Record {
	tb.Helper()
	var all []journal.Record
	for {
		news, err := s.Tail(tb.Context(), []postgres.Cursor{c}, types, 7, 1<<20)
		if err != nil {
			tb.Fatal("Tail:", err)
		}
		all = append(all, news[0].Records...)
		if !news[0].More {
			return all
		}
		if news[0].Through.Compare(c.After) <= 0 {
			tb.Fatalf("Tail does not get past %v", c.After)
		}
		c.After = news[0].Through
	}
}

// sound checks that a log's positions grow without a gap within a segment, and are read back.
func sound(tb testing.TB, s *postgres.Store, all []journal.Record) {
	tb.Helper()
	for i, r := range all {
		if i > 0 {
			last := all[i-1].Position
			if r.Position.Compare(last) <= 0 || r.Position.Segment == last.Segment && r.Position.Offset != last.Offset+1 {
				tb.Fatalf("%v behind %v", r.Position, last)
			}
		}
		again, err := s.Read(tb.Context(), r.Position)
		if err != nil || again.Type != r.Type || !bytes.HasPrefix(again.Data, r.Data) || again.Position != r.Position ||
			len(again.Data) != int(r.Position.Length) {
			tb.Fatalf("Read(%v): %v, %v", r.Position, again.Position, err)
		}
	}
}

func TestDeliver(t *testing.T) {
	s := open(t, postgres.Config{Shards: 4})
	first := deliver(t, s, delivery(0, 1), delivery(1, 3), delivery(2, 1))
	for i, d := range first {
		if d.Duplicate || d.Position.IsZero() || d.FirstID != id(i) {
			t.Errorf("%d: %+v", i, d)
		}
	}
	// A retry of the same, a redelivery as another task, and the same twice in a batch.
	again := delivery(1, 3)
	again.TaskID = id(100)
	twin, twice := delivery(4, 2), delivery(4, 2)
	twice.TaskID = id(104)
	second := deliver(t, s, delivery(0, 1), again, delivery(3, 1), twin, twice)
	want := []struct {
		duplicate bool
		first     [16]byte
	}{{false, id(0)}, {true, id(1)}, {false, id(3)}, {false, id(4)}, {true, id(4)}}
	for i, d := range second {
		if d.Duplicate != want[i].duplicate || d.FirstID != want[i].first || d.Duplicate != d.Position.IsZero() {
			t.Errorf("%d: %+v, want %+v", i, d, want[i])
		}
	}
	if second[0].Position != first[0].Position {
		t.Errorf("a retry has position %v, want %v", second[0].Position, first[0].Position)
	}
	log := tail(t, s, postgres.Cursor{Shard: 1})
	sound(t, s, log)
	if len(log) != 3 || log[0].Position != first[0].Position || log[1].Position != first[2].Position {
		t.Errorf("shard 1 has %d records", len(log))
	}
	for i, n := range []int{0, 2, 3} {
		want := delivery(n, 1)
		if !bytes.Equal(log[i].Data, want.Head) || log[i].Type != 1 {
			t.Errorf("record %d is not the head of delivery %d", i, n)
		}
		whole, err := s.Read(t.Context(), log[i].Position)
		if err != nil || !bytes.Equal(whole.Data, append(want.Head, want.Body...)) {
			t.Errorf("record %d is not delivery %d: %v", i, n, err)
		}
	}
	if got := deliver(t, s); len(got) != 0 {
		t.Errorf("nothing becomes %v", got)
	}
}

// Without a claim a delivery is written once for each task ID.
func TestDeliverWithoutClaim(t *testing.T) {
	s := open(t, postgres.Config{Shards: 1})
	one := postgres.Delivery{TaskID: id(1)}
	other := postgres.Delivery{TaskID: id(2), Body: []byte("same sender")}
	first := deliver(t, s, one, other)
	again := deliver(t, s, one, other)
	for i := range again {
		if again[i].Duplicate || again[i] != first[i] {
			t.Errorf("%d: %+v, want %+v", i, again[i], first[i])
		}
	}
	if log := tail(t, s, postgres.Cursor{}); len(log) != 2 || log[1].Position.Length != 11 {
		t.Errorf("%d records", len(log))
	}
}

func TestDeliverRefusals(t *testing.T) {
	s := open(t, postgres.Config{Shards: 2})
	large := make([]byte, journal.MaxRecordBytes+1)
	for name, test := range map[string]struct {
		batch []postgres.Delivery
		want  error
	}{
		"no such shard":  {[]postgres.Delivery{delivery(0, 0), delivery(1, 2)}, journal.ErrInvalid},
		"below zero":     {[]postgres.Delivery{delivery(1, -1)}, journal.ErrInvalid},
		"large record":   {[]postgres.Delivery{{Head: large[:1], Body: large[1:]}}, journal.ErrTooLarge},
		"too many bytes": {[]postgres.Delivery{{TaskID: id(1), Body: large[1:]}, {TaskID: id(2), Body: large[1:]}, {TaskID: id(3), Body: large[1:]}, {TaskID: id(4), Body: large[1:]}}, journal.ErrTooLarge},
	} {
		if _, err := s.Deliver(t.Context(), test.batch); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
	if _, err := s.Note(t.Context(), 0, postgres.Entry{}); !errors.Is(err, journal.ErrInvalid) {
		t.Errorf("Note of type 0: %v", err)
	}
	if log := tail(t, s, postgres.Cursor{}); len(log) != 0 {
		t.Errorf("%d records were written", len(log))
	}
}

func TestAppend(t *testing.T) {
	s := open(t, postgres.Config{Shards: 4})
	own(t, s, 2, 7)
	own(t, s, 0, 1)
	batch := func(shard int, generation, seq int64, data ...string) postgres.Batch {
		b := postgres.Batch{Shard: shard, Generation: generation, Seq: seq}
		for _, d := range data {
			b.Entries = append(b.Entries, postgres.Entry{Type: 5, Data: []byte(d)})
		}
		return b
	}
	check := func(name string, batches []postgres.Batch, want ...error) [][]journal.Position {
		t.Helper()
		positions, errs := s.Append(t.Context(), batches)
		for i, err := range errs {
			if !errors.Is(err, want[i]) || err == nil && len(positions[i]) != len(batches[i].Entries) {
				t.Errorf("%s: batch %d: %v, %v, want %v", name, i, positions[i], err, want[i])
			}
		}
		return positions
	}
	one := check("the first", []postgres.Batch{batch(2, 7, 1, "a", "b"), batch(0, 1, 1, "x")}, nil, nil)
	again := check("again", []postgres.Batch{batch(0, 1, 2, "y"), batch(2, 7, 1, "a", "b")}, nil, nil)
	if again[1][1] != one[0][1] || again[1][0] != one[0][0] {
		t.Errorf("a batch that is repeated is at %v, was at %v", again[1], one[0])
	}
	check("stale", []postgres.Batch{batch(2, 6, 1, "stale"), batch(2-1, 1, 1, "no owner")}, journal.ErrFenced, journal.ErrFenced)
	check("out of sequence", []postgres.Batch{batch(2, 7, 3, "early"), batch(0, 1, 1, "late")},
		postgres.ErrSequence, postgres.ErrSequence)
	check("one fenced", []postgres.Batch{batch(2, 7, 2, "c"), batch(0, 9, 1, "not yet")}, nil, journal.ErrFenced)
	check("twice", []postgres.Batch{batch(2, 7, 3, "c"), batch(2, 7, 4, "d")}, journal.ErrInvalid, journal.ErrInvalid)
	unnumbered := batch(0, 1, 0, "u")
	check("without a number", []postgres.Batch{unnumbered}, nil)
	check("without a number again", []postgres.Batch{unnumbered}, nil)
	check("a number after that", []postgres.Batch{batch(0, 1, 2, "y")}, nil)
	check("the next number", []postgres.Batch{batch(0, 1, 3, "z")}, nil)
	if log := tail(t, s, postgres.Cursor{}); len(log) != 5 {
		t.Errorf("shard 0 has %d records, want x y u u z", len(log))
	}
	check("no such shard", []postgres.Batch{batch(4, 7, 3, "c")}, journal.ErrInvalid)
	own(t, s, 2, 8)
	deliver(t, s, delivery(1, 2))
	check("taken over", []postgres.Batch{batch(2, 7, 3, "zombie")}, journal.ErrFenced)
	check("the new owner", []postgres.Batch{batch(2, 8, 1, "d")}, nil)
	log := tail(t, s, postgres.Cursor{Shard: 2})
	sound(t, s, log)
	var got []string
	for _, r := range log {
		got = append(got, strings.Fields(string(r.Data))[0])
	}
	if want := "a b c delivery d"; strings.Join(got, " ") != want {
		t.Errorf("%v, want %s", got, want)
	}
	if only := tail(t, s, postgres.Cursor{Shard: 2}, 1); len(only) != 1 || only[0].Position != log[3].Position {
		t.Errorf("of type 1 there are %d", len(only))
	}
	at, err := s.Note(t.Context(), 2, postgres.Entry{Type: 9, Data: []byte("note")})
	if err != nil || at.Compare(log[4].Position) <= 0 {
		t.Errorf("Note: %v, %v", at, err)
	}
}

// Tail takes turns, keeps its bounds, and gets past what it does not return.
func TestTailBounds(t *testing.T) {
	s := open(t, postgres.Config{Shards: 8})
	var batch []postgres.Delivery
	for n := range 400 {
		d := delivery(n, 5)
		if n%100 == 0 {
			d.Shard = n / 100
		}
		d.Head, d.Body = make([]byte, 1000), make([]byte, 3000)
		batch = append(batch, d)
	}
	deliver(t, s, batch...)
	var cursors []postgres.Cursor
	for shard := range 8 {
		cursors = append(cursors, postgres.Cursor{Shard: shard})
	}
	news, err := s.Tail(t.Context(), cursors, []uint8{1}, 20, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for shard, n := range news {
		total += len(n.Records)
		if n.Shard != shard || shard < 4 && (len(n.Records) != 1 || n.More) || n.More != (shard == 5) {
			t.Errorf("shard %d: %d records, more: %v", shard, len(n.Records), n.More)
		}
	}
	if total != 20 {
		t.Errorf("%d records, want 20", total)
	}
	news, err = s.Tail(t.Context(), cursors, nil, 1000, 5500)
	if err != nil {
		t.Fatal(err)
	}
	if len(news[5].Records) != 1 || len(news[0].Records) != 1 {
		t.Errorf("of 5500 bytes shard 5 gets %d records", len(news[5].Records))
	}
	news, err = s.Tail(t.Context(), cursors[5:6], nil, 1000, 1)
	if err != nil || len(news[0].Records) != 1 || !news[0].More {
		t.Errorf("one record at least: %v, %v", news, err)
	}
	news, err = s.Tail(t.Context(), cursors[5:6], []uint8{77}, 10, 1)
	if err != nil || len(news[0].Records) != 0 || news[0].More || news[0].Through.Offset != 395 {
		t.Errorf("none of a type: %+v, %v", news, err)
	}
	if all := tail(t, s, cursors[5], 1); len(all) != 396 {
		t.Errorf("%d records in pages", len(all))
	}
	if _, err := s.Tail(t.Context(), []postgres.Cursor{{Shard: 8}}, nil, 1, 1); !errors.Is(err, journal.ErrInvalid) {
		t.Errorf("a shard that is not there: %v", err)
	}
}

// Several members write to all shards at the same time, with claims that collide: each claim is won once, and no log has a
// gap, not even for one who reads meanwhile.
func TestManyWriters(t *testing.T) {
	const members, groups, size, shards = 4, 25, 16, 3
	url := pgtest.Database(t)
	open(t, postgres.Config{URL: url, Shards: shards})
	var (
		running sync.WaitGroup
		mu      sync.Mutex
		winners = map[[32]byte][16]byte{}
	)
	for m := range members {
		s := reopen(t, postgres.Config{URL: url})
		running.Go(func() {
			for g := range groups {
				batch := make([]postgres.Delivery, size)
				for i := range batch {
					n := (g*size+i*(1+m%2))%(groups*size/2) + i/8 // members meet, in different orders
					batch[i] = delivery(n, n%shards)
					batch[i].TaskID = id(m<<32 | g<<16 | i)
				}
				done, err := s.Deliver(t.Context(), batch)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				for i, d := range done {
					if first, won := winners[batch[i].Claim]; won && first != d.FirstID {
						t.Errorf("a claim is won by %v and by %v", first, d.FirstID)
					}
					winners[batch[i].Claim] = d.FirstID
				}
				mu.Unlock()
			}
		})
	}
	reader := reopen(t, postgres.Config{URL: url})
	done := make(chan struct{})
	var reading sync.WaitGroup
	for shard := range shards {
		reading.Go(func() { // until all is written
			var log []journal.Record
			cursor := postgres.Cursor{Shard: shard}
			for last := false; ; {
				news, err := reader.Tail(t.Context(), []postgres.Cursor{cursor}, nil, 10, 1<<20)
				if err != nil {
					t.Error(err)
					return
				}
				log, cursor.After = append(log, news[0].Records...), news[0].Through
				if last && !news[0].More {
					break
				}
				select {
				case <-done:
					last = true
				default:
				}
			}
			sound(t, reader, log)
			if whole := tail(t, reader, postgres.Cursor{Shard: shard}); len(whole) != len(log) {
				t.Errorf("shard %d has %d records, %d were seen", shard, len(whole), len(log))
			}
		})
	}
	running.Wait()
	close(done)
	reading.Wait()
	total := 0
	for shard := range shards {
		total += len(tail(t, reader, postgres.Cursor{Shard: shard}))
	}
	if total != len(winners) {
		t.Errorf("%d records for %d claims", total, len(winners))
	}
}

func TestMigrate(t *testing.T) {
	url := pgtest.Database(t)
	if _, err := postgres.Open(t.Context(), postgres.Config{URL: url, Timeout: patient}); !errors.Is(err, postgres.ErrSchema) {
		t.Errorf("Open of an empty database: %v", err)
	}
	config := postgres.Config{URL: url, Shards: 12}
	var (
		running sync.WaitGroup
		mu      sync.Mutex
		steps   []postgres.Step
	)
	for range 5 { // many at once
		running.Go(func() {
			err := postgres.MigrateReport(t.Context(), config, func(s postgres.Step) {
				mu.Lock()
				defer mu.Unlock()
				steps = append(steps, s)
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	running.Wait()
	if len(steps) < 2 || steps[0].Version != 1 || steps[len(steps)-1].What != "made 12 shards" {
		t.Errorf("steps %+v", steps)
	}
	s := reopen(t, postgres.Config{URL: url})
	if s.Shards() != 12 {
		t.Errorf("%d shards", s.Shards())
	}
	for name, err := range map[string]error{
		"Migrate": postgres.Migrate(t.Context(), postgres.Config{URL: url, Shards: 13}),
		"Open": func() error {
			_, err := postgres.Open(t.Context(), postgres.Config{URL: url, Shards: 64, Timeout: patient})
			return err
		}(),
	} {
		if !errors.Is(err, postgres.ErrSchema) {
			t.Errorf("%s with another number of shards: %v", name, err)
		}
	}
	if _, err := s.Pool().Exec(t.Context(), "UPDATE hooktroupe_settings SET value = '99' WHERE name = 'schema'"); err != nil {
		t.Fatal(err)
	}
	if err := postgres.Migrate(t.Context(), config); !errors.Is(err, postgres.ErrSchema) {
		t.Errorf("Migrate of a newer one: %v", err)
	}
	if _, err := postgres.Open(t.Context(), config); !errors.Is(err, postgres.ErrSchema) {
		t.Errorf("Open of a newer one: %v", err)
	}
}

// No error shows the URL's password, whatever is wrong with it.
func TestSecrets(t *testing.T) {
	const secret = "hunter2swordfish"
	for _, url := range []string{
		"postgres://user:" + secret + "@127.0.0.1:1/none?sslmode=disable&connect_timeout=1",
		"postgres://user:" + secret + "@127.0.0.1:port/none",
		"postgres://user:" + secret + "@[::1/none",
		"user=user password='" + secret + " host=",
		"host=127.0.0.1 port=1 user=u password=" + secret + " sslmode=disable",
		"postgres://user:" + secret + "@127.0.0.1:1/none?sslmode=" + secret,
	} {
		_, err := postgres.Open(t.Context(), postgres.Config{URL: url, Timeout: time.Second})
		if err == nil {
			t.Fatal("opened ", url)
		}
		for _, text := range []string{err.Error(), fmt.Sprintf("%+v", err), fmt.Sprintf("%v", errors.Unwrap(err))} {
			if strings.Contains(text, secret) {
				t.Errorf("the password is in %q", text)
			}
		}
	}
}
