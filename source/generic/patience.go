package generic

import "github.com/hooktroupe/hooktroupe/source"

// Patience is nothing that could be known.
func (*generic) Patience() source.Patience {
	return source.Patience{
		Then:     "Nothing is known of a sender that has no type of its own.",
		Evidence: "none",
	}
}
