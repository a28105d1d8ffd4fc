package postgres_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/hooktroupe/hooktroupe/internal/pgserver"
	"github.com/hooktroupe/hooktroupe/internal/pgtest"
	"github.com/hooktroupe/hooktroupe/journal"
	"github.com/hooktroupe/hooktroupe/journal/postgres"
)

// untilDone calls fn until it does not say that the store is unavailable.
func untilDone(tb testing.TB, fn func() error) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), patient)
	defer cancel()
	for ctx.Err() == nil {
		err := fn()
		if err == nil {
			return
		}
		if !errors.Is(err, postgres.ErrUnavailable) {
			tb.Fatal(err)
		}
	}
	tb.Fatal("the store does not come back")
}

// numbers reads which deliveries a log holds.
func numbers(tb testing.TB, log []journal.Record) map[int]int {
	tb.Helper()
	count := map[int]int{}
	for _, r := range log {
		var n int
		if _, err := fmt.Sscanf(string(r.Data), "delivery %d", &n); err != nil {
			tb.Fatalf("%q: %v", r.Data, err)
		}
		count[n]++
	}
	return count
}

// A frozen server is unavailable in time; what it was sent before counts once it goes on, and once only.
func TestServerFrozen(t *testing.T) {
	server, url := pgtest.Server(t, pgserver.Options{})
	config := postgres.Config{URL: url, Shards: 2, Timeout: patient}
	open(t, config)
	config.Timeout = 400 * time.Millisecond
	s, err := postgres.Open(t.Context(), config)
	for errors.Is(err, postgres.ErrUnavailable) { // a loaded machine may take longer
		s, err = postgres.Open(t.Context(), config)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	own(t, s, 1, 1)
	untilDone(t, func() error { _, err := s.Deliver(t.Context(), []postgres.Delivery{delivery(0, 0)}); return err })
	server.Freeze()
	started := time.Now()
	_, err = s.Deliver(t.Context(), []postgres.Delivery{delivery(1, 0)})
	if took := time.Since(started); !errors.Is(err, postgres.ErrUnavailable) || took > patient/2 {
		t.Errorf("Deliver to a frozen server: %v after %v", err, took)
	}
	batch := postgres.Batch{Shard: 1, Generation: 1, Seq: 1, Entries: []postgres.Entry{{Type: 2, Data: []byte("change")}}}
	if _, errs := s.Append(t.Context(), []postgres.Batch{batch}); !errors.Is(errs[0], postgres.ErrUnavailable) {
		t.Errorf("Append to a frozen server: %v", errs[0])
	}
	if _, err := s.Tail(t.Context(), []postgres.Cursor{{Shard: 0}}, nil, 10, 1000); !errors.Is(err, postgres.ErrUnavailable) {
		t.Errorf("Tail of a frozen server: %v", err)
	}
	if _, err := postgres.Open(t.Context(), config); !errors.Is(err, postgres.ErrUnavailable) {
		t.Errorf("Open of a frozen server: %v", err)
	}
	server.Thaw()
	untilDone(t, func() error {
		done, err := s.Deliver(t.Context(), []postgres.Delivery{delivery(1, 0), delivery(2, 0)})
		if err == nil && (done[0].Duplicate || done[1].Duplicate) {
			t.Errorf("a retry is a duplicate: %+v", done)
		}
		return err
	})
	untilDone(t, func() error { _, errs := s.Append(t.Context(), []postgres.Batch{batch}); return errs[0] })
	reader := reopen(t, postgres.Config{URL: url})
	if log := tail(t, reader, postgres.Cursor{Shard: 0}); len(log) != 3 || len(numbers(t, log)) != 3 {
		t.Errorf("%d deliveries", len(log))
	}
	if log := tail(t, reader, postgres.Cursor{Shard: 1}); len(log) != 1 {
		t.Errorf("%d changes", len(log))
	}
}

// A server is killed while members write, and started again: what was confirmed is there, once, and the stores go on by
// themselves.
func TestServerKilled(t *testing.T) {
	server, url := pgtest.Server(t, pgserver.Options{})
	open(t, postgres.Config{URL: url, Shards: 2})
	s := reopen(t, postgres.Config{URL: url, Timeout: 5 * time.Second})
	own(t, s, 1, 1)
	var (
		running           sync.WaitGroup
		stop              = make(chan struct{})
		delivered, writes atomic.Int64
	)
	more := func() bool {
		select {
		case <-stop:
			return false
		default:
			return true
		}
	}
	running.Go(func() { // until stop, and then until the last is written
		for n := 0; more(); n += 3 {
			untilDone(t, func() error {
				_, err := s.Deliver(t.Context(), []postgres.Delivery{delivery(n, 0), delivery(n+1, 0), delivery(n+2, 0)})
				return err
			})
			delivered.Add(3)
		}
	})
	running.Go(func() {
		for seq := int64(1); more(); seq++ {
			b := postgres.Batch{Shard: 1, Generation: 1, Seq: seq, Entries: []postgres.Entry{
				{Type: 2, Data: binary.BigEndian.AppendUint64(nil, uint64(2*seq))},
				{Type: 2, Data: binary.BigEndian.AppendUint64(nil, uint64(2*seq+1))},
			}}
			untilDone(t, func() error { _, errs := s.Append(t.Context(), []postgres.Batch{b}); return errs[0] })
			writes.Add(1)
		}
	})
	for range 3 {
		for before := delivered.Load(); delivered.Load() < before+30 && !t.Failed(); {
			time.Sleep(time.Millisecond)
		}
		if err := errors.Join(server.Kill(), server.Restart()); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	running.Wait()
	reader := reopen(t, postgres.Config{URL: url})
	log := tail(t, reader, postgres.Cursor{Shard: 0})
	sound(t, reader, log)
	if found := numbers(t, log); len(log) != int(delivered.Load()) || len(found) != len(log) {
		t.Errorf("%d deliveries, %d different, %d confirmed", len(log), len(found), delivered.Load())
	}
	log = tail(t, reader, postgres.Cursor{Shard: 1})
	if len(log) != int(2*writes.Load()) {
		t.Errorf("%d changes, %d confirmed", len(log), 2*writes.Load())
	}
	for i, r := range log {
		if n := binary.BigEndian.Uint64(r.Data); n != uint64(i+2) {
			t.Fatalf("change %d is %d", i, n)
		}
	}
}

// A statement that a server executes long after its sender gave it up, and after newer ones, changes nothing.
func TestLateStatement(t *testing.T) {
	url := pgtest.Database(t)
	s := open(t, postgres.Config{URL: url, Shards: 1})
	own(t, s, 0, 1)
	first := postgres.Batch{Generation: 1, Seq: 1, Entries: []postgres.Entry{{Type: 2, Data: []byte("1")}}}
	second := postgres.Batch{Generation: 1, Seq: 2, Entries: []postgres.Entry{{Type: 2, Data: []byte("2")}}}
	third := postgres.Batch{Generation: 1, Seq: 3, Entries: []postgres.Entry{{Type: 2, Data: []byte("3")}}}
	for _, b := range []postgres.Batch{first, second, third} {
		if _, errs := s.Append(t.Context(), []postgres.Batch{b}); errs[0] != nil {
			t.Fatal(errs[0])
		}
	}
	late := reopen(t, postgres.Config{URL: url}) // as the server sees it: another connection
	if _, errs := late.Append(t.Context(), []postgres.Batch{first}); !errors.Is(errs[0], postgres.ErrSequence) {
		t.Errorf("a late attempt: %v", errs[0])
	}
	if log := tail(t, s, postgres.Cursor{}); len(log) != 3 {
		t.Errorf("%d records", len(log))
	}
}

// proxy passes bytes on, and cuts connections after so many bytes of requests or answers.
type proxy struct {
	listener net.Listener
	target   string
	cuts     atomic.Bool

	mu     sync.Mutex // guards what follows
	chance *rand.Rand
	all    []net.Conn
}

func newProxy(tb testing.TB, target string) *proxy {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	p := &proxy{listener: l, target: target, chance: rand.New(rand.NewPCG(1, 2))}
	var running sync.WaitGroup
	running.Go(func() { // until the listener is closed
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() { p.serve(from) })
		}
	})
	tb.Cleanup(func() {
		_ = l.Close()
		p.mu.Lock()
		for _, c := range p.all {
			_ = c.Close()
		}
		p.mu.Unlock()
		running.Wait()
	})
	return p
}

