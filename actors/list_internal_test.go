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
		e.origin = t.origins.acquire(origin{"github", fmt.Sprintf("event-%d", i%20)})
		e.place = t.places.acquire(place{"reviews", fmt.Sprintf("key-%d", i%1000)})
		t.add(&e)
	}
	return t
}

func TestNewestFindsTheSameAsLookingAtAll(t *testing.T) {
	seen := manyTasks(5000).view()
	for _, q := range []Query{
		{Limit: 10}, {Limit: 10, Statuses: []task.Status{task.Failed}}, {Limit: 3, Key: "key-7"},
		{Limit: 1000, EventType: "event-3"}, {Limit: 5, From: 100, Until: 200}, {Limit: 5, Key: "none"},
		{Limit: 5, Routes: []string{"other", "reviews"}}, {Limit: 5, Routes: []string{"other"}},
		{Limit: 5, Words: "EVENT-19"}, {Limit: 5, Words: "key-77"}, {Limit: 7, Words: "000013"}, {Limit: 5, Words: "nowhere"},
	} {
		var want []task.ID
		seen.each(func(r record) bool {
			if q.matches(r) {
				want = append([]task.ID{r.ID}, want...) // IDs grow with the slots
			}
			return true
		})
		got := newest(t.Context(), seen, &q).newestFirst()
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

// TestAPageCostsTheSameHoweverManyTasksThereAre counts the entries that are looked at.
func TestAPageCostsTheSameHoweverManyTasksThereAre(t *testing.T) {
	few, many := manyTasks(50_000).view(), manyTasks(200_000).view()
	for name, q := range map[string]Query{
		"newest":       {Limit: 100},
		"dead letters": {Limit: 100, Statuses: []task.Status{task.Failed}},
		"words":        {Limit: 100, Words: "event-7"},
	} {
		inFew, inMany := newest(t.Context(), few, &q).looked, newest(t.Context(), many, &q).looked
		if inFew != inMany || inFew > 30_000 {
			t.Errorf("%s: looked at %d of 50000 and at %d of 200000", name, inFew, inMany)
		}
	}
}

func TestLongestLanes(t *testing.T) {
	tasks := newTable()
	add := func(key string, status task.Status, role role, n int) {
		for range n {
			e := entry{Task: task.Task{Status: status, CreatedAt: 1}, role: role}
			binary.BigEndian.PutUint64(e.ID[:], uint64(tasks.size()+1))
			e.origin, e.place = tasks.origins.acquire(origin{"github", "push"}), tasks.places.acquire(place{"reviews", key})
			tasks.add(&e)
		}
	}
	for i := range 50 {
		add(fmt.Sprint("k", i), task.Queued, part, i%7+1)
	}
	add("long", task.Queued, whole, 9)
	add("long", task.Retrying, whole, 1)
	add("runs", task.Processing, whole, 20)
	add("done", task.Completed, whole, 30)
	add("parent", task.Queued, split, 40)
	tasks.pause(place{"reviews", "still"}, true)
	seen := tasks.view()
	places, total := seen.longest(3, "")
	if total != 50+3 || len(places) != 3 || places[0].key != "long" || places[1].key != "k6" || places[2].key != "k13" {
		t.Errorf("%d lanes, the longest %v", total, places)
	}
	if places, total := seen.longest(100, "reviews"); total != 53 || len(places) != 53 {
		t.Errorf("of a route: %d, %d shown", total, len(places))
	}
	if places, total := seen.longest(3, "other"); total != 0 || len(places) != 0 {
		t.Errorf("of another route: %d, %v", total, places)
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
