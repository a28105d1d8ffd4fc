package bitbucketserver

import (
	"time"

	"github.com/hooktroupe/hooktroupe/source"
)

// Patience is that of the defaults, which an installation may change.
func (*bitbucketServer) Patience() source.Patience {
	return source.Patience{
		AckWithin: 20 * time.Second,
		Failures:  5,
		Then: "Bitbucket Server skips the webhook, for ten seconds at first and up to ten hours, " +
			"and never sends what it skipped.",
		Evidence: "the section on circuit breaking of Bitbucket's manual, as others quote it; " +
			"the time is not confirmed",
	}
}
