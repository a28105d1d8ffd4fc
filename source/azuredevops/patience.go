package azuredevops

import "github.com/hooktroupe/hooktroupe/source"

// Patience is short: an error that is not transient is one too many.
func (*azureDevOps) Patience() source.Patience {
	return source.Patience{
		Failures:  9, // an event and its eight retries
		Transient: []int{408, 502, 503, 504},
		Then: "Azure DevOps puts the subscription on probation, during which new events are lost, " +
			"and disables it after seven failed probes.",
		Evidence: "Azure DevOps documentation, Service hooks: troubleshoot",
	}
}
