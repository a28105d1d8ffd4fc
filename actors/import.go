package actors

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"github.com/hooktroupe/hooktroupe/journal"
	"github.com/hooktroupe/hooktroupe/messages/journalv1"
	"github.com/hooktroupe/hooktroupe/task"
)

// Imported is a task of another system, as its own snapshot told it. Times are in nanoseconds since 1970.
type Imported struct {
	// ID is kept when it is a UUID; else the task gets a UUID derived from it, and ID becomes its delivery ID.
	ID                   string
	Source, EventType    string
	Status               task.Status
	CreatedAt, UpdatedAt int64
	Attempts             uint32
	MaxAttempts          uint16
	Error                string
	Result               []byte
	// Body is the payload; nil when the snapshot did not hold it, which ends an unfinished task as failed.
	Body []byte
}

// errNoBody is why an unfinished task without payload cannot run.
var errNoBody = errors.New("imported without its payload: it cannot be worked")

// Import appends tasks of another system to an empty journal, all or none. Recover finds them: what was unfinished is
// queued again. The journal must hold no record.
func Import(j journal.Journal, tasks []Imported) error {
	slices.SortStableFunc(tasks, func(a, b Imported) int { return cmp.Compare(a.CreatedAt, b.CreatedAt) })
	entries := make([]journal.Entry, len(tasks))
	for i, t := range tasks {
		if !t.Status.Valid() {
			return fmt.Errorf("import of task %.40q: status %d", t.ID, t.Status)
		}
		data, err := proto.Marshal(t.record())
		if err != nil {
			return err
		}
		entries[i] = journal.Entry{Type: uint8(journalv1.RecordType_RECORD_TYPE_TASK_IMPORTED), Data: data}
	}
	_, err := j.Append(nil, entries, journal.Options{Sync: true})
	return err
}

func (t Imported) record() *journalv1.TaskImported {
	id, deliveryID := t.identity()
	status, text := t.Status, t.Error
	if !status.Final() {
		status = task.Queued
		if t.Body == nil {
			status, text = task.Failed, errNoBody.Error()
		}
	}
	record := &journalv1.TaskImported{
		Accepted: &journalv1.TaskAccepted{
			TaskId: id[:], Source: t.Source, EventType: t.EventType, DeliveryId: deliveryID, At: t.CreatedAt,
			MaxAttempts: uint32(max(t.MaxAttempts, 1)), Body: t.Body,
		},
		Status: uint32(status), Attempts: t.Attempts, UpdatedAt: max(t.UpdatedAt, t.CreatedAt), Error: text, Result: t.Result,
	}
	if body := bytes.TrimSpace(t.Body); len(body) > 0 && (body[0] == '{' || body[0] == '[') {
		record.Accepted.Headers = []*journalv1.Header{{Name: "Content-Type", Value: "application/json"}}
	}
	return record
}

func (t Imported) identity() (id task.ID, deliveryID string) {
	if id, err := task.ParseID(t.ID); err == nil {
		return id, ""
	}
	return task.ID(uuid.NewSHA1(uuid.NameSpaceURL, []byte("hooktroupe:imported:"+t.ID))), t.ID
}
