package journaltest

import (
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/hooktroupe/hooktroupe/journal"
)

// model is the obvious journal: a list of groups, with what may have happened to each.
type model struct {
	tb     testing.TB
	f      Features
	j      journal.Journal
	groups []modelGroup
	synced int // the first so many groups are on stable storage
	count  int // of records ever appended, so that no two are the same
}

type modelGroup struct {
	records []written
	dead    []bool
}

// testModel runs random histories against the model. After each step all that the model has must be readable, and after
// a power cut what was confirmed must be there, in order, and of the rest whole groups up to some group.
func testModel(t *testing.T, f Features) {
	rapid.Check(t, func(rt *rapid.T) {
		m := &model{tb: t, f: f, j: f.Open(t, 0)}
		defer func() { closeJournal(t, m.j) }()
		steps := map[string]func(*rapid.T){
			"append":  m.append,
			"compact": m.compact,
			"read":    m.read,
			"replay":  m.replay,
		}
		if f.Reopen != nil {
			steps["reopen"] = m.reopen
		}
		if f.PowerCut != nil {
			steps["power cut"] = m.powerCut
		}
		rt.Repeat(steps)
	})
}

func (m *model) append(rt *rapid.T) {
	sizes := rapid.SliceOfN(rapid.IntRange(0, 3000), 0, 6).Draw(rt, "sizes")
	opts := journal.Options{Sync: rapid.Bool().Draw(rt, "sync"), Reserve: rapid.Bool().Draw(rt, "reserve")}
	group, err := tryAdd(m.j, m.count, opts, sizes...)
	if err != nil {
		rt.Fatalf("Append: %v", err)
	}
	m.count += len(group)
	if len(group) > 0 {
		m.groups = append(m.groups, modelGroup{group, make([]bool, len(group))})
	}
	if opts.Sync {
		m.synced = len(m.groups)
	}
}

// compact lets some records before a random one die.
func (m *model) compact(rt *rapid.T) {
	if len(m.groups) == 0 {
		return
	}
	upTo := rapid.IntRange(0, len(m.groups)-1).Draw(rt, "groups")
	keep := rapid.IntRange(0, 10).Draw(rt, "tenths kept")
	var live []journal.Position
	for i, g := range m.groups[:upTo] {
		for k, w := range g.records {
			if (i+k)%10 >= keep {
				g.dead[k] = true
			}
			if !g.dead[k] {
				live = append(live, w.at)
			}
		}
	}
	if err := m.j.Compact(m.groups[upTo].records[0].at, live); err != nil {
		rt.Fatalf("Compact: %v", err)
	}
}

func (m *model) read(rt *rapid.T) {
	if len(m.groups) == 0 {
		return
	}
	g := m.groups[rapid.IntRange(0, len(m.groups)-1).Draw(rt, "group")]
	for k, w := range g.records {
		r, err := m.j.Read(w.at)
		if errors.Is(err, journal.ErrNotFound) && g.dead[k] {
			continue
		}
		if err == nil {
			err = w.same(r)
		}
		if err != nil {
			rt.Fatalf("Read(%v): %v", w.at, err)
		}
	}
}

func (m *model) replay(rt *rapid.T) {
	if left, err := m.match(len(m.groups)); err != nil || left != len(m.groups) {
		rt.Fatalf("%d of %d groups: %v", left, len(m.groups), err)
	}
}

func (m *model) reopen(rt *rapid.T) {
	closeJournal(m.tb, m.j)
	m.j = m.f.Reopen(m.tb, m.j)
	m.synced = len(m.groups)
	m.replay(rt)
}

func (m *model) powerCut(rt *rapid.T) {
	before := m.j
	m.j = m.f.PowerCut(m.tb, before, rapid.Uint64().Draw(rt, "seed"))
	closeJournal(m.tb, before)
	left, err := m.match(m.synced)
	if err != nil {
		rt.Fatalf("after a power cut, %d of %d groups synced: %v", m.synced, len(m.groups), err)
	}
	m.groups, m.synced = m.groups[:left], left
}

// match compares a replay with the model and returns how many groups are there. At least the first so many must be; of
// those behind them, dead ones that are last may be gone.
func (m *model) match(atLeast int) (left int, err error) {
	found := replay(m.tb, m.j, journal.Position{})
	left = atLeast
	for i, g := range m.groups {
		here := 0
		for k, w := range g.records {
			switch {
			case len(found) > 0 && found[0].at.Compare(w.at) == 0:
				r := journal.Record{Position: found[0].at, Type: found[0].typ, Data: found[0].data}
				if err := w.same(r); err != nil {
					return i, err
				}
				found, here = found[1:], here+1
				left = max(left, i+1)
			case g.dead[k]:
			case i < atLeast:
				return i, fmt.Errorf("record %d of group %d is lost", k, i)
			case here > 0:
				return i, fmt.Errorf("group %d is there in part", i)
			case len(found) > 0:
				return i, fmt.Errorf("group %d is lost, but not what follows", i)
			default:
				return left, nil
			}
		}
	}
	if len(found) > 0 {
		return left, fmt.Errorf("%d records that were never appended", len(found))
	}
	return left, nil
}
