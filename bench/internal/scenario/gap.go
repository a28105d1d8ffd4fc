//go:build linux

package scenario

import (
	"context"
	"errors"
	"time"

	"github.com/hooktroupe/hooktroupe/bench/internal/load"
	"github.com/hooktroupe/hooktroupe/bench/internal/report"
	"github.com/hooktroupe/hooktroupe/bench/internal/target"
)

// errNoCompaction means that the longest gap says nothing about compaction.
var errNoCompaction = errors.New("no compaction ended while the gaps were measured")

// gap tells how long a sender may be kept waiting by a snapshot and a compaction with many tasks waiting. What the
// machine does by itself is told beside it: the longest gap of a daemon that does neither.
func gap(ctx context.Context, b *Bench) error {
	quiet := target.DefaultSettings()
	quiet.SnapshotInterval = time.Hour
	err := b.withDaemon(ctx, quiet, func(d *target.Daemon, _ string) error {
		result, err := b.steady(ctx, d)
		if err != nil {
			return err
		}
		b.Report.Tell("gap", "longest between acks, no snapshot, nothing waiting", milliseconds(result.LongestGap), report.Milliseconds)
		return nil
	})
	if err != nil {
		return err
	}
	busy := target.DefaultSettings()
	busy.Remembered, busy.SnapshotInterval = 1000, b.lasting(5*time.Second, time.Second)
	return b.withDaemon(ctx, busy, func(d *target.Daemon, _ string) error {
		tasks := b.scaled(100_000)
		if _, err := deliver(ctx, d, target.Pinning, 8*kilobyte, tasks); err != nil {
			return err
		}
		before, err := d.Until(ctx, func(c target.Counts) bool { return c.Retrying >= float64(tasks) })
		if err != nil {
			return err
		}
		result, err := b.steady(ctx, d)
		if err != nil {
			return err
		}
		after, err := d.Counts(ctx)
		if err != nil {
			return err
		}
		if after.Compactions <= before.Compactions {
			return errNoCompaction
		}
		b.Report.Judge("gap", "longest between acks, snapshots and compaction", milliseconds(result.LongestGap), report.Milliseconds,
			report.Aim{Bound: report.AtMost, Value: 50})
		b.Report.Tell("gap", "p99 of the same deliveries", milliseconds(result.Latency.Percentile(99)), report.Milliseconds)
		b.Report.Tell("gap", "compactions meanwhile", after.Compactions-before.Compactions, "")
		b.Report.Tell("gap", "segments rewritten meanwhile", after.Rewritten-before.Rewritten, "")
		b.Report.Tell("gap", "segments recycled or removed meanwhile",
			after.Recycled+after.Removed-before.Recycled-before.Removed, "")
		return nil
	})
}

// steady sends 2,000 deliveries a second. One in five is to wait, so that the segments which they fill are worth a
// rewrite: less than a quarter of each is live.
func (b *Bench) steady(ctx context.Context, d *target.Daemon) (load.Result, error) {
	done, kept := request(target.Completing, 8*kilobyte), request(target.Pinning, 8*kilobyte)
	return load.Run(ctx, load.Plan{
		Address: d.Address, Connections: usual, Count: endless, Rate: 2000,
		Duration: b.lasting(30*time.Second, 10*time.Second),
		Requests: []load.Request{done, done, kept, done, done},
	})
}
