//go:build linux

package scenario

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/hooktroupe/hooktroupe/bench/internal/procfs"
	"github.com/hooktroupe/hooktroupe/bench/internal/report"
	"github.com/hooktroupe/hooktroupe/bench/internal/target"
)

// written tells how many bytes reach the disk for each byte of a body, by the time that the tasks are done and compacted.
func written(ctx context.Context, b *Bench) error {
	device, err := procfs.DeviceOf(b.Folder)
	if err != nil {
		return err
	}
	if _, err := device.Written(); errors.Is(err, os.ErrNotExist) {
		b.Report.Skip("written", b.Folder+" is on no disk that counts what is written to it")
		return nil
	}
	for _, c := range []struct {
		size, count int
		most        float64
	}{{1 * kilobyte, 400_000, 1.4}, {8 * kilobyte, 60_000, 1.1}} {
		s := target.DefaultSettings()
		s.Remembered, s.SnapshotInterval = 1000, time.Second
		err := b.withDaemon(ctx, s, func(d *target.Daemon, folder string) error {
			m := writing{d: d, device: device, size: c.size}
			return b.tellWriting(ctx, m, folder, b.scaled(c.count), report.Aim{Bound: report.AtMost, Value: c.most})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (b *Bench) tellWriting(ctx context.Context, m writing, folder string, count int, aim report.Aim) error {
	// The first segments are filled with zeros; what is measured is a daemon that has segments to use again.
	before, err := m.after(ctx, count/3)
	if err != nil {
		return err
	}
	after, err := m.after(ctx, count)
	if err != nil {
		return err
	}
	used, err := target.Usage(filepath.Join(target.JournalFolder(folder), "*"))
	if err != nil {
		return err
	}
	bodies := float64(count) * float64(m.size)
	name := func(what string) string { return fmt.Sprintf("%d KB: %s", m.size/kilobyte, what) }
	b.Report.Judge("written", name("written to the disk per body byte"), (after.disk-before.disk)/bodies, report.Ratio, aim)
	b.Report.Tell("written", name("given to the segments per body byte"), (after.journal-before.journal)/bodies, report.Ratio)
	b.Report.Tell("written", name("journal on disk, all tasks done"), megabytes(used), report.Megabytes)
	return nil
}

// writing is a daemon that takes bodies of one size, and the disk below it.
type writing struct {
	d      *target.Daemon
	device procfs.Device
	size   int
}

// writes is what was written by a moment, in bytes: to the disk by everybody, to the segments by the daemon.
type writes struct{ disk, journal float64 }

// after delivers so much and returns what is written once the tasks are done and the journal compacted.
func (m writing) after(ctx context.Context, count int) (writes, error) {
	if _, err := deliver(ctx, m.d, target.Completing, m.size, count); err != nil {
		return writes{}, err
	}
	if _, err := drained(ctx, m.d); err != nil {
		return writes{}, err
	}
	counts, err := compacted(ctx, m.d)
	if err != nil {
		return writes{}, err
	}
	disk, err := m.device.Written()
	return writes{disk: float64(disk), journal: counts.WrittenBytes}, err
}
