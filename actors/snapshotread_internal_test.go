package actors

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"reflect"
	"testing"

	"google.golang.org/protobuf/encoding/protodelim"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/hooktroupe/hooktroupe/journal"
	"github.com/hooktroupe/hooktroupe/messages/journalv1"
	"github.com/hooktroupe/hooktroupe/task"
)

// itemBy is what the generated code makes of an entry of a snapshot.
func itemBy(data []byte) (*snapshotItem, error) {
	var m journalv1.SnapshotTask
	if err := proto.Unmarshal(data, &m); err != nil {
		return nil, err
	}
	item := &snapshotItem{
		origin: origin{m.GetSource(), m.GetEventType()}, originNumber: m.GetOrigin(),
		place: place{m.GetRoute(), m.GetKey()}, placeNumber: m.GetPlace(), pausedLane: m.GetPausedLane(),
		detail: &detail{err: m.GetError(), result: m.GetResult(), order: m.GetOrder(), burst: m.GetBurstAt()},
		entry: entry{
			Task: task.Task{
				ID: task.ID(joined(m.GetTaskIdHigh(), m.GetTaskIdLow())), Status: task.Status(m.GetStatus()),
				CreatedAt: int64(m.GetCreatedAt()), UpdatedAt: int64(m.GetUpdatedAt()), DueAt: int64(m.GetDueAt()),
				Revision: m.GetRevision(), Attempts: m.GetAttempts(), Spent: uint16(m.GetSpent()),
				MaxAttempts: uint16(m.GetMaxAttempts()), Interruptions: uint8(m.GetInterruptions()),
				Crashes: uint8(m.GetCrashes()), Since: int64(m.GetSince()),
			},
			delivery: deliveryHash(joined(m.GetDeliveryHigh(), m.GetDeliveryLow())),
			at:       journal.Position{Segment: m.GetSegment(), Offset: m.GetOffset(), Length: m.GetLength()},
		},
	}
	for _, a := range m.GetAttemptLog() {
		item.detail.log = append(item.detail.log, attempt{
			number: a.GetNumber(), startedAt: a.GetStartedAt(), endedAt: a.GetEndedAt(),
			outcome: task.Outcome(a.GetOutcome()), err: a.GetError(),
		})
	}
	if item.detail.isEmpty() {
		item.detail = nil
	}
	e := &item.entry
	if e.Since == 0 {
		e.Since = e.CreatedAt
	}
	switch {
	case item.pausedLane:
	case !e.Status.Valid(), !m.GetSplit() && len(m.GetParent()) != 0 && len(m.GetParent()) != 16:
		return nil, errors.New("senseless")
	case m.GetSplit():
		e.role = split
	case len(m.GetParent()) > 0:
		e.role, item.parent = part, task.ID(m.GetParent())
	}
	return item, nil
}

func compareItems(t interface {
	Helper()
	Fatalf(string, ...any)
}, d *snapshotDecoder, data []byte,
) {
	t.Helper()
	got := snapshotItem{detail: &detail{err: "of another"}, parent: task.ID{1}}
	gotErr := d.decode(data, &got)
	want, wantErr := itemBy(data)
	if wantErr != nil {
		return
	}
	if gotErr != nil {
		t.Fatalf("%v, and the generated code takes it", gotErr)
	}
	if got.detail != nil && len(got.detail.result) == 0 && want.detail != nil && len(want.detail.result) == 0 {
		got.detail.result, want.detail.result = nil, nil
	}
	if !reflect.DeepEqual(&got, want) {
		t.Fatalf("decoded as\n%+v\n%+v, not\n%+v\n%+v", got, got.detail, want, want.detail)
	}
}

// drawSnapshotTask draws any entry, sensible or not.
func drawSnapshotTask(t *rapid.T) *journalv1.SnapshotTask {
	small, large := rapid.Uint32().Draw(t, "small"), rapid.Uint64().Draw(t, "large")
	m := &journalv1.SnapshotTask{
		TaskIdHigh: large, TaskIdLow: large + 1, DeliveryHigh: large + 2, DeliveryLow: rapid.Uint64().Draw(t, "delivery"),
		Segment: small, Offset: small + 1, Length: small + 2, Origin: rapid.Uint32().Draw(t, "origin"),
		Source: drawText(t, "source"), EventType: drawText(t, "event"), Status: rapid.Uint32Range(0, 9).Draw(t, "status"),
		Attempts: small + 3, Spent: small + 4, MaxAttempts: small + 5, Interruptions: small + 6, Revision: small + 7,
		CreatedAt: large + 3, UpdatedAt: large + 4, DueAt: large + 5, Error: drawText(t, "error"), Result: drawBytes(t, "result"),
		Since: rapid.Uint64Range(0, 2).Draw(t, "since"), Crashes: small + 8, Place: rapid.Uint32().Draw(t, "place"),
		Route: drawText(t, "route"), Key: drawText(t, "key"), Order: rapid.Int64().Draw(t, "order"),
		BurstAt: rapid.Int64().Draw(t, "burst"), Split: rapid.Bool().Draw(t, "split"), PausedLane: rapid.Bool().Draw(t, "paused"),
	}
	if rapid.Bool().Draw(t, "has a parent") {
		m.Parent = drawID(t, "parent")
	}
	for range rapid.IntRange(0, 3).Draw(t, "log") {
		m.AttemptLog = append(m.AttemptLog, &journalv1.SnapshotAttempt{
			Number: small, StartedAt: int64(large), EndedAt: int64(large) + 1, Outcome: small % 9, Error: drawText(t, "its error"),
		})
	}
	return m
}