func (p *proxy) reseed(seed uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.chance = rand.New(rand.NewPCG(seed, 2))
}

func (p *proxy) serve(from net.Conn) {
	to, err := net.Dial("tcp", p.target)
	if err != nil {
		_ = from.Close()
		return
	}
	p.mu.Lock()
	p.all = append(p.all, from, to)
	p.mu.Unlock()
	var running sync.WaitGroup
	closeBoth := func() { _, _ = from.Close(), to.Close() }
	running.Go(func() { p.pass(to, from); closeBoth() })
	running.Go(func() { p.pass(from, to); closeBoth() })
	running.Wait()
}

// pass copies until an end is closed, or chance cuts the connection before, in the middle of, or behind a piece.
func (p *proxy) pass(to, from net.Conn) {
	buffer := make([]byte, 16<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			pass, cut := n, false
			if p.cuts.Load() {
				p.mu.Lock()
				if cut = p.chance.IntN(20) == 0; cut {
					pass = p.chance.IntN(n + 1)
				}
				p.mu.Unlock()
			}
			if _, err := to.Write(buffer[:pass]); err != nil || cut {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// Connections are cut at any point between a request and its answer: nothing that was confirmed is lost, nothing is
// written twice, and the order of an owner's changes is kept.
func TestConnectionsCut(t *testing.T) {
	server, _ := pgtest.Server(t, pgserver.Options{NoSync: true})
	p := newProxy(t, server.Address())
	direct := pgtest.DatabaseOn(t, server)
	steady := open(t, postgres.Config{URL: direct, Shards: 300, SegmentBytes: 4 << 10})
	through, err := url.Parse(direct)
	if err != nil {
		t.Fatal(err)
	}
	through.Host = p.listener.Addr().String()
	s := reopen(t, postgres.Config{URL: through.String(), MaxConns: 2})
	shard, n := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		shard = (shard + 2) % 300 // that of deliveries; the next is that of changes
		own(t, steady, shard+1, int64(n)+1)
		generation, from := int64(n)+1, n
		logEnd := steady.Shard(shard, 0).End()
		changesEnd := steady.Shard(shard+1, 0).End()
		p.reseed(rapid.Uint64().Draw(rt, "seed"))
		p.cuts.Store(true)
		sizes := rapid.SliceOfN(rapid.IntRange(1, 9), 1, 8).Draw(rt, "batches")
		changes := 0
		for seq, size := range sizes {
			batch := make([]postgres.Delivery, size)
			for i := range batch {
				batch[i] = delivery(n, shard)
				batch[i].HasClaim = n%2 == 0
				n++
			}
			untilDone(t, func() error {
				done, err := s.Deliver(t.Context(), batch)
				for _, d := range done {
					if d.Duplicate || d.Position.IsZero() {
						rt.Fatalf("%+v", d)
					}
				}
				return err
			})
			b := postgres.Batch{Shard: shard + 1, Generation: generation, Seq: int64(seq + 1)}
			for range size {
				b.Entries = append(b.Entries, postgres.Entry{Type: 2, Data: binary.BigEndian.AppendUint64(nil, uint64(changes))})
				changes++
			}
			untilDone(t, func() error { _, errs := s.Append(t.Context(), []postgres.Batch{b}); return errs[0] })
			if seq%3 == 2 {
				sweep(t, steady, 0) // statements go stale, too
			}
		}
		p.cuts.Store(false)
		var log []journal.Record
		gather := func(r journal.Record) error { log = append(log, r); return nil }
		if err := steady.Shard(shard, 0).Replay(logEnd, gather); err != nil {
			rt.Fatal(err)
		}
		if found := numbers(t, log); len(log) != n-from || len(found) != n-from {
			rt.Fatalf("%d deliveries, %d different, %d confirmed", len(log), len(found), n-from)
		}
		log = nil
		if err := steady.Shard(shard+1, 0).Replay(changesEnd, gather); err != nil {
			rt.Fatal(err)
		}
		if len(log) != changes {
			rt.Fatalf("%d changes, %d confirmed", len(log), changes)
		}
		for i, r := range log {
			if binary.BigEndian.Uint64(r.Data) != uint64(i) {
				rt.Fatalf("change %d is another", i)
			}
		}
	})
}
