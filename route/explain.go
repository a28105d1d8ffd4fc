package route

import (
	"fmt"
	"slices"
)

// Step is what one route made of a delivery.
type Step struct {
	Route string
	// Source, Event and Filter say how far it matched; one that was not looked at any more is false.
	Source, Event, Filter bool
	// Matches is whether the delivery goes to its handlers, under that ordering key.
	Matches  bool
	Key      string
	Handlers []string
	// Ends says that no route behind it was looked at.
	Ends bool
	// Why is a sentence for people.
	Why string
}

// Explain says what Route does with a delivery, route by route, up to the one that ends the search.
func (t *Table) Explain(d *Delivery) []Step {
	var steps []Step
	t.search(d, func(r *compiled, v verdict) {
		steps = append(steps, Step{
			Route: r.Name, Source: v.source, Event: v.event, Filter: v.filter, Matches: v.matches, Key: v.key,
			Handlers: slices.Clone(r.Handlers[:v.handlers]), Ends: v.ends, Why: r.why(v, d),
		})
	})
	return steps
}

func (r *compiled) why(v verdict, d *Delivery) string {
	switch {
	case v.err != nil:
		return "an expression failed, so it does not match: " + v.err.Error()
	case !v.source:
		return fmt.Sprintf("source %q is not %q", d.Source, r.Source)
	case !v.event:
		return fmt.Sprintf("event %q is none of %q", d.EventType, r.Events)
	case !v.filter:
		return "its filter is false"
	case r.Continue && v.ends:
		return fmt.Sprintf("it matches, and the delivery has the %d assignments that there may be", MaxAssignments)
	case r.Continue:
		return "it matches, and says to continue"
	default:
		return "it matches"
	}
}
