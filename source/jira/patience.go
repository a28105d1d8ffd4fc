package jira

import "github.com/hooktroupe/hooktroupe/source"

// Patience is what the sender documents.
func (*jira) Patience() source.Patience {
	return source.Patience{
		Then:     "Jira Cloud retries up to five times and never disables a webhook.",
		Evidence: "not confirmed",
	}
}
