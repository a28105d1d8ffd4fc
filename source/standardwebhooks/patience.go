package standardwebhooks

import (
	"time"

	"github.com/hooktroupe/hooktroupe/source"
)

// Patience is what the specification recommends; each sender has its own.
func (*standard) Patience() source.Patience {
	return source.Patience{
		AckWithin: 15 * time.Second,
		Then:      "The specification recommends to disable an address after long failure and names no number.",
		Evidence:  "Standard Webhooks specification, which recommends 15 to 30 seconds",
	}
}
