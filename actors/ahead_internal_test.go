package actors

import (
	"errors"
	"testing"

	"pgregory.net/rapid"
)

// TestWorkAhead: whoever uses items sees those that were made, in order, up to the first error in the order of the items,
// wherever it comes from, and both goroutines have ended then. It is white-box because an error of the one that comes while
// the other is far ahead, or far behind, no outside behaviour brings about on purpose.
func TestWorkAhead(t *testing.T) {
	errMade, errUsed := errors.New("made"), errors.New("used")
	rapid.Check(t, func(t *rapid.T) {
		items := rapid.IntRange(0, 3*aheadItems*aheadBatches).Draw(t, "items")
		refused := rapid.IntRange(0, 2*items).Draw(t, "refused") // by use
		var failure error
		if rapid.Bool().Draw(t, "making fails") {
			failure = errMade
		}
		ended, used := false, 0
		err := workAhead(func(a *ahead[int]) error {
			defer func() { ended = true }()
			for i := range items {
				*a.next() = i
				if err := a.add(); err != nil {
					return err
				}
			}
			*a.next() = -1 // one that is not finished
			return failure
		}, func(i *int) error {
			if *i != used {
				t.Fatalf("item %d in the place of %d", *i, used)
			}
			if *i == refused {
				return errUsed
			}
			used++
			return nil
		})
		want, most := failure, items
		if refused < items {
			want, most = errUsed, refused
		}
		if !errors.Is(err, want) || used != most || !ended {
			t.Fatalf("%d of %d items used, %v, want %v after %d; ended: %v", used, items, err, want, most, ended)
		}
	})
}
