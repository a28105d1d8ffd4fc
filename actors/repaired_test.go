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
// says whether something was bridged, and everything ends; without the option a gap is an error.
func TestAnyRecordMayBeCutOut(t *testing.T) {
	records := eventfulRecords(t)
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
	if err != nil || len(records) < 15 {
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
