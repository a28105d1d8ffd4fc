package metrics

// Sources is how the senders are answered, and how much of it they put up with. Sources are configured names.
type Sources struct {
	// ConsecutiveFailures is how many answers in a row failed, refusals of strangers aside {source}.
	ConsecutiveFailures Gauges
	// Limit is the failures in a row at which the sender is known to give up; zero when none is known {source}.
	Limit Gauges
	// State is 0 where the sender is healthy, 1 at half of its limit, 2 where it has likely given up {source}.
	State Gauges
	// LastAccepted is when a verified request was last answered with 2xx {source}.
	LastAccepted Gauges
	// SlowAcks counts answers that came later than the sender waits {source}.
	SlowAcks Counters
}

func newSources(d *declarer) Sources {
	return Sources{
		ConsecutiveFailures: d.gauges("source_consecutive_failures",
			"Failed or late answers since the last good one; requests that proved nothing do not count.", "source"),
		Limit: d.gauges("source_limit",
			"Failures in a row at which the sender is known to give up; zero when none is known.", "source"),
		State: d.gauges("source_state",
			"How near the sender is to giving up: 0 healthy, 1 at half of its limit, 2 where it has likely given up.", "source"),
		LastAccepted: d.gauges("source_last_accepted_timestamp_seconds",
			"When a verified request was last answered with 2xx, in seconds since 1970; zero for never since the start.", "source"),
		SlowAcks: d.counters("source_slow_acks_total",
			"Answers that came later than the sender waits.", "source"),
	}
}
