package gitea

import (
	"time"

	"github.com/hooktroupe/hooktroupe/source"
)

// Patience is the same for both senders.
func (*gitea) Patience() source.Patience {
	return source.Patience{
		AckWithin: 5 * time.Second,
		Then:      "Gitea and Forgejo never disable a webhook and never retry: what is not accepted is lost.",
		Evidence:  "go-gitea/gitea, services/webhook/deliver.go; the default of DELIVER_TIMEOUT is not confirmed",
	}
}
