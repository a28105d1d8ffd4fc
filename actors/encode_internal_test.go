package actors

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/hooktroupe/hooktroupe/journal"
	"github.com/hooktroupe/hooktroupe/messages/journalv1"
	"github.com/hooktroupe/hooktroupe/task"
)

// said is what a record says about one task.
type said struct {
	kind   journalv1.RecordType
	change change
}

// hear decodes entries as recovery does, and returns what they say about each task, in order, and of each entry what kind it
// is.
func hear(entries []journal.Entry) (about map[task.ID][]said, kinds []journalv1.RecordType, err error) {
	about = make(map[task.ID][]said)
	var p decoder
	for _, e := range entries {
		kinds = append(kinds, journalv1.RecordType(e.Type))
		var d decoded
		err := p.each(journal.Record{Type: e.Type, Data: e.Data}, func() *decoded { return &d }, func() error {
			switch d.kind {
			case journalv1.RecordType_RECORD_TYPE_TASK_ACCEPTED:
				about[d.accepted.id] = append(about[d.accepted.id], said{kind: d.kind})
			case journalv1.RecordType_RECORD_TYPE_TASKS_FORGOTTEN:
				for ids := d.forgotten; len(ids) > 0; ids = ids[16:] {
					id := task.ID(ids[:16])
					about[id] = append(about[id], said{kind: d.kind})
				}
			case journalv1.RecordType_RECORD_TYPE_LANE_PAUSED:
				about[task.ID{}] = append(about[task.ID{}], said{kind: d.kind})
			default:
				about[d.change.id] = append(about[d.change.id], said{d.kind, d.change})
			}
			return nil
		})
		if err != nil {
			return nil, nil, err
		}
	}
	return about, kinds, nil
}

// changing is a store of a change of a task.
func changing(c change) *store {
	kind, record := c.record()
	return &store{kind: kind, record: record}
}

func started(id task.ID, attempt, revision uint32) *store {
	return changing(change{id: id, event: task.Event{Kind: task.AttemptStarted, Attempt: attempt, At: 1000, Revision: revision}})
}

func ended(id task.ID, attempt, revision uint32) *store {
	return changing(change{id: id, err: "no", result: []byte("r"), event: task.Event{
		Kind: task.AttemptEnded, Attempt: attempt, At: 900, Revision: revision, Outcome: task.Retry, Next: task.Retrying, DueAt: 7000,
	}})
}

func cancelled(id task.ID, revision uint32) *store {
	return changing(change{id: id, err: "asked", event: task.Event{Kind: task.TaskCancelled, At: 5, Revision: revision}})
}

func forgetting(ids ...task.ID) *store {
	m := &journalv1.TasksForgotten{}
	for _, id := range ids {
		m.TaskIds = append(m.TaskIds, id[:]...)
	}
	return &store{kind: journalv1.RecordType_RECORD_TYPE_TASKS_FORGOTTEN, record: m}
}

func arriving(id task.ID) *store {
	return &store{
		kind: journalv1.RecordType_RECORD_TYPE_TASK_ACCEPTED, fresh: true, answer: "yes",
		record: &journalv1.TaskAccepted{TaskId: id[:], MaxAttempts: 1},
	}
}

// waitedFor makes a change one that somebody waits for.
func waitedFor(m *store) *store {
	m.answer = "done"
	return m
}

