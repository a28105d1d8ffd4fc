package actors

import (
	"bytes"
	"slices"

	"github.com/hooktroupe/hooktroupe/journal"
	"github.com/hooktroupe/hooktroupe/task"
)

// entry is what the registry keeps of one task: its state, where its delivery lies in the journal, and little else.
// There may be a million of them, so it holds no pointer: the garbage collector passes it over, and what few tasks have
// lies in the chunk's details.
type entry struct {
	task.Task
	// at is where the TaskAccepted or TaskImported record is; zero until its group is synced.
	at journal.Position
	// delivery tells duplicates; zero when the sender gave nothing to tell them by, and for parts.
	delivery deliveryHash
	// origin and place number what the task shares with others.
	origin, place uint32
	// parent is the slot of the task that a part belongs to.
	parent slot
	// turn is renewed whenever the task enters a queue, so that a queue can tell its current items from stale ones.
	turn uint32
	// role tells the task of a delivery from its parts.
	role role
	// used is false for a slot that holds no task.
	used bool
}

// role is what a task is to its delivery.
type role uint8

const (
	whole role = iota // the only task of its delivery
	split             // stands where its parts stand, and never runs itself
	part              // one route's task of a delivery that several want
)

// origin is where a kind of task comes from.
type origin struct{ source, eventType string }

// place is the lane that a task belongs to: its route, empty when no route table was asked, and its ordering key.
type place struct{ route, key string }

// slot is where in the table an entry is. It is reused after the task is forgotten.
type slot uint32

const chunkSize = 512

// chunk holds entries. A chunk whose stamp is older than the table's is shared with a view and copied before a change; so
// are its details, which are nil where no entry has any.
type chunk struct {
	details      *[chunkSize]packedDetail
	stamp        uint64
	detailsStamp uint64
	newest       task.ID // none of the chunk's tasks is newer
	entries      [chunkSize]entry
}

// table is every task the registry remembers. Looking up and changing one is constant time; view gives an immutable
// picture of all in time proportional to the number of chunks, after which each chunk is copied when it first changes.
type table struct {
	chunks     []*chunk
	stamp      uint64
	free       []slot
	next       slot
	indexed    slot // the slots from here to next are not in the indexes yet
	inBulk     bool // that may be: see takeInBulk
	repeated   bool // an ID was taken in twice meanwhile
	newest     task.ID
	used       int
	seed       seed
	byID       index
	byDelivery index
	origins    interned[origin]
	places     interned[place]
	parts      map[slot][]slot     // of split tasks
	paused     map[uint32]struct{} // the places whose lanes are paused
	sayings    sayings
	counts     statusCounts             // of deliveries
	byRoute    map[string]*statusCounts // of tasks that run themselves; a route stays once it was seen
}

// statusCounts is how many tasks there are in each status.
type statusCounts [task.Superseded + 1]int

func newTable() *table {
	return &table{
		seed: newSeed(), parts: make(map[slot][]slot), paused: make(map[uint32]struct{}), byRoute: make(map[string]*statusCounts),
	}
}

// takeInBulk leaves what add takes in out of the indexes until there are so many, or somebody looks something up: together
// they cost a fraction of what each would. It ends with settle.
func (t *table) takeInBulk() { t.inBulk = true }

// settle brings the indexes up to date, and keeps them so. It says whether no ID was taken in twice while nothing was removed.
func (t *table) settle() bool {
	t.index()
	t.inBulk = false
	return !t.repeated
}

// The most tasks that are indexed together, for their entries are to lie in a cache still, and how many are worth it.
const (
	mostInBulk  = 1 << 15
	leastInBulk = 1 << 10
)

// index puts the newest slots into the indexes.
func (t *table) index() {
	if t.next-t.indexed < leastInBulk {
		for ; t.indexed < t.next; t.indexed++ {
			_, known := t.byID.find(t.seed.of(t.get(t.indexed).ID), func(s slot) bool { return t.get(s).ID == t.get(t.indexed).ID })
			t.repeated = t.repeated || known
			t.indexOne(t.indexed)
		}
		return
	}
	hashes := make([]hashed, 0, t.next-t.indexed)
	for s := t.indexed; s < t.next; s++ {
		hashes = append(hashes, hashed{t.seed.of(t.get(s).ID), s})
	}
	if !t.byID.addAll(hashes, func(a, b slot) bool { return t.get(a).ID == t.get(b).ID }) {
		t.repeated = true
	}
	hashes = hashes[:0]
	for s := t.indexed; s < t.next; s++ {
		if e := t.get(s); !e.delivery.isZero() {
			hashes = append(hashes, hashed{t.seed.of(e.delivery), s})
		}
	}
	t.byDelivery.addAll(hashes, nil)
	t.indexed = t.next
}

