//go:build linux

package scenario

import (
	"context"
	"path/filepath"
	"time"

	"github.com/hooktroupe/hooktroupe/bench/internal/report"
	"github.com/hooktroupe/hooktroupe/bench/internal/target"
)

// waiting tells what a task that waits costs: memory for what finds it, disk for its body.
func waiting(ctx context.Context, b *Bench) error {
	const size = 8 * kilobyte
	tasks := b.scaled(100_000)
	s := target.DefaultSettings()
	s.Workers, s.SnapshotInterval = 1, 2*time.Second
	return b.withDaemon(ctx, s, func(d *target.Daemon, folder string) error {
		// Some work first: pools and buffers are no cost of what waits.
		if _, err := deliver(ctx, d, target.Completing, size, tasks/20); err != nil {
			return err
		}
		if _, err := drained(ctx, d); err != nil {
			return err
		}
		pause := b.lasting(10*time.Second, 3*time.Second)
		before, err := settled(ctx, d.Process.Process, pause)
		if err != nil {
			return err
		}
		result, err := deliver(ctx, d, target.Blocking, size, tasks)
		if err != nil {
			return err
		}
		if _, err := compacted(ctx, d); err != nil {
			return err
		}
		after, err := settled(ctx, d.Process.Process, pause)
		if err != nil {
			return err
		}
		used, err := target.Usage(filepath.Join(target.JournalFolder(folder), "*"))
		if err != nil {
			return err
		}
		each := float64(after.Resident-before.Resident) / float64(tasks) / kilobyte
		b.Report.Judge("waiting", "resident memory per waiting task of 8 KB", each, report.Kilobytes,
			report.Aim{Bound: report.AtMost, Value: 0.5})
		b.Report.Tell("waiting", "resident memory, nothing waiting", megabytes(before.Resident), report.Megabytes)
		b.Report.Tell("waiting", "resident memory, all waiting", megabytes(after.Resident), report.Megabytes)
		b.Report.Tell("waiting", "accepted while they came", result.PerSecond(), report.PerSecond)
		b.Report.Tell("waiting", "journal on disk per waiting body byte, spares included",
			float64(used)/float64(size*tasks), report.Ratio)
		return nil
	})
}
