package stream_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/hooktroupe/hooktroupe/http/stream"
)

// number is a change that shows itself.
type number int

func (n number) Show() any { return int(n) }

var started = time.Unix(1_700_000_000, 0)

// read returns all that a reader can read now.
func read(t interface{ Fatalf(string, ...any) }, r *stream.Reader, room int) (all []int, lost bool) {
	for {
		batch, more, fellBehind := r.Read(make([]stream.Numbered, 0, room))
		if fellBehind {
			lost = true
			continue
		}
		if more != nil {
			return all, lost
		}
		if len(batch) == 0 || len(batch) > room {
			t.Fatalf("a batch of %d", len(batch))
		}
		for _, n := range batch {
			all = append(all, n.Change.Show().(int))
		}
	}
}

// TestAReaderGetsTheNewestInOrder: whatever is published and read in whatever portions, a reader gets, in order, what comes
// after where it began, and when it does not get all of it, it is told.
func TestAReaderGetsTheNewestInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(1, 20).Draw(t, "size")
		f := stream.New(size, started)
		published := 0
		publish := func(n int) {
			for range n {
				published++
				f.Publish(number(published))
			}
		}
		publish(rapid.IntRange(0, 50).Draw(t, "before"))
		r, lost := f.Open("")
		if lost {
			t.Fatalf("a reader that begins now has lost something")
		}
		seen := published
		for range rapid.IntRange(1, 20).Draw(t, "rounds") {
			n := rapid.IntRange(0, 30).Draw(t, "n")
			publish(n)
			if rapid.Bool().Draw(t, "reconnects") {
				if r, lost = f.Open(r.ID()); lost != (published-seen > size) {
					t.Fatalf("%d missed with room for %d: lost %v", published-seen, size, lost)
				}
				if lost {
					seen = published
				}
			}
			all, lost := read(t, r, rapid.IntRange(1, 10).Draw(t, "room"))
			if lost != (published-seen > size) {
				t.Fatalf("%d missed with room for %d: lost %v", published-seen, size, lost)
			}
			if lost {
				seen = published - size
			}
			for _, got := range all {
				if seen++; got != seen {
					t.Fatalf("got %d, want %d", got, seen)
				}
			}
			if seen != published {
				t.Fatalf("read up to %d of %d", seen, published)
			}
		}
	})
}

func TestIDsOfAnotherProcessAreLost(t *testing.T) {
	before, now := stream.New(10, started), stream.New(10, started.Add(time.Second))
	before.Publish(number(1))
	now.Publish(number(1))
	old, _ := before.Open("")
	fresh, _ := now.Open("")
	ahead := strings.Replace(fresh.ID(), "-1", "-7", 1)
	for id, want := range map[string]bool{
		old.ID(): true, fresh.ID(): false, "": false, "x": true, fresh.ID() + "x": true, ahead: true, "-": true,
		strings.Replace(fresh.ID(), "-1", "-18446744073709551615", 1): true,
	} {
		r, lost := now.Open(id)
		if lost != want || r.ID() != fresh.ID() {
			t.Errorf("%q: lost %v, goes on after %s", id, lost, r.ID())
		}
	}
}

func FuzzOpen(f *testing.F) {
	feed := stream.New(4, started)
	for i := range 9 {
		feed.Publish(number(i))
	}
	r, _ := feed.Open("")
	f.Add(r.ID())
	f.Add("-")
	f.Fuzz(func(t *testing.T, id string) {
		r, lost := feed.Open(id)
		all, behind := read(t, r, 10)
		if behind || lost && len(all) > 0 || len(all) > 4 {
			t.Errorf("%q: %v, lost %v, behind %v", id, all, lost, behind)
		}
	})
}

// TestManyReadersFollowManyWriters: every reader is woken for every change.
func TestManyReadersFollowManyWriters(t *testing.T) {
	const writers, each = 4, 500
	f := stream.New(writers*each, started)
	var all sync.WaitGroup
	faults := make(chan error, 8)
	for range 8 {
		r, _ := f.Open("")
		all.Go(func() {
			for seen := 0; seen < writers*each; {
				batch, more, lost := r.Read(make([]stream.Numbered, 0, 64))
				if lost {
					faults <- fmt.Errorf("lost after %d", seen)
					return
				}
				if more != nil {
					<-more
				}
				seen += len(batch)
			}
		})
	}
	for range writers {
		all.Go(func() {
			for i := range each {
				f.Publish(number(i))
			}
		})
	}
	all.Wait()
	close(faults)
	for err := range faults {
		t.Error(err)
	}
}

func BenchmarkPublish(b *testing.B) {
	f := stream.New(0, started)
	b.ReportAllocs()
	for b.Loop() {
		f.Publish(number(7))
	}
}
