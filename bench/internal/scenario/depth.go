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
		if err := b.deepen(ctx, d, s); err != nil {
			return errors.Join(err, d.Kill())
		}
		if err := d.Kill(); err != nil {
			return err
		}
		if err := b.restarts(ctx, folder, s, "after a crash", (*target.Daemon).Kill); err != nil {
			return err
		}
		if d, err = target.StartDaemon(ctx, b.Program, folder, b.Sink, s); err != nil {
			return err
		}
		if err := d.Stop(); err != nil {
			return err
		}
		return b.restarts(ctx, folder, s, "after a stop", (*target.Daemon).Stop)
	})
}

// depthRuns is how often each rate and each start is measured.
const depthRuns = 5

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

// rate adds tasks and returns the rate at which they were accepted.
func (w *well) rate(ctx context.Context, tasks int) (float64, error) {
	result, err := deliver(ctx, w.Daemon, target.Blocking, kilobyte, tasks)
	w.tasks += tasks
	return result.PerSecond(), err
}

// deepen fills a daemon and measures on the way.
func (b *Bench) deepen(ctx context.Context, d *target.Daemon, s target.Settings) error {
	deep := &well{Daemon: d}
	err := b.withDaemon(ctx, s, func(d *target.Daemon, _ string) error { return b.compareDepths(ctx, &well{Daemon: d}, deep) })
	if err != nil {
		return err
	}
	if err := deep.fill(ctx, b.scaled(1_000_000)); err != nil {
		return err
	}
	memory, err := settled(ctx, d.Process.Process, b.lasting(10*time.Second, 3*time.Second))
	if err != nil {
		return err
	}
	b.Report.Judge("depth", "resident memory, a million waiting", megabytes(memory.Resident), report.Megabytes,
		report.Aim{Bound: report.AtMost, Value: 400})
	b.Report.Tell("depth", "the most it ever held", megabytes(memory.Peak), report.Megabytes)
	return nil
}

// compareDepths measures two daemons in turn, one with six times the tasks of the other: what the machine does meanwhile
// happens to both.
func (b *Bench) compareDepths(ctx context.Context, shallow, deep *well) error {
	if err := errors.Join(shallow.fill(ctx, b.scaled(100_000)), deep.fill(ctx, b.scaled(600_000))); err != nil {
		return err
	}
	var rates, depths, ratios []float64
	for range depthRuns {
		rate, err := shallow.rate(ctx, b.scaled(20_000))
		if err != nil {
			return err
		}
		below, err := deep.rate(ctx, b.scaled(20_000))
		if err != nil {
			return err
		}
		rates, depths, ratios = append(rates, rate), append(depths, below), append(ratios, below/rate)
	}
	b.Report.Tell("depth", "accepted, 100,000 waiting", stats.Median(rates), report.PerSecond)
	b.Report.Tell("depth", "accepted, 600,000 waiting", stats.Median(depths), report.PerSecond)
	b.Report.Judge("depth", "accepted, 600,000 against 100,000 waiting", stats.Median(ratios), report.Ratio,
		report.Aim{Bound: report.AtLeast, Value: 0.95})
	return nil
}

// start is what one start was measured at: in seconds, bytes and megabytes.
type start struct {
	plain, ready float64
	size         int64
	resident     float64
}

// restarts starts the daemon of a folder and ends it, several times, and tells how long it took to get ready, against a
// plain read of the segments just before.
func (b *Bench) restarts(
	ctx context.Context, folder string, s target.Settings, how string, end func(*target.Daemon) error,
) error {
	var all []start
	for range depthRuns {
		one, err := b.restart(ctx, folder, s, end)
		if err != nil {
			return err
		}
		all = append(all, one)
	}
	tell := func(what string, unit report.Unit, value func(start) float64) {
		b.Report.Tell("depth", how+": "+what, median(all, value), unit)
	}
	tell("plain read of the journal", report.Seconds, func(s start) float64 { return s.plain })
	tell("size of the journal", report.Megabytes, func(s start) float64 { return megabytes(s.size) })
	tell("ready", report.Seconds, func(s start) float64 { return s.ready })
	tell("resident memory", report.Megabytes, func(s start) float64 { return s.resident })
	b.Report.Judge("depth", how+": ready, against the plain read", median(all, func(s start) float64 { return s.ready / s.plain }),
		report.Ratio, report.Aim{Bound: report.AtMost, Value: 1.5})
	return nil
}

// restart measures one start. It and the plain read find nothing of the files in memory.
func (b *Bench) restart(
	ctx context.Context, folder string, s target.Settings, end func(*target.Daemon) error,
) (one start, err error) {
	everything := filepath.Join(target.JournalFolder(folder), "*")
	if err := target.Forget(everything); err != nil {
		return one, err
	}
	plain, size, err := target.ReadAll(filepath.Join(target.JournalFolder(folder), "*.wal"))
	if err != nil {
		return one, err
	}
	if err := target.Forget(everything); err != nil {
		return one, err
	}
	began := time.Now()
	d, err := target.StartDaemon(ctx, b.Program, folder, b.Sink, s)
	if err != nil {
		return one, err
	}
	ready := time.Since(began)
	memory, err := d.Memory()
	if err != nil {
		return one, errors.Join(err, d.Kill())
	}
	return start{plain.Seconds(), ready.Seconds(), size, megabytes(memory.Resident)}, end(d)
}
