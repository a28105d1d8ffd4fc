package wal_test

import (
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/hooktroupe/hooktroupe/internal/vfs"
	"github.com/hooktroupe/hooktroupe/journal"
	"github.com/hooktroupe/hooktroupe/journal/journaltest"
	"github.com/hooktroupe/hooktroupe/journal/wal"
)

const dir = "data"

// disk is a journal together with what it lies on, so that a test can get at the latter.
type disk struct {
	*wal.Journal
	fs     vfs.FS
	dir    string
	config wal.Config
	salts  *atomic.Uint64
}

// openDisk opens the journal in a folder; salts go on from one opening to the next, and are the same in every run.
func openDisk(fs vfs.FS, dir string, config wal.Config, salts *atomic.Uint64) (*disk, error) {
	if salts == nil {
		salts = new(atomic.Uint64)
	}
	j, err := wal.Open(dir, config, wal.WithFS(fs), withSalts(salts))
	if err != nil {
		return nil, err
	}
	return &disk{Journal: j, fs: fs, dir: dir, config: config, salts: salts}, nil
}

func withSalts(last *atomic.Uint64) wal.Option {
	return wal.WithSalts(func() uint64 { return last.Add(1) * 0x9e3779b97f4a7c15 })
}

func mustOpen(tb testing.TB, fs vfs.FS, dir string, config wal.Config, salts *atomic.Uint64) *disk {
	tb.Helper()
	d, err := openDisk(fs, dir, config, salts)
	if err != nil {
		tb.Fatalf("Open: %v", err)
	}
	return d
}

// again opens what a disk has now.
func (d *disk) again(tb testing.TB) *disk {
	tb.Helper()
	return mustOpen(tb, d.fs, d.dir, d.config, d.salts)
}

func features(fs func() vfs.FS, dir func(testing.TB) string, segment int64) journaltest.Features {
	return journaltest.Features{
		Open: func(tb testing.TB, budget int64) journal.Journal {
			tb.Helper()
			return mustOpen(tb, fs(), dir(tb), wal.Config{SegmentBytes: segment, MaxBytes: budget}, nil)
		},
		Snapshots: func(_ testing.TB, j journal.Journal) journal.Snapshots { return j.(*disk).Snapshots() },
		Budget:    16 * segment,
		Reopen: func(tb testing.TB, j journal.Journal) journal.Journal {
			tb.Helper()
			return j.(*disk).again(tb)
		},
	}
}

func TestConformanceOS(t *testing.T) {
	folder := func(tb testing.TB) string { tb.Helper(); return tb.TempDir() }
	journaltest.Run(t, features(func() vfs.FS { return vfs.OS{} }, folder, 64<<10))
}

func TestConformanceMem(t *testing.T) {
	for name, segment := range map[string]int64{"small": 16 << 10, "large": 256 << 10} {
		t.Run(name, func(t *testing.T) {
			f := features(func() vfs.FS { return vfs.NewMem(0) }, func(testing.TB) string { return dir }, segment)
			f.PowerCut = func(tb testing.TB, j journal.Journal, seed uint64) journal.Journal {
				tb.Helper()
				d := j.(*disk)
				after := d.fs.(*vfs.Mem).PowerCut(rand.New(rand.NewPCG(seed, 0)))
				return mustOpen(tb, after, d.dir, d.config, d.salts)
			}
			journaltest.Run(t, f)
		})
	}
}
