// Package taskfile is PERSISTENCE_FILE: the state of all tasks as one JSON object, keyed by webhook_id, with the fields
// and the float times of the system whose place Hooktroupe takes. Operators read it, and that system's own files are read
// back from it. It is not what Hooktroupe recovers from: that is the journal, to which the file refers for payloads.
package taskfile

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"math"
	"os"
	"path/filepath"
	"strings"

	"github.com/hooktroupe/hooktroupe/messages"
)

// Task is one task as the file and the status API of the seed show it.
type Task struct {
	WebhookID   string          `json:"webhook_id"`
	Source      string          `json:"source"`
	EventType   string          `json:"event_type"`
	Payload     json.RawMessage `json:"payload"`
	Status      string          `json:"status"`
	CreatedAt   Seconds         `json:"created_at"`
	UpdatedAt   Seconds         `json:"updated_at"`
	Attempts    uint32          `json:"attempts"`
	MaxAttempts uint32          `json:"max_attempts"`
	Error       *string         `json:"error"`
	Result      json.RawMessage `json:"result"`
}

// Seconds is a time in nanoseconds since 1970, written as a JSON number of seconds with microseconds.
type Seconds int64

// MarshalJSON writes the number that a float of the seed's would be.
func (s Seconds) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, "%d.%06d", int64(s)/1e9, int64(s)%1e9/1e3), nil
}

// UnmarshalJSON reads a number of seconds, whole or not; null is zero.
func (s *Seconds) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		return nil
	}
	var seconds float64
	if err := json.Unmarshal(data, &seconds); err != nil {
		return err
	}
	if seconds < 0 || seconds > math.MaxInt64/1e9 {
		return fmt.Errorf("%v is not a time in seconds since 1970", seconds)
	}
	whole, part := math.Modf(seconds)
	*s = Seconds(int64(whole)*1e9 + int64(math.Round(part*1e6))*1e3)
	return nil
}

// Write replaces the file at path by one that holds the tasks: a temporary file in the same folder, synced, renamed, and
// the folder synced. After an error the file is as it was. The file is readable by its owner only.
func Write(path string, tasks iter.Seq[*messages.Task]) (err error) {
	folder := filepath.Dir(path)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	file, err := os.CreateTemp(folder, "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = file.Close()
			_ = os.Remove(file.Name())
		}
	}()
	if err := encode(file, tasks); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	if err := os.Rename(file.Name(), path); err != nil {
		return err
	}
	return syncFolder(folder)
}

func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	err = folder.Sync()
	if closeErr := folder.Close(); err == nil {
		err = closeErr
	}
	return err
}

func encode(w io.Writer, tasks iter.Seq[*messages.Task]) error {
	out := bufio.NewWriterSize(w, 1<<18)
	separator := "{\n"
	for m := range tasks {
		line, err := json.Marshal(fromMessage(m))
		if err != nil {
			return err
		}
		// A bufio.Writer remembers its first error; Flush returns it.
		_, _ = out.WriteString(separator)
		_, _ = fmt.Fprintf(out, "%q: ", m.GetWebhookId())
		_, _ = out.Write(line)
		separator = ",\n"
	}
	if separator == "{\n" {
		_, _ = out.WriteString("{")
	}
	_, _ = out.WriteString("\n}\n")
	return out.Flush()
}

func fromMessage(m *messages.Task) Task {
	t := Task{
		WebhookID: m.GetWebhookId(), Source: m.GetSource(), EventType: m.GetEventType(),
		Payload:  json.RawMessage("null"),
		Status:   strings.ToLower(strings.TrimPrefix(m.GetStatus().String(), "STATUS_")),
		Attempts: m.GetAttempts(), MaxAttempts: m.GetMaxAttempts(),
		CreatedAt: Seconds(m.GetCreatedAt()), UpdatedAt: Seconds(m.GetUpdatedAt()),
		Result: Result(m.GetResult()),
	}
	if m.GetError() != "" {
		t.Error = &m.Error
	}
	return t
}

// Result is a handler's result as JSON: as it is where it is JSON, as a string where it is not, null where it is empty.
func Result(result []byte) json.RawMessage {
	if len(result) == 0 {
		return json.RawMessage("null")
	}
	if json.Valid(result) {
		return result
	}
	text, err := json.Marshal(strings.ToValidUTF8(string(result), "\uFFFD"))
	if err != nil {
		return json.RawMessage("null")
	}
	return text
}

// Read reads a file that Write, or the seed's own system, wrote: an object keyed by webhook_id, an array of tasks, or
// either of them as the member "tasks" of an object. It reads files of up to MaxBytes.
func Read(path string) ([]Task, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(file, MaxBytes+1))
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return nil, err
	}
	if len(data) > MaxBytes {
		return nil, fmt.Errorf("%s is larger than %d bytes", path, MaxBytes)
	}
	tasks, err := Decode(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return tasks, nil
}

// MaxBytes bounds a file that is read.
const MaxBytes = 1 << 30

// Decode is Read for bytes. A task that cannot be right is an error that names it, and nothing is returned.
func Decode(data []byte) ([]Task, error) {
	var list []json.RawMessage
	if json.Unmarshal(data, &list) == nil {
		return decodeTasks(list, nil)
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(data, &object); err != nil {
		return nil, fmt.Errorf("neither an object nor an array of tasks: %w", err)
	}
	if inner, wrapped := object["tasks"]; wrapped {
		return Decode(inner)
	}
	var ids []string
	for id := range object {
		ids = append(ids, id)
		list = append(list, object[id])
	}
	return decodeTasks(list, ids)
}

func decodeTasks(list []json.RawMessage, ids []string) ([]Task, error) {
	tasks := make([]Task, len(list))
	for i, raw := range list {
		t := &tasks[i]
		if err := json.Unmarshal(raw, t); err != nil {
			return nil, fmt.Errorf("task %d: %w", i+1, err)
		}
		if t.WebhookID == "" && ids != nil {
			t.WebhookID = ids[i]
		}
		if t.WebhookID == "" || t.Source == "" || t.EventType == "" {
			return nil, fmt.Errorf("task %d (%.40q): webhook_id, source and event_type are required", i+1, t.WebhookID)
		}
	}
	return tasks, nil
}
