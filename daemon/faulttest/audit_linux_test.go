package faulttest_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"net/http"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/hooktroupe/hooktroupe/journal"
	"github.com/hooktroupe/hooktroupe/journal/postgres"
	"github.com/hooktroupe/hooktroupe/messages/journalv1"
	"github.com/hooktroupe/hooktroupe/task"
)

// audit checks what the whole run promised, once nothing more is sent: every delivery that was accepted is completed, in
// the API and at the sink; the order of each key was kept; and in the logs of the shards, each change of a task follows the
// one before it, so that nobody wrote who had lost the shard.
func (c *troupe) audit(t *testing.T, l *load) {
	t.Helper()
	if len(l.accepted) < keys {
		t.Fatalf("only %d deliveries were accepted", len(l.accepted))
	}
	last := 0
	eventually(t, func() string { return fmt.Sprintf("%d tasks are completed, not %d", last, len(l.accepted)) }, func() bool {
		completed := c.completed()
		last = 0
		for id := range l.accepted {
			if completed[id] {
				last++
			}
		}
		return last == len(l.accepted)
	})
	c.auditSink(t, l)
	c.auditLogs(t, l)
}

// completed are the IDs of the tasks that the API lists so; nil while it cannot say.
func (c *troupe) completed() map[string]bool {
	found := make(map[string]bool)
	for next := ""; ; {
		answer := c.members[0].ask(http.MethodGet, "/api/v1/webhook_statuses?status=completed&limit=1000&after="+next, nil, nil)
		if answer.Code != http.StatusOK {
			return nil
		}
		page := answer.JSON()
		tasks, _ := page["webhooks"].([]any)
		for _, one := range tasks {
			fields, _ := one.(map[string]any)
			id, _ := fields["webhook_id"].(string)
			found[id] = true
		}
		if next, _ = page["next"].(string); next == "" {
			return found
		}
	}
}

// auditSink checks that, of each key, nothing arrived for the first time before all that was accepted earlier had been worked.
func (c *troupe) auditSink(t *testing.T, l *load) {
	t.Helper()
	arrivals := c.sink.seen()
	worked, times := make(map[string]int), make(map[string]int)
	for _, a := range arrivals {
		times[a.task]++
		switch {
		case a.Seq > worked[a.Key]+1:
			t.Errorf("%s %d arrived (attempt %d) before %d had", a.Key, a.Seq, a.attempt, worked[a.Key]+1)
		case a.Seq == worked[a.Key]+1:
			worked[a.Key]++
		}
	}
	firsts := make(map[string]arrival) // the first of the newest of each key
	for _, a := range arrivals {
		if before, known := firsts[a.Key]; !known || a.Seq > before.Seq {
			if known && (before.ended.IsZero() || a.began.Before(before.ended)) {
				t.Errorf("%s %d arrived (attempt %d) while %d was being worked", a.Key, a.Seq, a.attempt, before.Seq)
			}
			firsts[a.Key] = a
		}
	}
	again := 0
	for id, p := range l.accepted {
		switch n := times[id]; {
		case n == 0:
			t.Errorf("%s %d was accepted as %s, and never arrived", p.Key, p.Seq, id)
		case n > 1:
			again++
		}
	}
	t.Logf("%d deliveries were accepted, and are completed; %d of them reached the sink more than once", len(l.accepted), again)
}

// story is what the log of a shard says of one task.
type story struct {
	delivery  string
	key       string
	revision  uint32
	completed bool
}

