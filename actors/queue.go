package actors

// item is a place in a queue: the turn tells whether the task in the slot still waits there.
type item struct {
	slot slot
	turn uint32
}

// fifo is a queue of tasks in the order in which they came. Items that went stale are left for whoever pops them.
type fifo struct {
	items []item
	head  int
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

// dueItem is a task that waits for a time, in nanoseconds since 1970.
type dueItem struct {
	at int64
	item
}

// dueHeap is a min-heap of tasks by due time. Items that went stale stay until they come up.
type dueHeap []dueItem

func (h *dueHeap) push(it dueItem) {
	*h = append(*h, it)
	s := *h
	for i := len(s) - 1; i > 0; {
		parent := (i - 1) / 2
		if s[parent].at <= s[i].at {
			break
		}
		s[parent], s[i] = s[i], s[parent]
		i = parent
	}
}

// pop removes the item that is due first. The heap must not be empty.
func (h *dueHeap) pop() dueItem {
	s := *h
	first := s[0]
	last := len(s) - 1
	s[0] = s[last]
	s = s[:last]
	for i := 0; ; {
		least := i
		for _, child := range [2]int{2*i + 1, 2*i + 2} {
			if child < len(s) && s[child].at < s[least].at {
				least = child
			}
		}
		if least == i {
			break
		}
		s[least], s[i] = s[i], s[least]
		i = least
	}
	*h = s
	return first
}
