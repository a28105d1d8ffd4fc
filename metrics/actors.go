package metrics

import "github.com/prometheus/client_golang/prometheus"

// Actors is how the actors fare.
type Actors struct {
	// MailboxDepth is how many messages wait {actor}; the name is that of a fixed actor, never of one task.
	MailboxDepth Gauges
	// Restarts counts actors that a supervisor restarted {actor}: attempt, or handler for those of an embedding program.
	Restarts Counters
	// Undelivered counts messages to actors that were not there any more.
	Undelivered prometheus.Counter
}

func newActors(d *declarer) Actors {
	return Actors{
		MailboxDepth: d.gauges("actor_mailbox_depth", "Messages that wait for an actor.", "actor"),
		Restarts: d.counters("actor_restarts_total",
			"Actors that a supervisor restarted after a panic, by kind.", "actor").from("attempt", "handler"),
		Undelivered: d.counter("actor_undelivered_total",
			"Messages to actors that were not there any more."),
	}
}
