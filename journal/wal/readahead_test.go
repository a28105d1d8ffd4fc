package wal_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/hooktroupe/hooktroupe/internal/vfs"
	"github.com/hooktroupe/hooktroupe/journal"
	"github.com/hooktroupe/hooktroupe/journal/wal"
)

// What is read ahead is what was written, wherever records end in the blocks that are read: shorter and longer ones than a
// block and than the room in front of it, over several segments, from any record on. A callback that stops is not called
// again, nothing of the files is held afterwards, and a read that fails is an error at its place.
func TestReplayReadsAhead(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	failing := vfs.NewFailing(vfs.NewMem(0))
	d := mustOpen(t, failing, dir, wal.Config{SegmentBytes: 16 << 20}, nil)
	var written []journal.Record
	for total := 0; total < 60<<20; {
		size := []int{100, 1000, 60 << 10, 70 << 10, 1 << 20, 1<<20 + 100<<10, 5 << 20}[random.IntN(7)]
		size += random.IntN(200)
		data := bytes.Repeat([]byte{byte(len(written)), byte(size)}, size/2)
		at, err := d.Append(nil, []journal.Entry{{Type: 1, Data: data}}, journal.Options{})
		if err != nil {
			t.Fatal(err)
		}
		written = append(written, journal.Record{Position: at[0], Type: 1, Data: data})
		total += size
	}
	for from := 0; from < len(written); from += 1 + len(written)/7 {
		next := from
		if err := d.Replay(written[from].Position, func(r journal.Record) error {
			if r.Position != written[next].Position || !bytes.Equal(r.Data, written[next].Data) {
				t.Fatalf("record %d of %d from %d on is another one", next, len(written), from)
			}
			next++
			return nil
		}); err != nil || next != len(written) {
			t.Fatalf("from record %d on: %d of %d, %v", from, next, len(written), err)
		}
	}
	stop := errors.New("stop")
	for left := range 5 {
		err := d.Replay(journal.Position{}, func(journal.Record) error {
			if left--; left < 0 {
				return stop
			}
			return nil
		})
		if !errors.Is(err, stop) || left != -1 {
			t.Fatalf("stopped: %v, %d", err, left)
		}
	}
	broken := errors.New("broken")
	for read := 1; read <= 10; read += 3 {
		failing.Fail(vfs.OpRead, read, 1, broken)
		seen := 0
		err := d.Replay(journal.Position{}, func(r journal.Record) error {
			if r.Position != written[seen].Position {
				t.Fatalf("record %d is another one", seen)
			}
			seen++
			return nil
		})
		if !errors.Is(err, broken) || seen == len(written) {
			t.Fatalf("read %d failed: %v after %d of %d records", read, err, seen, len(written))
		}
		failing.Heal()
	}
	closeJournal(t, d) // waits until nobody reads
}
