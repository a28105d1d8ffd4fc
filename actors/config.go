package actors

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// Config is what an operator may set about the work. The zero value of a field means its default.
type Config struct {
	// Workers is how many attempts run at once: 1 to 10,000, default 5.
	Workers int
	// MaxAttempts bounds the automatic attempts of a task whose handler does not say otherwise: 1 to 65,535, default 3.
	MaxAttempts int
	// AttemptTimeout bounds one attempt, from the call of the handler to its return, where its binding does not say
	// otherwise. Default 30 s.
	AttemptTimeout time.Duration
	// Grace is how long after its deadline a handler may take to return before it is abandoned. Default 5 s.
	Grace time.Duration
	// BackoffBase and BackoffCap bound the wait between attempts: exponential with full jitter. Default 1 s and 5 min.
	BackoffBase, BackoffCap time.Duration
	// QuarantineAfter is how many panics in a row make a task a dead letter, whatever attempts are left: 1 to 255, default 3,
	// -1 for never.
	QuarantineAfter int
	// MaxWaiting bounds the tasks that are not final; beyond it new deliveries are refused. Default 1,000,000.
	MaxWaiting int
	// MaxFinished bounds how many finished tasks are remembered; the oldest go first. Dead letters do not count: they
	// stay until CleanupAge. Default 100,000.
	MaxFinished int
	// CleanupAge is how long a finished task is remembered, dead letters included. Default 24 h.
	CleanupAge time.Duration
	// SnapshotInterval is the time between snapshots that are taken whatever happens. Default 300 s.
	SnapshotInterval time.Duration
	// MaxTailChanges and MaxTailBytes are how much the journal may hold behind the last snapshot before the next one is due
	// whatever the interval: changes of tasks, default 250,000, or half as many as there are tasks where that is more; and
	// bytes, default 256 MiB, or 256 for each task. A start takes a second for two to four of either.
	MaxTailChanges, MaxTailBytes int
	// AnswerTimeout bounds the wait for the registry's and the persister's answer. Default 8 s, within the ten seconds
	// that most senders give.
	AnswerTimeout time.Duration
}

// WithDefaults returns the configuration with zero fields filled in.
func (c Config) WithDefaults() Config {
	c.Workers = or(c.Workers, 5)
	c.MaxAttempts = or(c.MaxAttempts, 3)
	c.AttemptTimeout = or(c.AttemptTimeout, 30*time.Second)
	c.Grace = or(c.Grace, 5*time.Second)
	c.BackoffBase = or(c.BackoffBase, time.Second)
	c.BackoffCap = or(c.BackoffCap, 5*time.Minute)
	c.QuarantineAfter = or(c.QuarantineAfter, 3)
	c.MaxWaiting = or(c.MaxWaiting, 1_000_000)
	c.MaxFinished = or(c.MaxFinished, 100_000)
	c.CleanupAge = or(c.CleanupAge, 24*time.Hour)
	c.SnapshotInterval = or(c.SnapshotInterval, 300*time.Second)
	c.MaxTailChanges = or(c.MaxTailChanges, 250_000)
	c.MaxTailBytes = or(c.MaxTailBytes, 256<<20)
	c.AnswerTimeout = or(c.AnswerTimeout, 8*time.Second)
	return c
}

func or[T comparable](value, fallback T) T {
	var zero T
	if value == zero {
		return fallback
	}
	return value
}

// Validate says what is wrong with a configuration whose defaults are filled in, all at once.
func (c Config) Validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(c.Workers >= 1 && c.Workers <= 10_000, "workers: %d is not within 1 to 10000", c.Workers)
	check(c.MaxAttempts >= 1 && c.MaxAttempts <= math.MaxUint16,
		"max attempts: %d is not within 1 to %d", c.MaxAttempts, math.MaxUint16)
	check(c.QuarantineAfter == -1 || c.QuarantineAfter >= 1 && c.QuarantineAfter <= math.MaxUint8,
		"quarantine after: %d is neither -1 nor within 1 to %d", c.QuarantineAfter, math.MaxUint8)
	check(c.MaxWaiting >= 1, "max waiting: %d is below 1", c.MaxWaiting)
	check(c.MaxFinished >= 1, "max finished: %d is below 1", c.MaxFinished)
	check(c.MaxTailChanges >= 1, "max tail changes: %d is below 1", c.MaxTailChanges)
	check(c.MaxTailBytes >= 1, "max tail bytes: %d is below 1", c.MaxTailBytes)
	check(c.BackoffCap >= c.BackoffBase, "backoff cap: %v is below the base of %v", c.BackoffCap, c.BackoffBase)
	for name, d := range map[string]time.Duration{
		"attempt timeout": c.AttemptTimeout, "grace": c.Grace, "backoff base": c.BackoffBase,
		"cleanup age": c.CleanupAge, "snapshot interval": c.SnapshotInterval, "answer timeout": c.AnswerTimeout,
	} {
		check(d > 0, "%s: %v is not positive", name, d)
	}
	return errors.Join(errs...)
}
