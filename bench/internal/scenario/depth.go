//go:build linux

package scenario

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"github.com/hooktroupe/hooktroupe/bench/internal/report"
	"github.com/hooktroupe/hooktroupe/bench/internal/stats"
	"github.com/hooktroupe/hooktroupe/bench/internal/target"
)

// depth tells what a million waiting tasks change: the rate at which more are accepted, the memory, and the start.
func depth(ctx context.Context, b *Bench) error {
	s := target.DefaultSettings()
	s.Workers = 1
	return b.inFolder(func(folder string) error {
		d, err := target.StartDaemon(ctx, b.Program, folder, b.Sink, s)
		if err != nil {
			return err
		}
		if err := b.deepen(ctx, d); err != nil {
			return errors.Join(err, d.Kill())
		}
		if err := d.Kill(); err != nil {
			return err
		}
		d, err = b.restart(ctx, folder, s, "after a crash")
		if err != nil {
			return err
		}
		if err := d.Stop(); err != nil {
			return err
		}
		if d, err = b.restart(ctx, folder, s, "after a stop"); err != nil {
			return err
		}
		return d.Stop()
	})
}

// well is a daemon whose tasks all wait.
type well struct {
	*target.Daemon
	tasks int
}

// fill adds tasks until there are so many.
func (w *well) fill(ctx context.Context, tasks int) error {
	_, err := deliver(ctx, w.Daemon, target.Blocking, kilobyte, tasks-w.tasks)
	w.tasks = tasks
	return err
}

// rate adds tasks in five runs and returns the median of the rates at which they were accepted.
func (w *well) rate(ctx context.Context, tasks int) (float64, error) {
	var rates []float64
	for range 5 {
		result, err := deliver(ctx, w.Daemon, target.Blocking, kilobyte, tasks/5)
		if err != nil {
			return 0, err
		}
		w.tasks += tasks / 5
		rates = append(rates, result.PerSecond())
	}
	return stats.Median(rates), nil
}

// deepen fills a daemon and measures on the way.
func (b *Bench) deepen(ctx context.Context, d *target.Daemon) error {
	w := &well{Daemon: d}
	var rates []float64
	for _, tasks := range []int{b.scaled(100_000), b.scaled(600_000)} {
		if err := w.fill(ctx, tasks); err != nil {
			return err
		}
		rate, err := w.rate(ctx, b.scaled(100_000))
		if err != nil {
			return err
		}
		rates = append(rates, rate)
	}
	if err := w.fill(ctx, b.scaled(1_000_000)); err != nil {
		return err
	}
	memory, err := settled(ctx, d.Process.Process, b.lasting(10*time.Second, 3*time.Second))
	if err != nil {
		return err
	}
	b.Report.Tell("depth", "accepted, 100,000 waiting", rates[0], report.PerSecond)
	b.Report.Tell("depth", "accepted, 600,000 waiting", rates[1], report.PerSecond)
	b.Report.Judge("depth", "accepted, 600,000 against 100,000 waiting", rates[1]/rates[0], report.Ratio,
		report.Aim{Bound: report.AtLeast, Value: 0.95})
	b.Report.Judge("depth", "resident memory, a million waiting", megabytes(memory.Resident), report.Megabytes,
		report.Aim{Bound: report.AtMost, Value: 400})
	b.Report.Tell("depth", "the most it ever held", megabytes(memory.Peak), report.Megabytes)
	return nil
}

// restart starts a daemon in the folder of one that is gone and tells how long it took to get ready, against a plain
// read of the segments. Both find nothing of them in memory.
func (b *Bench) restart(ctx context.Context, folder string, s target.Settings, how string) (*target.Daemon, error) {
	everything := filepath.Join(target.JournalFolder(folder), "*")
	if err := target.Forget(everything); err != nil {
		return nil, err
	}
	plain, size, err := target.ReadAll(filepath.Join(target.JournalFolder(folder), "*.wal"))
	if err != nil {
		return nil, err
	}
	if err := target.Forget(everything); err != nil {
		return nil, err
	}
	began := time.Now()
	d, err := target.StartDaemon(ctx, b.Program, folder, b.Sink, s)
	if err != nil {
		return nil, err
	}
	ready := time.Since(began)
	memory, err := d.Memory()
	if err != nil {
		return nil, errors.Join(err, d.Kill())
	}
	b.Report.Tell("depth", how+": plain read of the journal", plain.Seconds(), report.Seconds)
	b.Report.Tell("depth", how+": size of the journal", megabytes(size), report.Megabytes)
	b.Report.Tell("depth", how+": ready", ready.Seconds(), report.Seconds)
	b.Report.Judge("depth", how+": ready, against the plain read", ready.Seconds()/plain.Seconds(), report.Ratio,
		report.Aim{Bound: report.AtMost, Value: 1.5})
	b.Report.Tell("depth", how+": resident memory", megabytes(memory.Resident), report.Megabytes)
	return d, nil
}
