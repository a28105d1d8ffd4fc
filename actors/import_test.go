package actors_test

import (
	"testing"

	"github.com/hooktroupe/hooktroupe/actors"
	"github.com/hooktroupe/hooktroupe/task"
)

func TestImportedTasksGoOnWhereTheyStood(t *testing.T) {
	s := newStage(t, succeed)
	const uuid = "5f0c9d1e-3b7a-4a54-9d3c-0a3d5c1b2e4f"
	created := epoch.UnixNano()
	err := actors.Import(s.journal, []actors.Imported{
		{ID: uuid, Source: "test", EventType: "e", Status: task.Processing, CreatedAt: created, Attempts: 3, MaxAttempts: 3, Body: []byte(`{}`)},
		{ID: "not a UUID", Source: "test", EventType: "e", Status: task.Retrying, CreatedAt: created + 1, Body: []byte(`[]`)},
		{ID: "finished", Source: "test", EventType: "e", Status: task.Completed, CreatedAt: created + 2, Result: []byte(`"ok"`)},
		{ID: "no body", Source: "test", EventType: "e", Status: task.Queued, CreatedAt: created + 3},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.raise()
	if end := s.await(uuid, completed); end.GetAttempts() != 4 {
		t.Errorf("the interrupted task made %d attempts, want its 3 and one more", end.GetAttempts())
	}
	s.eventually("two have completed beside the finished one", func() bool {
		byStatus := map[string]int{}
		for _, one := range s.list() {
			byStatus[task.Status(one.GetStatus()).String()]++
		}
		return byStatus["completed"] == 3 && byStatus["failed"] == 1
	})
	before := s.list()
	if err := actors.Import(s.journal, []actors.Imported{{ID: uuid}}); err == nil {
		t.Error("a task without status was imported")
	}
	s.crash()
	s.raise()
	s.same(before)
}
