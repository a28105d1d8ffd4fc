package cloudevents

import "github.com/hooktroupe/hooktroupe/source"

// Patience is each sender's own.
func (*cloudEvents) Patience() source.Patience {
	return source.Patience{
		Then:     "The specification leaves it to each sender how long it waits and when it gives up.",
		Evidence: "CloudEvents, HTTP 1.1 Web Hooks for Event Delivery",
	}
}
