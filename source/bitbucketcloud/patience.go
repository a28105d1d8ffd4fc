package bitbucketcloud

import (
	"time"

	"github.com/hooktroupe/hooktroupe/source"
)

// Patience is what the sender documents.
func (*bitbucketCloud) Patience() source.Patience {
	return source.Patience{
		AckWithin: 10 * time.Second,
		Then:      "Bitbucket Cloud documents no number of failures after which it stops.",
		Evidence:  "Bitbucket Cloud documentation, Troubleshoot webhooks",
	}
}
