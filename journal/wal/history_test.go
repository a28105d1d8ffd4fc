package wal_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/hooktroupe/hooktroupe/journal"
)

// history is what a test appended to a journal, and so what must be found there.
type history struct {
	count  int // of records ever made, so that no two are the same
	groups []past
}

// past is a group that was not refused.
type past struct {
	entries   []journal.Entry
	at        []journal.Position // nil as long as nobody said where it is
	confirmed bool               // it must be there
	dead      bool               // it may be gone
}

// make returns a group of records of these sizes with content that no other record has.
func (h *history) make(sizes ...int) []journal.Entry {
	group := make([]journal.Entry, len(sizes))
	for i, size := range sizes {
		h.count++
		chance := rand.New(rand.NewPCG(uint64(h.count), 0))
		data := make([]byte, size)
		for k := range data {
			data[k] = byte(chance.Uint32())
		}
		group[i] = journal.Entry{Type: uint8(1 + h.count%255), Data: data}
	}
	return group
}

// append appends a group. What was refused as ErrFull is not remembered: should it turn up, nobody knows it.
func (h *history) append(j journal.Journal, opts journal.Options, sizes ...int) error {
	group := h.make(sizes...)
	at, err := j.Append(nil, group, opts)
	if errors.Is(err, journal.ErrFull) {
		return err
	}
	if err != nil {
		at = nil
	}
	h.groups = append(h.groups, past{entries: group, at: at})
	if err == nil && opts.Sync {
		h.confirm()
	}
	return err
}

// mustAppend appends synced groups of one record each.
func (h *history) mustAppend(tb testing.TB, j journal.Journal, sizes ...int) {
	tb.Helper()
	for _, size := range sizes {
		if err := h.append(j, journal.Options{Sync: true}, size); err != nil {
			tb.Fatalf("Append: %v", err)
		}
	}
}

func (h *history) confirm() {
	for i := range h.groups {
		h.groups[i].confirmed = true
	}
}

// first returns a copy of the history up to its n-th group.
func (h *history) first(n int) *history {
	return &history{count: h.count, groups: slices.Clone(h.groups[:n])}
}

// bury lets groups die and returns what Compact needs to be told: where the first group behind the first n lies, and
// which of those before it live on.
func (h *history) bury(n int, dead func(i int) bool) (before journal.Position, live []journal.Position) {
	for i := range n {
		g := &h.groups[i]
		g.dead = g.dead || dead(i)
		if !g.dead {
			live = append(live, g.at...)
		}
	}
	return h.groups[n].at[0], live
}

// check compares what the journal has with the history: every group that was confirmed, those that were not whole or
// not at all, none of them without those before it, and nothing else. What was open before is settled afterwards.
func (h *history) check(j journal.Journal) error {
	found, err := replay(j)
	if err != nil {
		return err
	}
	var settled []past
	lost := -1
	for i, g := range h.groups {
		var at []journal.Position
		for k, e := range g.entries {
			if len(found) > 0 && same(found[0], e) && (g.at == nil || g.at[k] == found[0].Position) {
				at, found = append(at, found[0].Position), found[1:]
			}
		}
		switch whole := len(at) == len(g.entries); {
		case whole && lost >= 0:
			return fmt.Errorf("group %d is there without group %d", i, lost)
		case whole:
			g.at = at
		case g.dead:
		case g.confirmed:
			return fmt.Errorf("group %d was confirmed and has %d of %d records", i, len(at), len(g.entries))
		case len(at) > 0:
			return fmt.Errorf("group %d is there in part", i)
		default:
			lost = i
			continue
		}
		settled = append(settled, g)
	}
	if len(found) > 0 {
		return fmt.Errorf("%d records that nobody appended, the first at %v", len(found), found[0].Position)
	}
	h.groups = settled
	h.confirm()
	return nil
}

func same(r journal.Record, e journal.Entry) bool {
	return r.Type == e.Type && bytes.Equal(r.Data, e.Data)
}

// replay returns every record, each of which Read must return too.
func replay(j journal.Journal) ([]journal.Record, error) {
	var found []journal.Record
	err := j.Replay(journal.Position{}, func(r journal.Record) error {
		r.Data = bytes.Clone(r.Data)
		found = append(found, r)
		again, err := j.Read(r.Position)
		if err == nil && (again.Type != r.Type || !bytes.Equal(again.Data, r.Data)) {
			err = fmt.Errorf("read and replayed, the record at %v is not the same", r.Position)
		}
		return err
	})
	return found, err
}