// auditLogs reads the logs of all shards from the beginning.
func (c *troupe) auditLogs(t *testing.T, l *load) {
	t.Helper()
	store, err := postgres.Open(t.Context(), postgres.Config{URL: c.url, Shards: shards})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	deliveries := make(map[string]string) // by the sender's ID, the task's
	tasks := 0
	for shard := range shards {
		stories := make(map[string]*story)
		open := make(map[string][]*story) // by key, in the order of acceptance: those that are not completed
		cursor, records := postgres.Cursor{Shard: shard}, 0
		for more := true; more; {
			news, err := store.Tail(t.Context(), []postgres.Cursor{cursor}, nil, 1000, 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			more = false
			for _, n := range news {
				for _, r := range n.Records {
					readRecord(t, r, stories, open, deliveries)
				}
				records += len(n.Records)
				cursor.After, more = n.Through, n.More
			}
		}
		for id, s := range stories {
			if !s.completed {
				t.Errorf("by the log of shard %d, task %s (%s) is not completed", shard, id, s.delivery)
			}
		}
		tasks += len(stories)
	}
	for id, p := range l.accepted {
		if first := deliveries[fmt.Sprintf("%s/%d", p.Key, p.Seq)]; first != id {
			t.Errorf("%s %d was accepted as %s, and is %q in the logs", p.Key, p.Seq, id, first)
		}
	}
	if tasks != len(l.accepted) {
		t.Errorf("the logs hold %d tasks, and %d were accepted", tasks, len(l.accepted))
	}
}

// readRecord takes in one record. What a task's owner writes is its next revision, whoever that owner is.
func readRecord(t *testing.T, r journal.Record, stories map[string]*story, open map[string][]*story, deliveries map[string]string) {
	t.Helper()
	switch journalv1.RecordType(r.Type) {
	case journalv1.RecordType_RECORD_TYPE_TASK_ACCEPTED:
		m := decode(t, r, &journalv1.TaskAccepted{})
		id := task.ID(m.GetTaskId()).String()
		if first := deliveries[m.GetDeliveryId()]; first != "" {
			t.Errorf("delivery %s is task %s, and %s", m.GetDeliveryId(), first, id)
		}
		deliveries[m.GetDeliveryId()] = id
		s := &story{delivery: m.GetDeliveryId(), key: m.GetKey()}
		stories[id] = s
		open[s.key] = append(open[s.key], s)
	case journalv1.RecordType_RECORD_TYPE_ATTEMPT_STARTED:
		m := decode(t, r, &journalv1.AttemptStarted{})
		if s := follows(t, stories, m.GetTaskId(), m.GetRevision(), m); s != nil && open[s.key][0] != s {
			t.Errorf("attempt %d of %s started before %s was completed", m.GetAttempt(), s.delivery, open[s.key][0].delivery)
		}
	case journalv1.RecordType_RECORD_TYPE_ATTEMPT_ENDED:
		m := decode(t, r, &journalv1.AttemptEnded{})
		s := follows(t, stories, m.GetTaskId(), m.GetRevision(), m)
		if s != nil && task.Status(m.GetNext()) == task.Completed {
			s.completed = true
			open[s.key] = open[s.key][1:]
		}
	case journalv1.RecordType_RECORD_TYPE_CHANGES:
		for _, c := range decode(t, r, &journalv1.Changes{}).GetChanges() {
			one := journal.Record{Position: r.Position, Type: uint8(c.GetType()), Data: c.GetData()}
			readRecord(t, one, stories, open, deliveries)
		}
	case journalv1.RecordType_RECORD_TYPE_TASK_REDELIVERED: // anybody may note that
	default:
		t.Errorf("nobody asked for a record of type %v", journalv1.RecordType(r.Type))
	}
}

func decode[M proto.Message](t *testing.T, r journal.Record, m M) M {
	t.Helper()
	if err := proto.Unmarshal(r.Data, m); err != nil {
		t.Fatalf("record at %v: %v", r.Position, err)
	}
	return m
}

// follows returns the story that a change belongs to, and checks that it is the next of it; nil where it is not.
func follows(t *testing.T, stories map[string]*story, id []byte, revision uint32, m proto.Message) *story {
	t.Helper()
	if len(bytes.TrimLeft(id, "\x00")) == 0 || len(id) != len(task.ID{}) {
		t.Fatalf("a change without a task: %s", hex.EncodeToString(id))
	}
	s := stories[task.ID(id).String()]
	if s == nil {
		t.Errorf("a change of an unknown task: %v", m)
		return nil
	}
	if s.completed || revision != s.revision+1 {
		t.Errorf("revision %d of %s was written after %d (completed: %v): %v", revision, s.delivery, s.revision, s.completed, m)
		return nil
	}
	s.revision = revision
	return s
}
