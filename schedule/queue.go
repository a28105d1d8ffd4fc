package schedule

// item is a place in a queue: the turn tells whether the task still waits there.
type item struct{ handle, turn uint32 }

// queue is a queue that lets in at both ends.
type queue[T any] struct {
	items []T
	head  int
}

func (q *queue[T]) len() int { return len(q.items) - q.head }

func (q *queue[T]) push(v T) { q.pushBack(v) }

func (q *queue[T]) pushBack(v T) { q.items = append(q.items, v) }

func (q *queue[T]) pushFront(v T) {
	if q.head > 0 {
		q.head--
		q.items[q.head] = v
		return
	}
	var zero T
	q.items = append(q.items, zero)
	copy(q.items[1:], q.items)
	q.items[0] = v
}

func (q *queue[T]) peek() (v T, ok bool) {
	if q.len() == 0 {
		return v, false
	}
	return q.items[q.head], true
}

// pop removes the first, if there is one. Room in front is given back once it is most of the queue.
func (q *queue[T]) pop() {
	if q.len() == 0 {
		return
	}
	var zero T
	q.items[q.head] = zero
	q.head++
	if q.head == len(q.items) {
		q.items, q.head = q.items[:0], 0
	} else if q.head >= 4096 && q.head*2 >= len(q.items) {
		q.items = append(make([]T, 0, q.len()+1024), q.items[q.head:]...)
		q.head = 0
	}
}

// each calls fn for every one, first to last, until it returns false.
func (q *queue[T]) each(fn func(T) bool) {
	for _, v := range q.items[q.head:] {
		if !fn(v) {
			return
		}
	}
}

// keep drops those that fn refuses.
func (q *queue[T]) keep(fn func(T) bool) {
	kept := q.items[:0]
	for _, v := range q.items[q.head:] {
		if fn(v) {
			kept = append(kept, v)
		}
	}
	clear(q.items[len(kept):])
	q.items, q.head = kept, 0
}

// dueItem is a task that waits for a time, in nanoseconds since 1970.
type dueItem struct {
	at int64
	item
}

// dueHeap is a min-heap by due time. Items that went stale stay until they come up.
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