// indexOne puts a slot into the indexes.
func (t *table) indexOne(s slot) {
	e := t.get(s)
	t.byID.add(t.seed.of(e.ID), s)
	if !e.delivery.isZero() {
		t.byDelivery.add(t.seed.of(e.delivery), s)
	}
}

// isNew says that no task has this ID, because all are older. A false answer says nothing.
func (t *table) isNew(id task.ID) bool { return bytes.Compare(id[:], t.newest[:]) > 0 }

// find returns the slot of a task.
func (t *table) find(id task.ID) (slot, bool) {
	t.index()
	return t.byID.find(t.seed.of(id), func(s slot) bool { return t.get(s).ID == id })
}

// findDelivery returns the slot of the task that a delivery has become.
func (t *table) findDelivery(h deliveryHash) (slot, bool) {
	if h.isZero() {
		return 0, false
	}
	t.index()
	return t.byDelivery.find(t.seed.of(h), func(s slot) bool { return t.get(s).delivery == h })
}

// get returns an entry for reading. The pointer is valid until the next change of the table.
func (t *table) get(s slot) *entry { return &t.chunks[s/chunkSize].entries[s%chunkSize] }

// edit returns an entry for changing everything but its ID, delivery, origin, place and status.
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

// detail returns what is known of a task beside its state.
func (t *table) detail(s slot) packedDetail { return t.chunks[s/chunkSize].detail(int(s % chunkSize)) }

func (c *chunk) detail(i int) packedDetail {
	if c.details == nil {
		return packedDetail{}
	}
	return c.details[i]
}

// setDetail replaces it; nil for nothing.
func (t *table) setDetail(s slot, d *detail) {
	p := t.sayings.pack(d)
	t.edit(s)
	c := t.chunks[s/chunkSize]
	switch {
	case c.details == nil && p.rest == "":
		return
	case c.details == nil:
		c.details, c.detailsStamp = new([chunkSize]packedDetail), t.stamp
	case c.detailsStamp != t.stamp:
		fresh := *c.details
		c.details, c.detailsStamp = &fresh, t.stamp
	}
	c.details[s%chunkSize] = p
}

// add takes in a task whose ID is not in the table. Its origin and place were interned for it.
func (t *table) add(e *entry) slot {
	s, later := t.next, t.inBulk
	if n := len(t.free); n > 0 {
		later = false
		s, t.free = t.free[n-1], t.free[:n-1]
	} else {
		if int(t.next)%chunkSize == 0 {
			t.chunks = append(t.chunks, &chunk{stamp: t.stamp})
		}
		t.next++
	}
	target := t.edit(s)
	turn := target.turn
	*target = *e
	target.used, target.turn = true, turn+1
	if c := t.chunks[s/chunkSize]; bytes.Compare(e.ID[:], c.newest[:]) > 0 {
		c.newest = e.ID
		if t.isNew(e.ID) {
			t.newest = e.ID
		}
	}
	switch {
	case !later:
		t.indexOne(s)
		if !t.inBulk {
			t.indexed = t.next
		}
	case t.next-t.indexed >= mostInBulk:
		t.index()
	}
	t.used++
	t.count(target, e.Status, 1)
	return s
}

// count keeps the counts: a delivery counts once, whatever parts it has, and a route counts what it runs.
func (t *table) count(e *entry, status task.Status, by int) {
	if e.role != part {
		t.counts[status] += by
	}
	if e.role == split {
		return
	}
	route := t.places.get(e.place).route
	counts, known := t.byRoute[route]
	if !known {
		counts = new(statusCounts)
		t.byRoute[route] = counts
	}
	counts[status] += by
}

// remove forgets a task and frees its slot. The slot keeps its turn, so that queue items of the old task stay stale.
func (t *table) remove(s slot) {
	t.index()
	t.setDetail(s, nil)
	e := t.edit(s)
	t.byID.remove(t.seed.of(e.ID), s)
	if !e.delivery.isZero() {
		t.byDelivery.remove(t.seed.of(e.delivery), s)
	}
	t.count(e, e.Status, -1)
	t.origins.release(e.origin)
	t.places.release(e.place)
	*e = entry{turn: e.turn + 1}
	t.free = append(t.free, s)
	t.used--
	delete(t.parts, s)
}

