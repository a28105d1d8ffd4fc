package actors

// interned numbers values that many entries share, from 0, and counts who shares them. A view may keep a copy of all:
// a value never changes while its number is in use, and a number that was freed gets a new cell.
type interned[T comparable] struct {
	all     []*shared[T] // by number; nil where free
	numbers map[T]uint32
	free    []uint32
	last    uint32 // number acquired last: likely to be the next one too
}

// shared is one value. Only the registry looks at its count.
type shared[T comparable] struct {
	value T
	users int
}

// acquire returns the number of a value, with one user more.
func (n *interned[T]) acquire(value T) uint32 {
	if int(n.last) < len(n.all) && n.all[n.last] != nil && n.all[n.last].value == value {
		n.all[n.last].users++
		return n.last
	}
	if number, known := n.numbers[value]; known {
		n.all[number].users++
		n.last = number
		return number
	}
	if n.numbers == nil {
		n.numbers = make(map[T]uint32)
	}
	number := uint32(len(n.all))
	cell := &shared[T]{value: value, users: 1}
	if last := len(n.free) - 1; last >= 0 {
		number, n.free = n.free[last], n.free[:last]
		n.all[number] = cell
	} else {
		n.all = append(n.all, cell)
	}
	n.numbers[value], n.last = number, number
	return number
}

// release takes one user away, and frees the number of a value that has none.
func (n *interned[T]) release(number uint32) {
	cell := n.all[number]
	cell.users--
	if cell.users == 0 {
		delete(n.numbers, cell.value)
		n.all[number] = nil
		n.free = append(n.free, number)
	}
}

// find returns the number of a value that somebody uses.
func (n *interned[T]) find(value T) (uint32, bool) {
	number, known := n.numbers[value]
	return number, known
}

func (n *interned[T]) get(number uint32) T { return n.all[number].value }
