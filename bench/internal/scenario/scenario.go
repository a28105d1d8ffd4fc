//go:build linux

// Package scenario measures the daemon beside what bounds it. Each scenario runs daemons and ceilings of its own, in
// folders that are gone afterwards, and adds its lines to one report. A scenario that could not measure what it is
// named for, say because no compaction ended meanwhile, fails rather than report a number.
package scenario

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/hooktroupe/hooktroupe/bench/internal/load"
	"github.com/hooktroupe/hooktroupe/bench/internal/procfs"
	"github.com/hooktroupe/hooktroupe/bench/internal/report"
	"github.com/hooktroupe/hooktroupe/bench/internal/stats"
	"github.com/hooktroupe/hooktroupe/bench/internal/target"
)

// ErrUnknown means that there is no scenario of such a name.
var ErrUnknown = errors.New("no such scenario")

const (
	kilobyte = 1 << 10
	gigabyte = 1 << 30
	// usual is how many connections load comes over where a scenario does not vary them.
	usual = 64
	// endless is a count of deliveries that only a duration bounds.
	endless = 1 << 40
)

// Bench is what the scenarios run with.
type Bench struct {
	// Program is the daemon, as target.Build made it; Verifier the command that serves a ceiling.Verifier on the address
	// that follows as its last argument; Committer the command that serves one which commits each delivery to a bare log,
	// on an address and at a path that follow.
	Program             string
	Verifier, Committer []string
	// Folder is where data goes. It must exist; each scenario leaves it as it was.
	Folder string
	// Sink is where the daemons forward what is to wait.
	Sink *target.Sink
	// Short makes rounds few and brief, and takes a tenth of the tasks.
	Short bool
	// Report takes the lines, Progress one line of text as each scenario begins.
	Report   *report.Report
	Progress io.Writer
}

// scenario is one of them. It may write so many bytes before it cleans up.
type scenario struct {
	name string
	need int64
	run  func(context.Context, *Bench) error
}

func all() []scenario {
	return []scenario{
		{"accept", 6 * gigabyte, accept},
		{"written", 2 * gigabyte, written},
		{"waiting", 3 * gigabyte, waiting},
		{"gap", 4 * gigabyte, gap},
		{"depth", 4 * gigabyte, depth},
		{"lanes", gigabyte, lanes},
		{"retries", 4 * gigabyte, retries},
		{"store", 4 * gigabyte, store},
	}
}

// Names lists the scenarios in the order in which they run.
func Names() []string {
	var names []string
	for _, s := range all() {
		names = append(names, s.name)
	}
	return names
}

// Run runs the scenarios of these names, or all if there are none, in their own order. One for which the disk has not
// twice the room is skipped, which the report says; one that fails ends the run. An unknown name is an ErrUnknown before
// anything runs.
func (b *Bench) Run(ctx context.Context, only []string) error {
	for _, name := range only {
		if !slices.Contains(Names(), name) {
			return fmt.Errorf("%q: %w", name, ErrUnknown)
		}
	}
	for _, s := range all() {
		if len(only) > 0 && !slices.Contains(only, s.name) {
			continue
		}
		disk, err := target.DiskOf(b.Folder)
		if err != nil {
			return err
		}
		if disk.Free < 2*s.need {
			b.Report.Skip(s.name, fmt.Sprintf("%d GB are free below %s, and %d GB are needed",
				disk.Free/gigabyte, b.Folder, 2*s.need/gigabyte))
			continue
		}
		if _, err := fmt.Fprintf(b.Progress, "%s %s…\n", time.Now().Format(time.TimeOnly), s.name); err != nil {
			return err
		}
		if err := s.run(ctx, b); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}

// scaled is a number of tasks: all of them, or a tenth in a short run.
func (b *Bench) scaled(tasks int) int {
	if b.Short {
		return tasks / 10
	}
	return tasks
}

// lasting is one of two durations: that of a full run, or that of a short one.
func (b *Bench) lasting(full, short time.Duration) time.Duration {
	if b.Short {
		return short
	}
	return full
}

// inFolder runs f with a folder that is removed afterwards.
func (b *Bench) inFolder(f func(folder string) error) error {
	folder, err := os.MkdirTemp(b.Folder, "scenario-")
	if err != nil {
		return err
	}
	return errors.Join(f(folder), os.RemoveAll(folder))
}

// withDaemon runs f with a daemon of its own, which it stops afterwards, unless f fails: then it kills it.
func (b *Bench) withDaemon(ctx context.Context, s target.Settings, f func(d *target.Daemon, folder string) error) error {
	return b.inFolder(func(folder string) error {
		d, err := target.StartDaemon(ctx, b.Program, folder, b.Sink, s)
		if err != nil {
			return err
		}
		if err := f(d, folder); err != nil {
			return errors.Join(err, d.Kill())
		}
		return d.Stop()
	})
}

// deliver sends so many deliveries of an event and size, as fast as they are accepted.
func deliver(ctx context.Context, d *target.Daemon, event string, size, count int) (load.Result, error) {
	return load.Run(ctx, load.Plan{
		Address: d.Address, Connections: usual, Count: count, Requests: []load.Request{request(event, size)},
	})
}

func request(event string, size int) load.Request {
	return load.NewRequest(target.Secret, event, load.Body(size))
}

// drained waits until every task that the daemon accepted is completed. There must be no other kind.
func drained(ctx context.Context, d *target.Daemon) (target.Counts, error) {
	return d.Until(ctx, func(c target.Counts) bool { return c.Completed >= c.Accepted })
}

// compacted waits for two more compactions: the first may have begun before the call.
func compacted(ctx context.Context, d *target.Daemon) (target.Counts, error) {
	now, err := d.Counts(ctx)
	if err != nil {
		return now, err
	}
	return d.Until(ctx, func(c target.Counts) bool { return c.Compactions >= now.Compactions+2 })
}

// settled looks at a process's memory for a while and returns the least that it held: what the collector of garbage
// gives back only in time is not what the tasks need.
func settled(ctx context.Context, p procfs.Process, d time.Duration) (procfs.Memory, error) {
	look := time.NewTicker(d / 20)
	defer look.Stop()
	end := time.NewTimer(d)
	defer end.Stop()
	least, err := p.Memory()
	for err == nil {
		select {
		case <-look.C:
			var now procfs.Memory
			if now, err = p.Memory(); err == nil {
				least.Resident, least.Peak = min(least.Resident, now.Resident), now.Peak
			}
		case <-end.C:
			return least, nil
		case <-ctx.Done():
			return least, context.Cause(ctx)
		}
	}
	return least, err
}

// median is that of a value of all rounds.
func median[T any](rounds []T, value func(T) float64) float64 {
	values := make([]float64, len(rounds))
	for i, r := range rounds {
		values[i] = value(r)
	}
	return stats.Median(values)
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func megabytes(n int64) float64 { return float64(n) / (1 << 20) }