// apply changes a task by an event.
func (t *table) apply(s slot, ev task.Event) error {
	e := t.edit(s)
	before := e.Status
	if err := e.Apply(ev); err != nil {
		return err
	}
	t.count(e, before, -1)
	t.count(e, e.Status, 1)
	return nil
}

// bridge takes a task to where an event follows although others before it are lost.
func (t *table) bridge(s slot, ev task.Event) {
	e := t.edit(s)
	t.count(e, e.Status, -1)
	e.Bridge(ev)
	t.count(e, e.Status, 1)
}

// pause marks a lane as paused, or no longer. A paused lane keeps its place.
func (t *table) pause(p place, paused bool) {
	number, known := t.places.find(p)
	if _, was := t.paused[number]; known && was {
		if !paused {
			delete(t.paused, number)
			t.places.release(number)
		}
		return
	}
	if paused {
		t.paused[t.places.acquire(p)] = struct{}{}
	}
}

// size is how many tasks are remembered, parts included; waiting how many deliveries have tasks that are not final.
func (t *table) size() int { return t.used }

func (t *table) waiting() int {
	return t.counts[task.Queued] + t.counts[task.Processing] + t.counts[task.Retrying]
}

// view is the table as it was at one moment. It may be read by any goroutine, and holds memory until it is dropped.
type view struct {
	chunks  []*chunk
	origins []*shared[origin]
	places  []*shared[place]
	paused  []uint32
	size    int
	only    func(task.ID) bool // which tasks each passes on; nil for all
	serving []int              // the shards whose tasks it holds, in a cluster
}

// view returns the table as it is now.
func (t *table) view() view {
	t.stamp++
	v := view{
		chunks: slices.Clone(t.chunks), origins: slices.Clone(t.origins.all), places: slices.Clone(t.places.all), size: t.used,
	}
	for id := range t.paused {
		v.paused = append(v.paused, id)
	}
	return v
}

// record is one task of a view or of the table, with what it shares.
type record struct {
	*entry
	detail packedDetail
	origin origin
	place  place
}

// record returns a task with what it shares, for reading.
func (t *table) record(s slot) record {
	e := t.get(s)
	return record{
		entry: e, detail: t.detail(s),
		origin: t.origins.get(e.origin), place: t.places.get(e.place),
	}
}

// idOf returns the ID of the task in a slot.
func (v view) idOf(s slot) task.ID { return v.chunks[s/chunkSize].entries[s%chunkSize].ID }

// each calls fn for every task until it returns false.
func (v view) each(fn func(record) bool) {
	for _, c := range v.chunks {
		for i := range c.entries {
			e := &c.entries[i]
			if !e.used || v.only != nil && !v.only(e.ID) {
				continue
			}
			if !fn(v.record(c, i)) {
				return
			}
		}
	}
}

// record returns one task of a chunk with what it shares.
func (v view) record(c *chunk, i int) record {
	e := &c.entries[i]
	return record{
		entry: e, detail: c.detail(i), origin: v.origins[e.origin].value, place: v.places[e.place].value,
	}
}

// absorb takes in the tasks of another table, whose IDs are not in this one, and says which slots they got. The other is not
// used any more, but for reading.
func (t *table) absorb(other *table) map[slot]slot {
	moved := make(map[slot]slot, other.used)
	for s := slot(0); s < other.next; s++ {
		e := *other.get(s)
		if !e.used {
			continue
		}
		e.origin = t.origins.acquire(other.origins.get(e.origin))
		e.place = t.places.acquire(other.places.get(e.place))
		moved[s] = t.add(&e)
		if d := other.detail(s); d.rest != "" {
			t.setDetail(moved[s], d.unpack())
		}
	}
	for parent, parts := range other.parts {
		slots := make([]slot, len(parts))
		for i, p := range parts {
			slots[i] = moved[p]
			t.edit(moved[p]).parent = moved[parent]
		}
		t.parts[moved[parent]] = slots
	}
	return moved
}

// of is the part of a view that holds one shard of so many.
func (v view) of(shard, shards int) view {
	v.only = func(id task.ID) bool { return ShardOfTask(id) == shard }
	v.paused = slices.DeleteFunc(slices.Clone(v.paused), func(number uint32) bool {
		return ShardOf(v.places[number].value.key, shards) != shard
	})
	return v
}
