package stripe

import "github.com/hooktroupe/hooktroupe/source"

// Patience is what the sender documents.
func (*stripe) Patience() source.Patience {
	return source.Patience{
		Then:     "Stripe retries for up to three days and may then disable the endpoint, with a notice by e-mail.",
		Evidence: "third parties; the time that Stripe waits is not published",
	}
}
