package actors

import (
	"github.com/hooktroupe/hooktroupe/journal"
	"github.com/hooktroupe/hooktroupe/task"
)

// entry is what the registry keeps of one task: its state, where its delivery lies in the journal, and little else.
// There may be a million of them, so what few tasks have hangs on a pointer.
type entry struct {
	task.Task
	// at is where the TaskAccepted or TaskImported record is; zero until its group is synced.
	at journal.Position
	// delivery tells duplicates; zero when the sender gave nothing to tell them by.
	delivery deliveryHash
	// origin is shared by all tasks of the same source and event type.
	origin *origin
	// detail is nil until an attempt has ended. It is replaced, never changed, for views share it.
	detail *detail
	// turn is renewed whenever the task enters a queue, so that a queue can tell its current items from stale ones.
	turn uint32
	// used is false for a slot that holds no task.
	used bool
}

// origin is where a kind of task comes from.
type origin struct {
	source, eventType string
	// tasks counts the entries that share it; only the registry looks.
	tasks int
}

// detail is what attempts have left behind. It is immutable.
type detail struct {
	err    string
	result []byte
	log    []attempt
}

// attempt is one line of the attempt log.
type attempt struct {
	number             uint32
	startedAt, endedAt int64
	outcome            task.Outcome
	err                string
}

// maxAttemptLog bounds the attempt log of a task: the newest are kept.
const maxAttemptLog = 50

// slot is where in the table an entry is. It is reused after the task is forgotten.
type slot uint32

const chunkSize = 512

// chunk holds entries. A chunk whose stamp is older than the table's is shared with a view and copied before a change.
type chunk struct {
	stamp   uint64
	entries [chunkSize]entry
}

// table is every task the registry remembers. Looking up and changing one is constant time; view gives an immutable
// picture of all in time proportional to the number of chunks, after which each chunk is copied when it first changes.
type table struct {
	chunks     []*chunk
	stamp      uint64
	free       []slot
	next       slot
	byID       map[task.ID]slot
	byDelivery map[deliveryHash]slot
	origins    map[[2]string]*origin
	counts     [task.Superseded + 1]int
}

func newTable() *table {
	return &table{
		byID:       make(map[task.ID]slot),
		byDelivery: make(map[deliveryHash]slot),
		origins:    make(map[[2]string]*origin),
	}
}

// get returns an entry for reading. The pointer is valid until the next change of the table.
func (t *table) get(s slot) *entry { return &t.chunks[s/chunkSize].entries[s%chunkSize] }

// edit returns an entry for changing everything but its ID, delivery, origin and status.
func (t *table) edit(s slot) *entry {
	c := t.chunks[s/chunkSize]
	if c.stamp != t.stamp {
		fresh := *c
		fresh.stamp = t.stamp
		c = &fresh
		t.chunks[s/chunkSize] = c
	}
	return &c.entries[s%chunkSize]
}

// add takes in a task whose ID is not in the table.
func (t *table) add(e entry) slot {
	s := t.next
	if n := len(t.free); n > 0 {
		s, t.free = t.free[n-1], t.free[:n-1]
	} else {
		if int(t.next)%chunkSize == 0 {
			t.chunks = append(t.chunks, &chunk{stamp: t.stamp})
		}
		t.next++
	}
	place := t.edit(s)
	turn := place.turn
	*place = e
	place.used, place.turn = true, turn+1
	t.byID[e.ID] = s
	if !e.delivery.isZero() {
		t.byDelivery[e.delivery] = s
	}
	e.origin.tasks++
	t.counts[e.Status]++
	return s
}

// remove forgets a task and frees its slot. The slot keeps its turn, so that queue items of the old task stay stale.
func (t *table) remove(s slot) {
	e := t.edit(s)
	delete(t.byID, e.ID)
	if !e.delivery.isZero() && t.byDelivery[e.delivery] == s {
		delete(t.byDelivery, e.delivery)
	}
	e.origin.tasks--
	if e.origin.tasks == 0 {
		delete(t.origins, [2]string{e.origin.source, e.origin.eventType})
	}
	t.counts[e.Status]--
	*e = entry{turn: e.turn + 1}
	t.free = append(t.free, s)
}

// apply changes a task by an event.
func (t *table) apply(s slot, ev task.Event) error {
	e := t.edit(s)
	before := e.Status
	if err := e.Apply(ev); err != nil {
		return err
	}
	t.counts[before]--
	t.counts[e.Status]++
	return nil
}

// originOf returns the shared origin of a source and an event type.
func (t *table) originOf(source, eventType string) *origin {
	key := [2]string{source, eventType}
	o, ok := t.origins[key]
	if !ok {
		o = &origin{source: source, eventType: eventType}
		t.origins[key] = o
	}
	return o
}

// size is how many tasks are remembered, waiting how many of them are not final.
func (t *table) size() int { return len(t.byID) }

func (t *table) waiting() int {
	return t.counts[task.Queued] + t.counts[task.Processing] + t.counts[task.Retrying]
}

// view is the table as it was at one moment. It may be read by any goroutine, and holds memory until it is dropped.
type view struct {
	chunks []*chunk
	size   int
}

// view returns the table as it is now.
func (t *table) view() view {
	t.stamp++
	return view{chunks: append([]*chunk(nil), t.chunks...), size: t.size()}
}

// each calls fn for every task until it returns false.
func (v view) each(fn func(*entry) bool) {
	for _, c := range v.chunks {
		for i := range c.entries {
			if c.entries[i].used && !fn(&c.entries[i]) {
				return
			}
		}
	}
}