// TestSnapshotDecoder: one entry after the other is decoded as the generated code does it.
func TestSnapshotDecoder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var d snapshotDecoder
		for range rapid.IntRange(1, 4).Draw(t, "entries") {
			data, err := proto.Marshal(drawSnapshotTask(t))
			if err != nil {
				t.Fatal(err)
			}
			compareItems(t, &d, data)
		}
	})
}

// FuzzSnapshotDecoder: what the generated code takes is decoded likewise, and what it does not take harms nobody.
func FuzzSnapshotDecoder(f *testing.F) {
	whole, err := proto.Marshal(&journalv1.SnapshotTask{
		TaskIdHigh: 1, TaskIdLow: 2, DeliveryHigh: 3, DeliveryLow: 4, Segment: 5, Offset: 6, Length: 7, Origin: 1,
		Source: "github", EventType: "push", Status: 2, Place: 1, Route: "r", Key: "k", Parent: make([]byte, 16),
		AttemptLog: []*journalv1.SnapshotAttempt{{Number: 1, Error: "e"}},
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add([]byte{0x08, 1, 0x29, 1, 2, 3, 4, 5, 6, 7, 8, 0x58, 1}) // numbers in each other's encodings
	f.Add([]byte{0x58, 1, 0x80, 0x08, 5})                         // a field that is not known
	f.Fuzz(func(t *testing.T, data []byte) { compareItems(t, new(snapshotDecoder), data) })
}

// drawTable draws tasks that a snapshot may hold.
func drawTable(t *rapid.T) *table {
	tasks := newTable()
	for i := range rapid.IntRange(0, 3*aheadItems).Draw(t, "tasks") {
		e := entry{Task: task.New(task.ID{14: byte(i >> 8), 15: byte(i)}, int64(i), 3), at: journal.Position{Segment: 1, Offset: uint32(i) + 64}}
		e.Status = task.Status(i%7 + 1)
		e.origin = tasks.origins.acquire(origin{"github", string(rune('a' + i%5))})
		e.place = tasks.places.acquire(place{"route", string(rune('a' + i%11))})
		s := tasks.add(&e)
		if i%13 == 0 {
			tasks.setDetail(s, &detail{err: "e", result: bytes.Repeat([]byte{'r'}, i), log: []attempt{{number: 1, err: "e"}}})
		}
	}
	return tasks
}

func readBack(snapshot []byte) (*table, error) {
	tasks := newTable()
	return tasks, readSnapshot(bytes.NewReader(snapshot), tasks, func(int) {})
}

// TestSnapshotIsReadBack: a table comes back as it was written; cut anywhere it does not, nor with a task that comes twice.
func TestSnapshotIsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tasks := drawTable(t)
		var snapshot bytes.Buffer
		if err := writeSnapshot(&snapshot, tasks.view()); err != nil {
			t.Fatal(err)
		}
		back, err := readBack(snapshot.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if back.size() != tasks.size() || back.counts != tasks.counts {
			t.Fatalf("%d tasks, %v, of %d, %v", back.size(), back.counts, tasks.size(), tasks.counts)
		}
		for i := range slot(tasks.size()) {
			want := tasks.record(i)
			s, known := back.find(want.ID)
			if !known {
				t.Fatalf("task %d is not there", i)
			}
			got := back.record(s)
			if got.Task != want.Task || got.origin != want.origin || got.place != want.place || got.at != want.at ||
				!reflect.DeepEqual(got.detail.unpack(), want.detail.unpack()) {
				t.Fatalf("task %d came back as %+v, not %+v", i, got, want)
			}
		}
		if tasks.size() == 0 {
			return
		}
		cut := rapid.IntRange(1, snapshot.Len()-1).Draw(t, "cut")
		if cutBack, err := readBack(snapshot.Bytes()[:cut]); err == nil && cutBack.size() >= tasks.size() {
			t.Fatalf("%d tasks of %d bytes of %d", cutBack.size(), cut, snapshot.Len())
		} else if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("cut at %d of %d: %v", cut, snapshot.Len(), err)
		}
		if _, err := readBack(append(snapshot.Bytes(), snapshot.Bytes()...)); !errors.Is(err, journal.ErrCorrupt) {
			t.Fatalf("a snapshot with every task twice: %v", err)
		}
	})
}

// A long entry is read like a short one, and one that is longer than any that was written is refused before room is made.
func TestLongSnapshotItem(t *testing.T) {
	m := &journalv1.SnapshotTask{Origin: 1, Place: 1, Status: 1, Result: bytes.Repeat([]byte("r"), 3<<20)}
	var snapshot bytes.Buffer
	for m.TaskIdLow = range uint64(3) {
		if _, err := protodelim.MarshalTo(&snapshot, m); err != nil {
			t.Fatal(err)
		}
	}
	back, err := readBack(snapshot.Bytes())
	if err != nil || back.size() != 3 || len(back.record(2).detail.unpack().result) != 3<<20 {
		t.Fatalf("%d tasks, %v", back.size(), err)
	}
	huge := bufio.NewReader(bytes.NewReader([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}))
	if err := decodeSnapshot(huge, &ahead[snapshotItem]{}); !errors.Is(err, journal.ErrCorrupt) {
		t.Fatalf("an entry of terabytes: %v", err)
	}
}
