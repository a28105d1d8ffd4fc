package route

import "fmt"

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
	facts := newFacts(d)
	var steps []Step
	assigned := 0
	for i := range t.routes {
		r := &t.routes[i]
		v := r.judge(facts)
		s := Step{
			Route: r.Name, Source: v.source, Event: v.event, Filter: v.filter, Matches: v.matches, Key: v.key,
			Why: r.why(v, d),
		}
		if v.matches {
			assigned += len(r.Handlers)
			s.Handlers = r.Handlers
			s.Ends = !r.Continue || assigned >= MaxAssignments
		}
		steps = append(steps, s)
		if s.Ends {
			break
		}
	}
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
	case r.Continue:
		return "it matches, and says to continue"
	default:
		return "it matches"
	}
}
