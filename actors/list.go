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
	// Routes are those wanted; none means any. Where Route or Routes is given, parts of deliveries are selected too, for it is
	// they that have a route; else a delivery is its one task.
	Routes []string
	// Text must occur in the error; empty means any.
	Text string
	// Words must occur in the ID, source, event type, key, route or error, whatever the case of ASCII letters; empty means any.
	Words string
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
	tasks, next, _, err := t.ListServed(ctx, q)
	return tasks, next, err
}

// ListServed is List that also says, of a cluster's member, which shards' tasks it has looked at.
func (t *Troupe) ListServed(
	ctx context.Context, q Query,
) (tasks []*messages.Task, next task.ID, shards []int, err error) {
	if q.Limit < 1 || q.Limit > MaxListed {
		q.Limit = 50
	}
	answer, err := t.ask(ctx, getView{})
	if err != nil {
		return nil, next, nil, err
	}
	seen := answer.(view)
	entries := newest(ctx, seen, &q).newestFirst()
	if ctx.Err() != nil {
		return nil, next, nil, ctx.Err()
	}
	if len(entries) > q.Limit {
		entries = entries[:q.Limit]
		next = entries[q.Limit-1].ID
	}
	tasks = make([]*messages.Task, len(entries))
	for i, r := range entries {
		tasks[i] = r.message()
	}
	return tasks, next, seen.serving, nil
}

// newest returns the tasks that match, up to one more than the limit. It gives up when ctx is done. Slots are given out in
// the order in which tasks come, so it begins at the end: once the page is full, most chunks are passed over as a whole.
func newest(ctx context.Context, v view, q *Query) *page {
	page := newPage(q.Limit + 1)
	for _, c := range slices.Backward(v.chunks) {
		if ctx.Err() != nil {
			break
		}
		if page.full(c.newest) {
			continue
		}
		page.looked += chunkSize
		for i := range slices.Backward(c.entries[:]) {
			e := &c.entries[i]
			if !e.used || page.full(e.ID) || !q.admits(e) {
				continue
			}
			if r := v.record(c, i); q.matches(r) {
				page.offer(r)
			}
		}
	}
	return page
}

// admits judges what is in the entry itself.
func (q *Query) admits(e *entry) bool {
	return (e.role != part || q.Route != "" || len(q.Routes) > 0) &&
		(q.From == 0 || e.CreatedAt >= q.From) && (q.Until == 0 || e.CreatedAt < q.Until) &&
		(len(q.Statuses) == 0 || slices.Contains(q.Statuses, e.Status)) &&
		(q.After == task.ID{} || bytes.Compare(e.ID[:], q.After[:]) < 0)
}

func (q *Query) matches(r record) bool {
	return q.admits(r.entry) &&
		(q.Source == "" || q.Source == r.origin.source) &&
		(q.EventType == "" || q.EventType == r.origin.eventType) &&
		(q.Key == "" || q.Key == r.place.key) &&
		(q.Route == "" || q.Route == r.place.route) &&
		(len(q.Routes) == 0 || slices.Contains(q.Routes, r.place.route)) &&
		(q.Text == "" || strings.Contains(r.detail.err(), q.Text)) &&
		(q.Words == "" || q.speaksOf(r))
}

// speaksOf says whether the words occur somewhere.
func (q *Query) speaksOf(r record) bool {
	for _, text := range [...]string{r.origin.eventType, r.origin.source, r.place.key, r.place.route, r.detail.err()} {
		if containsFold(text, q.Words) {
			return true
		}
	}
	return strings.Trim(q.Words, "0123456789abcdefABCDEF-") == "" && containsFold(r.ID.String(), q.Words)
}

// containsFold says whether a text holds another, whatever the case of ASCII letters. It allocates nothing: a page that
// finds little asks it a million times.
func containsFold(text, wanted string) bool {
	for i := 0; i+len(wanted) <= len(text); i++ {
		same := true
		for j := 0; j < len(wanted) && same; j++ {
			same = lower(text[i+j]) == lower(wanted[j])
		}
		if same {
			return true
		}
	}
	return false
}

func lower(b byte) byte {
	if 'A' <= b && b <= 'Z' {
		return b + 'a' - 'A'
	}
	return b
}

// page keeps the newest entries that it was offered: it fills to twice its size and then drops the older half, so that a
// million tasks cost a million comparisons and a few small sorts.
type page struct {
	size    int
	entries []record
	oldest  *record // once size entries are known, older ones need not apply
	looked  int     // how many entries were looked at
}

func newPage(size int) *page { return &page{size: size, entries: make([]record, 0, 2*size)} }

// full says whether there is no room for so old a task.
func (p *page) full(id task.ID) bool {
	return p.oldest != nil && bytes.Compare(id[:], p.oldest.ID[:]) < 0
}

// offer takes in a task for which there is room.
func (p *page) offer(e record) {
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