// A group becomes few records, in an order that keeps what belongs together.
func TestGroupsShareRecords(t *testing.T) {
	const (
		acceptedKind  = journalv1.RecordType_RECORD_TYPE_TASK_ACCEPTED
		startedKind   = journalv1.RecordType_RECORD_TYPE_ATTEMPT_STARTED
		cancelledKind = journalv1.RecordType_RECORD_TYPE_TASK_CANCELLED
		madeKind      = journalv1.RecordType_RECORD_TYPE_ATTEMPT_MADE
		changesKind   = journalv1.RecordType_RECORD_TYPE_CHANGES
	)
	a, b, c := task.ID{1}, task.ID{2}, task.ID{3}
	for _, test := range []struct {
		name  string
		group []*store
		want  []journalv1.RecordType
	}{
		{"one change", []*store{started(a, 1, 1)}, []journalv1.RecordType{startedKind}},
		{"one attempt", []*store{started(a, 1, 1), ended(a, 1, 2)}, []journalv1.RecordType{madeKind}},
		{"an attempt and another", []*store{started(a, 1, 1), started(b, 1, 1), ended(a, 1, 2)}, []journalv1.RecordType{changesKind}},
		{
			"behind deliveries", []*store{started(a, 1, 1), arriving(b), cancelled(b, 1), arriving(c), ended(a, 1, 2)},
			[]journalv1.RecordType{acceptedKind, acceptedKind, changesKind},
		},
		{
			"before what is waited for", []*store{started(a, 1, 1), waitedFor(cancelled(a, 2)), started(b, 1, 1)},
			[]journalv1.RecordType{startedKind, cancelledKind, startedKind},
		},
		{"nothing between", []*store{started(a, 1, 1), ended(a, 2, 4)}, []journalv1.RecordType{changesKind}},
		{"nobody waits", []*store{arriving(a)}, []journalv1.RecordType{acceptedKind}},
		{"no group", nil, nil},
	} {
		var e groupEncoder
		if err := e.encode(test.group); err != nil {
			t.Fatal(err)
		}
		if _, kinds, err := hear(e.entries); err != nil || !reflect.DeepEqual(kinds, test.want) {
			t.Errorf("%s: %v, want %v; %v", test.name, kinds, test.want, err)
		}
	}
}

// Whatever a group holds, recovery hears of each task what it would have heard from records of their own, in the same order;
// and every delivery is where its position says.
func TestSharedRecordsSayTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var e groupEncoder
		for range rapid.IntRange(1, 3).Draw(t, "groups") { // an encoder is used again
			group := drawGroup(t)
			if err := e.encode(group); err != nil {
				t.Fatal(err)
			}
			var alone []journal.Entry
			for _, m := range group {
				var one groupEncoder
				if err := one.encode([]*store{m}); err != nil {
					t.Fatal(err)
				}
				alone = append(alone, one.entries...)
			}
			want, _, err := hear(alone)
			if err != nil {
				t.Fatal(err)
			}
			got, kinds, err := hear(e.entries)
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Fatalf("%v\nbecame %v, %v", want, got, err)
			}
			positions := make([]journal.Position, len(e.entries))
			for i := range positions {
				positions[i].Offset = uint32(i)
			}
			for i, at := range e.placed(positions) {
				m := group[i]
				if m.fresh && (kinds[at.Offset] != m.kind || !bytes.Contains(e.entries[at.Offset].Data, m.record.(*journalv1.TaskAccepted).GetTaskId())) {
					t.Fatalf("the delivery of %v is not where it is said to be", m.record)
				}
			}
		}
	})
}

// drawGroup draws changes of a few tasks, each of which has the revision that follows from those before.
func drawGroup(t *rapid.T) (group []*store) {
	revisions, attempts := make(map[byte]uint32), make(map[byte]uint32)
	forgotten := make(map[byte]bool)
	for range rapid.IntRange(0, 30).Draw(t, "stores") {
		n := rapid.ByteRange(1, 5).Draw(t, "task")
		if forgotten[n] {
			continue
		}
		id := task.ID{n, 7: n, 15: n}
		var m *store
		switch rapid.IntRange(0, 6).Draw(t, "kind") {
		case 0:
			m = arriving(task.ID{0xff, byte(len(group))})
		case 1:
			m = forgetting(id)
			forgotten[n] = true
		case 2:
			revisions[n]++
			m = cancelled(id, revisions[n])
		case 3, 4:
			revisions[n]++
			attempts[n]++
			m = started(id, attempts[n], revisions[n])
		case 5:
			revisions[n]++
			m = ended(id, attempts[n], revisions[n])
		default:
			m = &store{kind: journalv1.RecordType_RECORD_TYPE_LANE_PAUSED, record: &journalv1.LanePaused{Key: "k"}}
		}
		if rapid.IntRange(0, 9).Draw(t, "waits") == 0 {
			m = waitedFor(m)
		}
		group = append(group, m)
	}
	return group
}

