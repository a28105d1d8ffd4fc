package actors

import (
	"github.com/hooktroupe/hooktroupe/journal"
	"github.com/hooktroupe/hooktroupe/task"
)

// A delivery that several routes or handlers want becomes a split task and one part for each: a part is a task like any
// other, with its own lane, attempts and outcome. The split task has no events; it stands where its parts stand.

// link makes tasks the parts of another.
func (t *table) link(parent slot, parts []slot) {
	t.parts[parent] = parts
	for _, s := range parts {
		t.edit(s).parent = parent
	}
	t.follow(parent)
}

// addAccepted takes in the task of a delivery, with its parts where it was split, and returns its slot. at is zero until
// the record is on stable storage.
func (t *table) addAccepted(a *acceptance, at journal.Position) slot {
	e := entry{
		Task: task.New(a.id, a.at, a.maxAttempts), at: at, delivery: a.delivery,
		origin: t.origins.acquire(a.origin), place: t.places.acquire(a.place),
	}
	if len(a.parts) == 0 {
		return t.add(&e)
	}
	e.role = split
	parent := t.add(&e)
	var parts []slot
	for _, p := range a.parts {
		parts = append(parts, t.add(&entry{
			Task: task.New(p.id, a.at, p.maxAttempts), at: at, role: part,
			origin: t.origins.acquire(a.origin), place: t.places.acquire(p.place),
		}))
	}
	t.link(parent, parts)
	return parent
}

// removeDelivery forgets a task with its parts.
func (t *table) removeDelivery(s slot) {
	for _, p := range t.parts[s] {
		t.remove(p)
	}
	t.remove(s)
}

// follow brings a split task up to date with its parts.
func (t *table) follow(parent slot) {
	before := t.get(parent).Status
	e := t.edit(parent)
	seen := [task.Superseded + 1]int{}
	e.Attempts, e.MaxAttempts, e.DueAt, e.UpdatedAt = 0, 0, 0, e.CreatedAt
	var failed *detail
	for _, s := range t.parts[parent] {
		p := t.get(s)
		seen[p.Status]++
		e.Attempts += p.Attempts
		e.MaxAttempts = max(e.MaxAttempts, p.MaxAttempts)
		e.UpdatedAt = max(e.UpdatedAt, p.UpdatedAt)
		if p.Status == task.Retrying && (e.DueAt == 0 || p.DueAt < e.DueAt) {
			e.DueAt = p.DueAt
		}
		if err := t.detail(s).err(); err != "" && (failed == nil || p.Status == task.Failed) {
			failed = &detail{err: t.places.get(p.place).route + ": " + err}
		}
	}
	e.Status = followed(seen)
	if e.Status != task.Retrying {
		e.DueAt = 0
	}
	t.count(e, before, -1)
	t.count(e, e.Status, 1)
	if e.Status == task.Completed {
		failed = nil
	}
	t.setDetail(parent, failed)
}

// followed is where a split task stands whose parts stand so often in each status: the first of these that any part is in,
// so that it is final when all are, and completed when none came to a worse end.
func followed(seen [task.Superseded + 1]int) task.Status {
	for _, status := range [...]task.Status{
		task.Processing, task.Retrying, task.Queued, task.Failed, task.Cancelled, task.Completed,
	} {
		if seen[status] > 0 {
			return status
		}
	}
	return task.Superseded
}

// runnable are the tasks that stand for a delivery in the lanes: its parts, or itself.
func (t *table) runnable(s slot) []slot {
	if parts := t.parts[s]; parts != nil {
		return parts
	}
	return []slot{s}
}
