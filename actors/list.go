package actors

import (
	"bytes"
	"context"
	"slices"
	"strings"

	"github.com/hooktroupe/hooktroupe/messages"
	"github.com/hooktroupe/hooktroupe/task"
)

// MaxListed bounds one page of List.
const MaxListed = 1000

// Query selects tasks. The zero value selects all.
type Query struct {
	// Statuses are those wanted; none means all.
	Statuses []task.Status
	// Source, EventType, Key and Route must match whole; empty means any.
	Source, EventType, Key, Route string
	// Text must occur in the error; empty means any.
	Text string
	// From and Until bound the time of acceptance, in nanoseconds since 1970, Until excluded; zero means no bound.
	From, Until int64
	// After is the ID of the last task of the page before; zero for the first page.
	After task.ID
	// Limit is how many are wanted: 1 to MaxListed, 50 if it is out of range.
	Limit int
}

// List returns the tasks that match, the newest first, in an order that is stable while tasks come and go, and the ID to
// continue after; zero when there are no more. It reads a picture of all tasks on the caller's goroutine.
func (t *Troupe) List(ctx context.Context, q Query) ([]*messages.Task, task.ID, error) {
	if q.Limit < 1 || q.Limit > MaxListed {
		q.Limit = 50
	}
	answer, err := t.ask(ctx, getView{})
	if err != nil {
		return nil, task.ID{}, err
	}
	page := newPage(q.Limit + 1)
	answer.(view).each(func(r record) bool {
		if q.matches(r) {
			page.offer(r)
		}
		return ctx.Err() == nil
	})
	if ctx.Err() != nil {
		return nil, task.ID{}, ctx.Err()
	}
	entries := page.newestFirst()
	var next task.ID
	if len(entries) > q.Limit {
		entries = entries[:q.Limit]
		next = entries[q.Limit-1].ID
	}
	tasks := make([]*messages.Task, len(entries))
	for i, r := range entries {
		tasks[i] = r.message()
	}
	return tasks, next, nil
}

func (q *Query) matches(r record) bool {
	return r.role != part &&
		(q.Source == "" || q.Source == r.origin.source) &&
		(q.EventType == "" || q.EventType == r.origin.eventType) &&
		(q.Key == "" || q.Key == r.place.key) &&
		(q.Route == "" || q.Route == r.place.route) &&
		(q.Text == "" || strings.Contains(r.err, q.Text)) &&
		(q.From == 0 || r.CreatedAt >= q.From) && (q.Until == 0 || r.CreatedAt < q.Until) &&
		(len(q.Statuses) == 0 || slices.Contains(q.Statuses, r.Status)) &&
		(q.After == task.ID{} || bytes.Compare(r.ID[:], q.After[:]) < 0)
}

// page keeps the newest entries that it was offered: it fills to twice its size and then drops the older half, so that a
// million tasks cost a million comparisons and a few small sorts.
type page struct {
	size    int
	entries []record
	oldest  *record // once size entries are known, older ones need not apply
}

func newPage(size int) *page { return &page{size: size, entries: make([]record, 0, 2*size)} }

func (p *page) offer(e record) {
	if p.oldest != nil && newer(e, *p.oldest) > 0 {
		return
	}
	p.entries = append(p.entries, e)
	if len(p.entries) == 2*p.size {
		p.trim()
	}
}

func (p *page) trim() {
	slices.SortFunc(p.entries, newer)
	if len(p.entries) >= p.size {
		p.entries = p.entries[:p.size]
		oldest := p.entries[p.size-1]
		p.oldest = &oldest
	}
}

func (p *page) newestFirst() []record {
	p.trim()
	return p.entries
}

// newer orders entries by ID, which begins with the time, the newest first.
func newer(a, b record) int { return bytes.Compare(b.ID[:], a.ID[:]) }
