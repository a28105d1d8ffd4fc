package wal_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/hooktroupe/hooktroupe/journal"
	"github.com/hooktroupe/hooktroupe/journal/wal"
)

// The disk of b.TempDir decides what these measure; docs/decisions/0001-recycled-segments.md has results.

func BenchmarkAppend(b *testing.B) {
	for _, kilobytes := range []int{1, 8, 25} {
		for _, records := range []int{1, 16, 64} {
			b.Run(fmt.Sprintf("size=%dKB/group=%d", kilobytes, records), func(b *testing.B) {
				benchmarkAppend(b, kilobytes<<10, records)
			})
		}
	}
}

// benchmarkAppend appends synced groups and drops what it wrote a few segments ago, as in steady operation.
func benchmarkAppend(b *testing.B, size, records int) {
	j, err := wal.Open(b.TempDir(), wal.Config{})
	if err != nil {
		b.Fatal(err)
	}
	defer closeJournal(b, j)
	group := make([]journal.Entry, records)
	for i := range group {
		group[i] = journal.Entry{Type: 1, Data: bytes.Repeat([]byte{byte(i)}, size)}
	}
	var at []journal.Position
	segment := uint32(1)
	b.SetBytes(int64(size * records))
	b.ReportAllocs()
	for b.Loop() {
		at, err = j.Append(at[:0], group, journal.Options{Sync: true})
		if err != nil {
			b.Fatal(err)
		}
		if at[0].Segment != segment {
			segment = at[0].Segment
			if err := j.Compact(at[0], nil); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.N*records)/b.Elapsed().Seconds(), "records/s")
}

func BenchmarkReplay(b *testing.B) {
	const size, records, groups = 8 << 10, 64, 400
	j, err := wal.Open(b.TempDir(), wal.Config{})
	if err != nil {
		b.Fatal(err)
	}
	defer closeJournal(b, j)
	group := make([]journal.Entry, records)
	for i := range group {
		group[i] = journal.Entry{Type: 1, Data: bytes.Repeat([]byte{byte(i)}, size)}
	}
	for range groups {
		if _, err := j.Append(nil, group, journal.Options{}); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(size * records * groups)
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		err := j.Replay(journal.Position{}, func(journal.Record) error { n++; return nil })
		if err != nil || n != records*groups {
			b.Fatalf("%d records, %v", n, err)
		}
	}
}

func closeJournal(tb testing.TB, j journal.Journal) {
	tb.Helper()
	if err := j.Close(); err != nil {
		tb.Errorf("close: %v", err)
	}
}
