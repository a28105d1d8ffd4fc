package source

import "time"

// Patience is what a sender is known to put up with before it sends less, or nothing. It is a fact about the sender's
// defaults, not a setting: an installation may have others. Zero fields mean that nothing is known, and nothing is
// guessed then.
type Patience struct {
	// AckWithin is how long the sender waits for its answer. One that comes later has failed, whatever it says.
	AckWithin time.Duration
	// Failures is the number of failures in a row after which the sender does what Then says; zero when it does nothing
	// by that number.
	Failures int
	// Transient are the only statuses that the sender counts up to Failures: any other failure makes it act at once.
	// Nil means that it counts all alike.
	Transient []int
	// Then is one sentence: what the sender does after that, or why no number stands here.
	Then string
	// Evidence says where this is written, and which of it is not confirmed by the sender's own text.
	Evidence string
}

// Patient is a Source whose sender's patience has been looked up.
type Patient interface {
	// Patience is the same for every source of one type.
	Patience() Patience
}

// PatienceOf returns the patience of a source's sender, which is zero for a source that is not Patient.
func PatienceOf(s Source) Patience {
	if p, ok := s.(Patient); ok {
		return p.Patience()
	}
	return Patience{}
}
