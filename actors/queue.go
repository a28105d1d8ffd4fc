package actors

// item is a place in a queue: the turn tells whether the task in the slot still waits there.
type item struct {
	slot slot
	turn uint32
}

// fifo is a queue of tasks in the order in which they came. Items that went stale are left for whoever pops them.
type fifo struct {
	items  []item
	head   int
	tidyAt int // how long it may get before tidy looks at it again
}

func (q *fifo) push(it item) { q.items = append(q.items, it) }

func (q *fifo) len() int { return len(q.items) - q.head }

// peek returns the first item without removing it.
func (q *fifo) peek() (item, bool) {
	if q.len() == 0 {
		return item{}, false
	}
	return q.items[q.head], true
}

// pop removes the first item. Room in front is given back once it is most of the queue.
func (q *fifo) pop() (item, bool) {
	it, ok := q.peek()
	if !ok {
		return it, false
	}
	q.head++
	if q.head == len(q.items) {
		q.items, q.head = q.items[:0], 0
	} else if q.head >= 4096 && q.head*2 >= len(q.items) {
		q.items = append(make([]item, 0, len(q.items)-q.head+1024), q.items[q.head:]...)
		q.head = 0
	}
	return it, true
}

// tidy drops the items that fn refuses, wherever they are. It looks only when the queue has grown to twice what it last
// left, so that it costs little however often it is called.
func (q *fifo) tidy(fn func(item) bool) {
	if q.len() <= q.tidyAt {
		return
	}
	kept := make([]item, 0, q.len()/2)
	for _, it := range q.items[q.head:] {
		if fn(it) {
			kept = append(kept, it)
		}
	}
	q.items, q.head = kept, 0
	q.tidyAt = 2*len(kept) + 4096
}
