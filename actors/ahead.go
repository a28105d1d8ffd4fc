package actors

import "errors"

const (
	// aheadItems is how many items pass from one goroutine to the other at once: so many that passing costs little beside
	// making them, and so few that what one wrote is still in a cache when the other reads it.
	aheadItems = 256
	// aheadBatches bounds the batches that there are: one that is filled, one that is used, and two that wait.
	aheadBatches = 4
)

// errNotWanted ends whoever makes items that nobody uses any more.
var errNotWanted = errors.New("nobody uses what follows")

// ahead is for a goroutine that makes items while another uses those before, in batches that are used again and again.
type ahead[T any] struct {
	full  chan []T      // carries batches in order; room for all of them, so that only want of an empty one holds up the maker
	empty chan []T      // carries used batches back; room for all of them
	stop  chan struct{} // closed when nothing more is wanted
	batch []T           // the one that is being filled
	made  int           // of its items are made
}

// workAhead calls use for every item that making adds, in order, and making on a goroutine of its own. It returns when both
// have ended, with the first error in the order of the items: that of use, or else that of making. An item is lent to use
// until it returns, and is made of an old one: making fills in all that counts.
func workAhead[T any](making func(*ahead[T]) error, use func(*T) error) error {
	a := &ahead[T]{
		full: make(chan []T, aheadBatches), empty: make(chan []T, aheadBatches), stop: make(chan struct{}),
		batch: make([]T, aheadItems),
	}
	for range aheadBatches - 1 {
		a.empty <- make([]T, aheadItems)
	}
	var err error
	go func() { // ends when all is made, or soon after stop is closed; full is closed then
		defer close(a.full)
		err = making(a)
		a.full <- a.batch[:a.made]
	}()
	for batch := range a.full {
		for i := range batch {
			if err := use(&batch[i]); err != nil {
				close(a.stop)
				for range a.full { // until it is closed
				}
				return err
			}
		}
		a.empty <- batch[:cap(batch)]
	}
	return err
}

// next is the item to be made.
func (a *ahead[T]) next() *T { return &a.batch[a.made] }

// add passes on the item that next returned. An error is to be returned by making at once.
func (a *ahead[T]) add() error {
	if a.made++; a.made < len(a.batch) {
		return nil
	}
	a.full <- a.batch
	a.batch, a.made = nil, 0
	select {
	case a.batch = <-a.empty:
		return nil
	case <-a.stop:
		return errNotWanted
	}
}
