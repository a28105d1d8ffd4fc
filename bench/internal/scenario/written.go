//go:build linux

package scenario

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/hooktroupe/hooktroupe/bench/internal/load"
	"github.com/hooktroupe/hooktroupe/bench/internal/report"
	"github.com/hooktroupe/hooktroupe/bench/internal/target"
)

// written tells how many bytes reach the disk for each byte of a body, by the time that the tasks are done and compacted.
func written(ctx context.Context, b *Bench) error {
	for _, c := range []struct {
		size int
		most float64
	}{{1 * kilobyte, 1.4}, {8 * kilobyte, 1.1}} {
		s := target.DefaultSettings()
		s.Remembered, s.SnapshotInterval = 1000, time.Second
		err := b.withDaemon(ctx, s, func(d *target.Daemon, folder string) error {
			return b.writtenBy(ctx, d, folder, c.size, report.Aim{Bound: report.AtMost, Value: c.most})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (b *Bench) writtenBy(ctx context.Context, d *target.Daemon, folder string, size int, aim report.Aim) error {
	plan := load.Plan{
		Address: d.Address, Connections: usual, Count: endless, Duration: b.lasting(3*time.Second, time.Second),
		Requests: []load.Request{request(target.Completing, size)},
	}
	// The first segments are filled with zeros; what is measured is a daemon that has segments to use again.
	_, before, err := writtenAfter(ctx, d, plan)
	if err != nil {
		return err
	}
	plan.Duration = b.lasting(10*time.Second, 2*time.Second)
	result, after, err := writtenAfter(ctx, d, plan)
	if err != nil {
		return err
	}
	used, err := target.Usage(filepath.Join(target.JournalFolder(folder), "*"))
	if err != nil {
		return err
	}
	bodies := float64(result.Accepted) * float64(size)
	name := func(what string) string { return fmt.Sprintf("%d KB: %s", size/kilobyte, what) }
	b.Report.Judge("written", name("written to disk per body byte"), (after.kernel-before.kernel)/bodies, report.Ratio, aim)
	b.Report.Tell("written", name("given to the journal's files per body byte"), (after.journal-before.journal)/bodies, report.Ratio)
	b.Report.Tell("written", name("journal on disk, all tasks done"), megabytes(used), report.Megabytes)
	return nil
}

// writes is what a daemon has written since it began, in bytes: as the kernel counts it, in pages, and as it counts its
// journal itself.
type writes struct{ kernel, journal float64 }

// writtenAfter runs a plan and returns what is written once its tasks are done and the journal compacted.
func writtenAfter(ctx context.Context, d *target.Daemon, p load.Plan) (load.Result, writes, error) {
	result, err := load.Run(ctx, p)
	if err != nil {
		return result, writes{}, err
	}
	if _, err := drained(ctx, d); err != nil {
		return result, writes{}, err
	}
	counts, err := compacted(ctx, d)
	if err != nil {
		return result, writes{}, err
	}
	kernel, err := d.Written()
	return result, writes{kernel: float64(kernel), journal: counts.WrittenBytes}, err
}