// What is too large for one record is several.
func TestSharedRecordsAreBounded(t *testing.T) {
	var group []*store
	for i := range 60 {
		group = append(group, changing(change{id: task.ID{byte(i)}, result: make([]byte, 100_000), event: task.Event{
			Kind: task.AttemptEnded, Revision: 2,
		}}))
	}
	var e groupEncoder
	if err := e.encode(group); err != nil {
		t.Fatal(err)
	}
	for _, entry := range e.entries {
		if len(entry.Data) > maxChangesBytes+200_000 {
			t.Errorf("a record of %d bytes", len(entry.Data))
		}
	}
	if about, _, err := hear(e.entries); err != nil || len(about) != len(group) || len(e.entries) < 5 {
		t.Errorf("%d tasks in %d records, %v", len(about), len(e.entries), err)
	}
}

// The bytes are those of the format, and what is wrong with them is an error.
func TestChangesOnDisk(t *testing.T) {
	text, err := os.ReadFile("testdata/changes.hex")
	if err != nil {
		t.Fatal(err)
	}
	golden, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	a, b := task.ID{0: 1, 15: 1}, task.ID{0: 2, 15: 2}
	var e groupEncoder
	err = e.encode([]*store{started(a, 1, 1), forgetting(b), started(b, 3, 6), ended(a, 1, 2), cancelled(a, 3)})
	if err != nil {
		t.Fatal(err)
	}
	if len(e.entries) != 1 || !bytes.Equal(e.entries[0].Data, golden) {
		t.Errorf("written is %x", e.entries[0].Data)
	}
	const changes = uint8(journalv1.RecordType_RECORD_TYPE_CHANGES)
	about, _, err := hear([]journal.Entry{{Type: changes, Data: golden}})
	if err != nil || len(about[a]) != 3 || len(about[b]) != 2 || about[a][1].change.event.At != 900 || about[a][0].change.event.Revision != 1 {
		t.Errorf("read is %+v, %v", about, err)
	}
	nested := append([]byte{0x0a, byte(len(golden) + 4), 0x08, changes, 0x12, byte(len(golden))}, golden...) // changes within a change
	for name, data := range map[string][]byte{
		"cut": golden[:len(golden)-1], "nested": nested, "no type": {0x0a, 0}, "no ID": {0x0a, 4, 0x08, 14, 0x12, 0},
		"a type that no frame can have": {0x0a, 5, 0x08, 0x82, 0x02, 0x12, 0},
	} {
		if about, _, err := hear([]journal.Entry{{Type: changes, Data: data}}); err == nil {
			t.Errorf("%s: read as %v", name, about)
		}
	}
}

// Whatever the bytes, decoding them ends, with an error or without.
func FuzzChanges(f *testing.F) {
	var e groupEncoder
	if err := e.encode([]*store{started(task.ID{1}, 1, 1), forgetting(task.ID{2}), ended(task.ID{1}, 1, 2), cancelled(task.ID{3}, 1)}); err != nil {
		f.Fatal(err)
	}
	f.Add(e.entries[0].Type, e.entries[0].Data)
	f.Add(uint8(journalv1.RecordType_RECORD_TYPE_ATTEMPT_MADE), []byte{})
	enough := errors.New("enough")
	f.Fuzz(func(t *testing.T, kind uint8, data []byte) {
		var p decoder
		var d decoded
		n := 0
		err := p.each(journal.Record{Type: kind, Data: data}, func() *decoded { return &d }, func() error {
			if n++; n > len(data)+2 {
				return enough
			}
			return nil
		})
		if errors.Is(err, enough) {
			t.Fatalf("%d bytes are more than %d changes", len(data), n)
		}
	})
}

func BenchmarkEncodeGroup(b *testing.B) {
	var group []*store
	for i := range byte(40) {
		group = append(group, arriving(task.ID{1, i}), started(task.ID{2, i}, 1, 1), ended(task.ID{2, i}, 1, 2), forgetting(task.ID{3, i}))
	}
	var e groupEncoder
	b.ReportAllocs()
	for b.Loop() {
		if err := e.encode(group); err != nil {
			b.Fatal(err)
		}
	}
}
