package metrics

import "github.com/prometheus/client_golang/prometheus"

// Config is what happens to the configuration while the daemon runs.
type Config struct {
	// Reloads counts them {outcome}: success, or failure, after which the configuration before it holds.
	Reloads Counters
	// LastReloadSuccessful is 1 where the last one was taken over, also before the first, and 0 where it was not.
	LastReloadSuccessful prometheus.Gauge
	// LastReloadSuccess is when a configuration was last taken over, the one of the start included.
	LastReloadSuccess prometheus.Gauge
	// RestartNeeded is how many keys differ from the file that hold from the next start on.
	RestartNeeded prometheus.Gauge
}

func newConfig(d *declarer) Config {
	c := Config{
		Reloads: d.counters("config_reloads_total",
			"Configurations that were read while the daemon runs, by success and failure.", "outcome"),
		LastReloadSuccessful: d.gauge("config_last_reload_successful",
			"1 when the last configuration that was read was taken over, 0 when the one before it holds."),
		LastReloadSuccess: d.gauge("config_last_reload_success_timestamp_seconds",
			"When a configuration was last taken over, in seconds since 1970."),
		RestartNeeded: d.gauge("config_restart_needed_keys",
			"Keys whose changes hold only from the next start on."),
	}
	c.Reloads.With("success").Add(0)
	c.Reloads.With("failure").Add(0)
	c.LastReloadSuccessful.Set(1)
	return c
}
