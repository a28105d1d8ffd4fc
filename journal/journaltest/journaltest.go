// Package journaltest is the suite that every implementation of journal.Journal and journal.Snapshots passes. It checks
// the contract as it is written in package journal and nothing beyond it; how an implementation keeps its promise on
// disk is for its own tests.
package journaltest

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/hooktroupe/hooktroupe/journal"
)

// Features say how to get at an implementation and where it may lawfully differ from others.
type Features struct {
	// Open returns an empty journal with a budget in bytes; zero means none. The suite closes it.
	Open func(tb testing.TB, budget int64) journal.Journal
	// Snapshots returns empty snapshots that belong to the journal.
	Snapshots func(tb testing.TB, j journal.Journal) journal.Snapshots
	// Budget is one in bytes that holds at least 100 records of 1 KiB and at most 10 000.
	Budget int64
	// Reopen opens what a journal that was closed left behind; nil if nothing is left.
	Reopen func(tb testing.TB, closed journal.Journal) journal.Journal
	// PowerCut cuts the power under a journal, as the seed decides, and opens what is left; nil if nothing is left. The
	// journal before it is closed by the suite.
	PowerCut func(tb testing.TB, j journal.Journal, seed uint64) journal.Journal
	// Exact says that Compact drops every dead record before its position, not only as many as make it worthwhile.
	Exact bool
}

// Run runs the suite.
func Run(t *testing.T, f Features) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, Features)
	}{
		{"Positions", testPositions},
		{"Replay", testReplay},
		{"EmptyGroup", testEmptyGroup},
		{"Refusals", testRefusals},
		{"NotFound", testNotFound},
		{"Budget", testBudget},
		{"Compact", testCompact},
		{"CompactAgain", testCompactAgain},
		{"Beside", testBeside},
		{"Close", testClose},
		{"Reopen", testReopen},
		{"Snapshots", testSnapshots},
		{"SnapshotFails", testSnapshotFails},
		{"Model", testModel},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, f) })
	}
}

// written is a record that an Append confirmed.
type written struct {
	at   journal.Position
	typ  uint8
	data []byte
}

// entry is what the n-th record of a test holds: bytes that no other record has, so that nothing passes for it.
func entry(n, size int) journal.Entry {
	chance := rand.New(rand.NewPCG(uint64(n), uint64(size)))
	data := make([]byte, size)
	for i := range data {
		data[i] = byte(chance.Uint32())
	}
	return journal.Entry{Type: uint8(1 + n%255), Data: data}
}

// open opens a journal that is closed when the test ends.
func open(t *testing.T, f Features, budget int64) journal.Journal {
	t.Helper()
	j := f.Open(t, budget)
	t.Cleanup(func() { closeJournal(t, j) })
	return j
}

func closeJournal(tb testing.TB, j journal.Journal) {
	tb.Helper()
	if err := j.Close(); err != nil {
		tb.Errorf("Close: %v", err)
	}
}

// add appends a group of sizes as a group and returns what was written.
func add(tb testing.TB, j journal.Journal, first int, opts journal.Options, sizes ...int) []written {
	tb.Helper()
	all, err := tryAdd(j, first, opts, sizes...)
	if err != nil {
		tb.Fatalf("Append: %v", err)
	}
	return all
}

func tryAdd(j journal.Journal, first int, opts journal.Options, sizes ...int) ([]written, error) {
	group := make([]journal.Entry, len(sizes))
	for i, size := range sizes {
		group[i] = entry(first+i, size)
	}
	at, err := j.Append(nil, group, opts)
	if err != nil {
		if len(at) != 0 {
			return nil, fmt.Errorf("%d positions beside the error %w", len(at), err)
		}
		return nil, err
	}
	if len(at) != len(group) {
		return nil, fmt.Errorf("%d positions for %d records", len(at), len(group))
	}
	all := make([]written, len(group))
	for i, e := range group {
		all[i] = written{at: at[i], typ: e.Type, data: e.Data}
	}
	return all, nil
}

// same says how a record that was read differs from the one that was written.
func (w written) same(r journal.Record) error {
	switch {
	case r.Position != w.at:
		return fmt.Errorf("position %v, want %v", r.Position, w.at)
	case r.Type != w.typ:
		return fmt.Errorf("type %d at %v, want %d", r.Type, w.at, w.typ)
	case !bytes.Equal(r.Data, w.data):
		return fmt.Errorf("%d bytes at %v are not the %d that were appended", len(r.Data), w.at, len(w.data))
	}
	return nil
}

// read checks that a record is where it was written.
func read(tb testing.TB, j journal.Journal, w written) {
	tb.Helper()
	r, err := j.Read(w.at)
	if err == nil {
		err = w.same(r)
	}
	if err != nil {
		tb.Fatalf("Read(%v): %v", w.at, err)
	}
}

// replay returns copies of the records from a position on.
func replay(tb testing.TB, j journal.Journal, from journal.Position) []written {
	tb.Helper()
	var all []written
	err := j.Replay(from, func(r journal.Record) error {
		all = append(all, written{at: r.Position, typ: r.Type, data: bytes.Clone(r.Data)})
		return nil
	})
	if err != nil {
		tb.Fatalf("Replay: %v", err)
	}
	return all
}

// equal checks that two histories are the same.
func equal(tb testing.TB, got, want []written) {
	tb.Helper()
	if len(got) != len(want) {
		tb.Fatalf("%d records, want %d", len(got), len(want))
	}
	for i := range got {
		if err := want[i].same(journal.Record{Position: got[i].at, Type: got[i].typ, Data: got[i].data}); err != nil {
			tb.Fatalf("record %d: %v", i, err)
		}
	}
}

// missing checks that no record is at a position.
func missing(tb testing.TB, j journal.Journal, at journal.Position) {
	tb.Helper()
	if _, err := j.Read(at); !errors.Is(err, journal.ErrNotFound) {
		tb.Fatalf("Read(%v): %v, want ErrNotFound", at, err)
	}
}

var (
	synced   = journal.Options{Sync: true}
	unsynced = journal.Options{}
)
