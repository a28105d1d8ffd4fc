package gitlab

import (
	"time"

	"github.com/hooktroupe/hooktroupe/source"
)

// Patience is that of the defaults, which an installation may change.
func (*gitlab) Patience() source.Patience {
	return source.Patience{
		AckWithin: 10 * time.Second,
		Failures:  4,
		Then: "GitLab disables the webhook for a minute at first and up to a day, and after forty failures in a row " +
			"until somebody tests it.",
		Evidence: "GitLab documentation, Webhooks: auto-disabled webhooks; GitLab merge request 166329",
	}
}
