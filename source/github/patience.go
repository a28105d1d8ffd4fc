package github

import (
	"time"

	"github.com/hooktroupe/hooktroupe/source"
)

// Patience is that of github.com; GitHub Enterprise Server waits thirty seconds.
func (*github) Patience() source.Patience {
	return source.Patience{
		AckWithin: 10 * time.Second,
		Then:      "GitHub never disables a webhook and never retries: what is not accepted waits for a redelivery by hand.",
		Evidence:  "GitHub documentation, Handling failed webhook deliveries; that none is disabled is what third parties say",
	}
}
