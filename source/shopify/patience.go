package shopify

import (
	"time"

	"github.com/hooktroupe/hooktroupe/source"
)

// Patience is counted by the sender for each subscription; here all subscriptions of a source are counted together.
func (*shopify) Patience() source.Patience {
	return source.Patience{
		AckWithin: 5 * time.Second,
		Failures:  8,
		Then:      "Shopify deletes a subscription that was made through its Admin API; it has to be made anew.",
		Evidence:  "Shopify's documentation and developer forum, as others quote them; older texts have 19 failures",
	}
}
