package actors

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/hooktroupe/hooktroupe/task"
)

// TestTakeInBulk holds a table that takes in tasks in bulk against a map: whatever is added, removed and looked up meanwhile,
// it is found, and an ID that came twice is noticed. It is white-box because what is in bulk depends on counts that no outside
// behaviour brings about in a test's time.
func TestTakeInBulk(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tasks, known := newTable(), map[task.ID]deliveryHash{}
		tasks.takeInBulk()
		next := 0
		add := func(id task.ID) {
			e := entry{Task: task.New(id, 1, 1), delivery: deliveryHash(id)}
			if id[15]%3 == 0 {
				e.delivery = deliveryHash{}
			}
			e.origin, e.place = tasks.origins.acquire(origin{}), tasks.places.acquire(place{})
			tasks.add(&e)
			known[id] = e.delivery
		}
		for range rapid.IntRange(1, 20).Draw(t, "steps") {
			for range rapid.SampledFrom([]int{1, 10, leastInBulk, 2*leastInBulk + 1}).Draw(t, "added") {
				next++
				id := task.ID{1: byte(next >> 16), 2: byte(next >> 8), 3: byte(next), 15: byte(next)}
				if !tasks.isNew(id) {
					t.Fatalf("task %d is not new", next)
				}
				add(id)
			}
			if rapid.Bool().Draw(t, "remove") {
				for id := range known {
					s, found := tasks.find(id)
					if !found {
						t.Fatalf("task %v is not there", id)
					}
					tasks.remove(s)
					delete(known, id)
					break
				}
			}
		}
		twice := rapid.Bool().Draw(t, "twice") && len(tasks.free) == 0 // what was removed was looked up
		if twice {
			for id := range known {
				add(id)
				break
			}
		}
		if tasks.settle() == twice {
			t.Fatalf("twice: %v, and it is not said so", twice)
		}
		for id, delivery := range known {
			s, found := tasks.find(id)
			if !found || tasks.get(s).ID != id {
				t.Fatalf("task %v is not found", id)
			}
			if of, is := tasks.findDelivery(delivery); !delivery.isZero() && (!is || tasks.get(of).ID != id) {
				t.Fatalf("the delivery of task %v is not found", id)
			}
		}
		if _, found := tasks.find(task.ID{0: 1}); found {
			t.Fatal("a task that never was is found")
		}
	})
}
