package actors

import (
	"context"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/hooktroupe/hooktroupe/task"
)

// manyTasks is a table as a busy daemon has it: one task in a hundred is a dead letter, and a thousand keys are in use.
func manyTasks(n int) *table {
	t := newTable()
	for i := range n {
		e := entry{Task: task.Task{Status: task.Completed, CreatedAt: int64(i + 1), Attempts: 1, MaxAttempts: 3}}
		if i%100 == 0 {
			e.Status = task.Failed
		}
		binary.BigEndian.PutUint64(e.ID[:], uint64(i+1))
		e.origin = t.originOf("github", fmt.Sprintf("event-%d", i%20))
		e.place = t.placeOf("reviews", fmt.Sprintf("key-%d", i%1000))
		t.add(e)
	}
	return t
}

func TestNewestFindsTheSameAsLookingAtAll(t *testing.T) {
	seen := manyTasks(5000).view()
	for _, q := range []Query{
		{Limit: 10}, {Limit: 10, Statuses: []task.Status{task.Failed}}, {Limit: 3, Key: "key-7"},
		{Limit: 1000, EventType: "event-3"}, {Limit: 5, From: 100, Until: 200}, {Limit: 5, Key: "none"},
	} {
		var want []task.ID
		seen.each(func(r record) bool {
			if q.matches(r) {
				want = append([]task.ID{r.ID}, want...) // IDs grow with the slots
			}
			return true
		})
		got := newest(t.Context(), seen, &q)
		if len(got) != min(len(want), q.Limit+1) {
			t.Errorf("%+v: %d tasks, want %d of them", q, len(got), len(want))
		}
		for i, r := range got {
			if r.ID != want[i] {
				t.Errorf("%+v: place %d holds %v, want %v", q, i, r.ID, want[i])
			}
		}
	}
}

// BenchmarkList is what one page costs at a million tasks, on the goroutine of who asks.
func BenchmarkList(b *testing.B) {
	seen := manyTasks(1_000_000).view()
	for name, q := range map[string]Query{
		"newest":       {Limit: 100},
		"dead_letters": {Limit: 100, Statuses: []task.Status{task.Failed}},
		"key":          {Limit: 100, Key: "key-7"},
		"nothing":      {Limit: 100, Text: "no such error"},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				newest(context.Background(), seen, &q)
			}
		})
	}
}

// BenchmarkView is what one page costs the registry at a million tasks.
func BenchmarkView(b *testing.B) {
	t := manyTasks(1_000_000)
	for b.Loop() {
		t.view()
	}
}
