package taskfile_test

import (
	"encoding/json"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hooktroupe/hooktroupe/messages"
	"github.com/hooktroupe/hooktroupe/taskfile"
)

const one = `{"webhook_id": "a-1", "source": "github", "event_type": "push", "payload": {"n": 12345678901234567890},
  "status": "processing", "created_at": 1732000000.123456, "updated_at": 1732000001, "attempts": 2, "max_attempts": 3,
  "error": null, "result": null, "something": "else"}`

func TestEveryShapeIsRead(t *testing.T) {
	for name, text := range map[string]string{
		"by ID":              `{"a-1": ` + one + `}`,
		"array":              `[` + one + `]`,
		"wrapped":            `{"tasks": [` + one + `]}`,
		"both":               `{"tasks": {"a-1": ` + one + `}, "version": 1}`,
		"ID only in the key": `{"a-1": ` + strings.Replace(one, `"webhook_id": "a-1",`, "", 1) + `}`,
	} {
		tasks, err := taskfile.Decode([]byte(text))
		if err != nil || len(tasks) != 1 {
			t.Errorf("%s: %v, %v", name, tasks, err)
			continue
		}
		got := tasks[0]
		if got.WebhookID != "a-1" || got.Status != "processing" || got.Attempts != 2 || got.CreatedAt != 1732000000123456000 ||
			string(got.Payload) != `{"n": 12345678901234567890}` {
			t.Errorf("%s: %+v", name, got)
		}
	}
	for _, bad := range []string{"", "7", `{"a": 7}`, `[{"source": "x"}]`, `[` + strings.Replace(one, "1732000001", `"soon"`, 1) + `]`,
		`[` + strings.Replace(one, "1732000001", "-5", 1) + `]`} {
		if tasks, err := taskfile.Decode([]byte(bad)); err == nil {
			t.Errorf("%s was read as %v", bad, tasks)
		}
	}
}

func some(n int) iter.Seq[*messages.Task] {
	var tasks []*messages.Task
	for i := range n {
		tasks = append(tasks, &messages.Task{
			WebhookId: fmt.Sprint("id-", i), Source: "s", EventType: "e\"<>", Status: messages.Status_STATUS_RETRYING,
			CreatedAt: 1732000000_123456789, UpdatedAt: 1732000001_000000000, Attempts: 1, MaxAttempts: 3, Error: "why",
			Result: []byte{0xff, 'x'},
		})
	}
	return slices.Values(tasks)
}

func TestWhatIsWrittenIsReadBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "below", "tasks.json")
	for _, n := range []int{0, 1, 3} {
		if err := taskfile.Write(path, some(n)); err != nil {
			t.Fatal(err)
		}
		tasks, err := taskfile.Read(path)
		if err != nil || len(tasks) != n {
			t.Fatalf("%d tasks: read %v, %v", n, tasks, err)
		}
		for _, got := range tasks {
			if got.Status != "retrying" || got.CreatedAt != 1732000000_123456000 || got.EventType != "e\"<>" ||
				*got.Error != "why" || string(got.Result) != `"\ufffdx"` && string(got.Result) != "\"\uFFFDx\"" {
				t.Errorf("%+v", got)
			}
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestFailedWriteKeepsTheOldFile(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "tasks.json")
	if err := os.Mkdir(path, 0o700); err != nil { // what cannot be replaced by a file
		t.Fatal(err)
	}
	if err := taskfile.Write(path, some(1)); err == nil {
		t.Error("a folder was replaced")
	}
	if entries, _ := os.ReadDir(folder); len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`[` + one + `]`))
	f.Add([]byte(`{"tasks": {"tasks": []}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		tasks, err := taskfile.Decode(data)
		if err != nil {
			return
		}
		for _, one := range tasks {
			if _, err := json.Marshal(one); err != nil {
				t.Errorf("%+v was read and cannot be written: %v", one, err)
			}
		}
	})
}
