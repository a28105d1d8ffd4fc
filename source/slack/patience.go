package slack

import (
	"time"

	"github.com/hooktroupe/hooktroupe/source"
)

// Patience is what the sender documents.
func (*slack) Patience() source.Patience {
	return source.Patience{
		AckWithin: 3 * time.Second,
		Then: "Slack switches subscriptions off by a share, not by a number in a row: " +
			"over 95 % of an hour's thousand events or more.",
		Evidence: "Slack documentation, Events API: failure conditions",
	}
}
