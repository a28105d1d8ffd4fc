package actors_test

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/hooktroupe/hooktroupe/actors"
	"github.com/hooktroupe/hooktroupe/handler"
	"github.com/hooktroupe/hooktroupe/journal"
	"github.com/hooktroupe/hooktroupe/journal/memory"
	"github.com/hooktroupe/hooktroupe/messages"
	"github.com/hooktroupe/hooktroupe/messages/journalv1"
	"github.com/hooktroupe/hooktroupe/task"
)

// A repair may cut any record out. Without each of them in turn, recovery finds every delivery whose own record is left,
// says whether something was bridged, and everything ends; without the option a gap is an error. So it is with records that
// changes share, and with one for each change, as older versions wrote them.
func TestAnyRecordMayBeCutOut(t *testing.T) {
	shared := eventfulRecords(t)
	t.Run("shared", func(t *testing.T) { testAnyRecordMayBeCutOut(t, shared) })
	each := apart(t, shared)
	if len(each) < 15 || len(each) <= len(shared) {
		t.Fatalf("%d changes in %d records", len(each), len(shared))
	}
	t.Run("apart", func(t *testing.T) { testAnyRecordMayBeCutOut(t, each) })
}

// apart gives every change a record of its own.
func apart(t *testing.T, records []journal.Entry) (each []journal.Entry) {
	t.Helper()
	add := func(kind journalv1.RecordType, m proto.Message) {
		data, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		each = append(each, journal.Entry{Type: uint8(kind), Data: data})
	}
	made := func(data []byte) {
		m := &journalv1.AttemptMade{}
		if err := proto.Unmarshal(data, m); err != nil {
			t.Fatal(err)
		}
		add(journalv1.RecordType_RECORD_TYPE_ATTEMPT_STARTED, &journalv1.AttemptStarted{
			TaskId: m.GetTaskId(), Attempt: m.GetAttempt(), At: m.GetStartedAt(), Revision: m.GetRevision() - 1,
		})
		add(journalv1.RecordType_RECORD_TYPE_ATTEMPT_ENDED, &journalv1.AttemptEnded{
			TaskId: m.GetTaskId(), Attempt: m.GetAttempt(), At: m.GetStartedAt() + m.GetTook(), Outcome: m.GetOutcome(),
			Next: m.GetNext(), DueAt: m.GetDueAt(), Error: m.GetError(), Result: m.GetResult(), Revision: m.GetRevision(),
		})
	}
	for _, r := range records {
		var m journalv1.Changes
		switch journalv1.RecordType(r.Type) {
		case journalv1.RecordType_RECORD_TYPE_ATTEMPT_MADE:
			made(r.Data)
			continue
		case journalv1.RecordType_RECORD_TYPE_CHANGES:
			if err := proto.Unmarshal(r.Data, &m); err != nil {
				t.Fatal(err)
			}
		default:
			each = append(each, r)
		}
		for _, c := range m.GetChanges() {
			if c.GetType() != journalv1.RecordType_RECORD_TYPE_ATTEMPT_MADE {
				each = append(each, journal.Entry{Type: uint8(c.GetType()), Data: c.GetData()})
				continue
			}
			made(c.GetData())
		}
	}
	return each
}

func testAnyRecordMayBeCutOut(t *testing.T, records []journal.Entry) {
	t.Helper()
	bridged := 0
	for cut := range records {
		left, ids := without(t, records, cut)
		_, strict := actors.Recover(left, &memory.Snapshots{}, nil)
		state, err := actors.Recover(left, &memory.Snapshots{}, nil, actors.AfterRepair())
		if err != nil {
			t.Fatalf("without record %d of type %d: %v", cut, records[cut].Type, err)
		}
		if (strict != nil) != (state.Bridged() > 0) || strict != nil && !errors.Is(strict, task.ErrWrongRevision) {
			t.Errorf("without record %d of type %d: bridged %d, strictly %v", cut, records[cut].Type, state.Bridged(), strict)
		}
		bridged += state.Bridged()
		s := newStage(t, succeed)
		s.journal = &flakyJournal{Journal: left}
		s.raiseFrom(state)
		s.finish(ids)
		if err := s.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	if bridged == 0 {
		t.Error("no record was missed")
	}
}

// finish waits until every task is final.
func (s *stage) finish(ids []string) {
	s.t.Helper()
	for _, id := range ids {
		s.eventually("task "+id+" is final", func() bool {
			got := s.get(id)
			if got.GetStatus() == messages.Status_STATUS_RETRYING {
				s.advanceTo(got.GetDueAt())
			}
			return task.Status(got.GetStatus()).Final()
		})
	}
}

// eventfulRecords are those of a journal in which tasks were retried, requeued and cancelled.
func eventfulRecords(t *testing.T) []journal.Entry {
	t.Helper()
	calls := 0
	s := newStage(t, func(context.Context, *handler.Task) ([]byte, error) {
		if calls++; calls%3 != 0 {
			return nil, errHandler
		}
		return nil, nil
	})
	s.config.Workers, s.config.MaxAttempts = 1, 2
	s.raise()
	for _, id := range []string{"a", "b", "c"} {
		first := s.accept(s.delivery(id)).GetWebhookId()
		s.finish([]string{first})
		if _, _, err := s.Retry(context.Background(), first); err != nil {
			t.Fatal(err)
		}
		s.eventually("it waits for its second attempt, or is final", func() bool {
			status := task.Status(s.get(first).GetStatus())
			return status == task.Retrying || status.Final()
		})
		if _, _, err := s.Cancel(context.Background(), first, "not needed"); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	var records []journal.Entry
	err := s.journal.Replay(journal.Position{}, func(r journal.Record) error {
		records = append(records, journal.Entry{Type: r.Type, Data: bytes.Clone(r.Data)})
		return nil
	})
	if err != nil || len(records) < 7 {
		t.Fatalf("%d records, %v", len(records), err)
	}
	return records
}

// without returns a journal that lacks one record, and the IDs of the deliveries that it has.
func without(t *testing.T, records []journal.Entry, cut int) (journal.Journal, []string) {
	t.Helper()
	left, err := memory.New(memory.Config{})
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for i, r := range records {
		if i == cut {
			continue
		}
		if _, err := left.Append(nil, []journal.Entry{r}, journal.Options{Sync: true}); err != nil {
			t.Fatal(err)
		}
		if journalv1.RecordType(r.Type) == journalv1.RecordType_RECORD_TYPE_TASK_ACCEPTED {
			var accepted journalv1.TaskAccepted
			if err := proto.Unmarshal(r.Data, &accepted); err != nil {
				t.Fatal(err)
			}
			ids = append(ids, task.ID(accepted.GetTaskId()).String())
		}
	}
	return left, ids
}
