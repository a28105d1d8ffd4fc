//go:build linux

package scenario

import (
	"context"
	"fmt"
	"time"

	"github.com/hooktroupe/hooktroupe/bench/internal/report"
	"github.com/hooktroupe/hooktroupe/bench/internal/target"
)

// retries tells what a task costs that waits for its next attempt, beside one that waits for its first, and that none of
// them has a goroutine.
func retries(ctx context.Context, b *Bench) error {
	tasks := b.scaled(1_000_000)
	waiting, _, err := b.idling(ctx, target.Blocking, tasks)
	if err != nil {
		return err
	}
	retrying, counts, err := b.idling(ctx, target.Pinning, tasks)
	if err != nil {
		return err
	}
	b.Report.Tell("retries", "resident memory, a million that wait for their first attempt", megabytes(waiting), report.Megabytes)
	b.Report.Tell("retries", "resident memory, a million that wait for their second", megabytes(retrying), report.Megabytes)
	b.Report.Judge("retries", "second against first", float64(retrying)/float64(waiting), report.Ratio,
		report.Aim{Bound: report.AtMost, Value: 1.5})
	b.Report.Judge("retries", "goroutines with a million that wait", counts.Goroutines, "",
		report.Aim{Bound: report.AtMost, Value: 200})
	return nil
}

// idling is the memory, in bytes, of a daemon in which so many tasks of 1 KB wait as their event says, and its counts.
func (b *Bench) idling(ctx context.Context, event string, tasks int) (resident int64, counts target.Counts, err error) {
	settings := target.DefaultSettings()
	if event == target.Pinning {
		settings.Workers = laneWorkers
	} else {
		settings.Workers = 1
	}
	err = b.withDaemon(ctx, settings, func(d *target.Daemon, _ string) error {
		// In parts, so that none takes longer than Until waits.
		for part := range 10 {
			if _, err := deliver(ctx, d, event, kilobyte, tasks/10); err != nil {
				return err
			}
			if event != target.Pinning {
				continue
			}
			if counts, err = d.Until(ctx, func(c target.Counts) bool { return int(c.Retrying) >= (part+1)*tasks/10 }); err != nil {
				return fmt.Errorf("%d tasks wait for a retry: %w", int(counts.Retrying), err)
			}
		}
		memory, err := settled(ctx, d.Process.Process, b.lasting(10*time.Second, 3*time.Second))
		resident = memory.Resident
		return err
	})
	return resident, counts, err
}
