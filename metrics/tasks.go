package metrics

import "github.com/prometheus/client_golang/prometheus"

// Tasks is what happens to tasks.
type Tasks struct {
	// Accepted counts new tasks {source}.
	Accepted Counters
	// Duplicates counts deliveries seen before {source}.
	Duplicates Counters
	// Redelivered counts failed tasks that run again because the sender sent them again {source}.
	Redelivered Counters
	// Attempts counts attempts by how they ended {handler, outcome}.
	Attempts Counters
	// AttemptSeconds is from the call of a handler to its return {handler}.
	AttemptSeconds Histograms
	// QueueSeconds is from the acceptance of a delivery to the start of its first attempt.
	QueueSeconds prometheus.Histogram
	// Finished counts tasks that reached a final status {status}.
	Finished Counters
	// AbandonedRunning is how many handlers ignored their deadline and still run.
	AbandonedRunning prometheus.Gauge
	// Crashes counts attempts that ended in a panic.
	Crashes prometheus.Counter
	// Tasks is how many tasks are remembered {status}.
	Tasks Gauges
	// OldestWaitingSeconds is the age of the oldest task that is not final; zero when there is none.
	OldestWaitingSeconds prometheus.Gauge
	// BreakerOpen is 1 while nothing is let through to a handler, 0.5 while a probe decides, else 0 {handler}. The value of
	// the label is the name of a handler, or "route NAME" for the breaker of a route.
	BreakerOpen Gauges
	// Unfinished is how many tasks of each route are not final {route, status}: those that routes run, so that a delivery
	// that was split counts once for each part.
	Unfinished Gauges
	// Lanes is how many lanes there are {route, waiting}, by how many tasks wait in them: "0", "1", "2-9", "10-99",
	// "100-999" or "1000+". There may be a lane for each key that a sender thinks of, so none has a series of its own.
	Lanes Gauges
	// LanesPaused is how many lanes operators keep from starting tasks.
	LanesPaused prometheus.Gauge
}

func newTasks(d *declarer) Tasks {
	return Tasks{
		Accepted:    d.counters("tasks_accepted_total", "New tasks on stable storage.", "source"),
		Duplicates:  d.counters("tasks_duplicates_total", "Deliveries that were seen before.", "source"),
		Redelivered: d.counters("tasks_redelivered_total", "Failed tasks that their sender sent again.", "source"),
		Attempts: d.counters("tasks_attempts_total",
			"Attempts ended, by handler and outcome.", "handler", "outcome"),
		AttemptSeconds: d.histograms("tasks_attempt_seconds",
			"Time from the call of a handler to its return.", slowBuckets(), "handler"),
		QueueSeconds: d.histogram("tasks_queue_seconds",
			"Time from the acceptance of a delivery to its first attempt.", slowBuckets()),
		Finished: d.counters("tasks_finished_total", "Tasks that became final, by status.", "status").
			from("completed", "failed", "cancelled", "superseded"),
		AbandonedRunning: d.gauge("tasks_abandoned_running",
			"Handlers that ignored their deadline and still run."),
		Crashes: d.counter("tasks_crashes_total", "Attempts that ended in a panic."),
		Tasks:   d.gauges("tasks", "Tasks remembered, by status.", "status"),
		OldestWaitingSeconds: d.gauge("tasks_oldest_waiting_seconds",
			"Age of the oldest task that is not final; zero when none waits."),
		BreakerOpen: d.gauges("tasks_breaker_open",
			"1 while the breaker of a handler, or of a route as \"route NAME\", is open, 0.5 while a probe decides, else 0.", "handler"),
		Unfinished: d.gauges("tasks_unfinished",
			"Tasks of a route that wait, run or are retried, by status; a delivery that was split counts once for each part.",
			"route", "status"),
		Lanes: d.gauges("lanes",
			"Lanes of a route that hold tasks or are paused, by how many tasks wait in them.", "route", "waiting"),
		LanesPaused: d.gauge("lanes_paused", "Lanes that operators keep from starting tasks."),
	}
}
