package wal

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/hooktroupe/hooktroupe/internal/vfs"
)

// The bounds and defaults of Config.
const (
	MinSegmentBytes     = 4 << 10
	MaxSegmentBytes     = 1 << 30
	DefaultSegmentBytes = 64 << 20

	DefaultHighWater     = 0.9
	DefaultSpareSegments = 2
	DefaultRewriteBelow  = 0.25

	// minSegments is how many segments any budget must have room for: one that is written, one kept back for
	// Options.Reserve, and two to compact.
	minSegments = 4
)

// Config is what the operator may choose.
type Config struct {
	// SegmentBytes is the size of one segment file, a multiple of 4096 from MinSegmentBytes to MaxSegmentBytes. Zero
	// means DefaultSegmentBytes (64 MiB). It may change between openings; a group that does not fit gets a segment of
	// its own.
	SegmentBytes int64
	// MaxBytes bounds what all segments, spares included, take on disk; snapshots do not count. At least four segments.
	// Zero means no bound but the disk's.
	MaxBytes int64
	// HighWater is the fraction of MaxBytes, above 0 and at most 1, that groups without Options.Reserve may fill. Zero
	// means DefaultHighWater (0.9).
	HighWater float64
	// SpareSegments is how many segments are kept ready, the one held back for Options.Reserve included: 2 to 64. Zero
	// means DefaultSpareSegments (2).
	SpareSegments int
	// RewriteBelow is the fraction of live bytes, above 0 and below 1, under which compaction rewrites a segment. Zero
	// means DefaultRewriteBelow (0.25): below a quarter.
	RewriteBelow float64
}

// WithDefaults returns the configuration with every zero replaced by its default.
func (c Config) WithDefaults() Config {
	if c.SegmentBytes == 0 {
		c.SegmentBytes = DefaultSegmentBytes
	}
	if c.HighWater == 0 {
		c.HighWater = DefaultHighWater
	}
	if c.SpareSegments == 0 {
		c.SpareSegments = DefaultSpareSegments
	}
	if c.RewriteBelow == 0 {
		c.RewriteBelow = DefaultRewriteBelow
	}
	return c
}

// Validate says everything that is wrong with a configuration that has its defaults.
func (c Config) Validate() error {
	var wrong []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			wrong = append(wrong, fmt.Errorf(format, args...))
		}
	}
	check(c.SegmentBytes >= MinSegmentBytes && c.SegmentBytes <= MaxSegmentBytes && c.SegmentBytes%pageBytes == 0,
		"segment_bytes: %d is not a multiple of %d from %d to %d",
		c.SegmentBytes, pageBytes, MinSegmentBytes, MaxSegmentBytes)
	check(c.MaxBytes == 0 || c.MaxBytes >= minSegments*c.SegmentBytes,
		"max_bytes: %d is less than %d segments of %d bytes", c.MaxBytes, minSegments, c.SegmentBytes)
	check(c.HighWater > 0 && c.HighWater <= 1, "high_water: %g is not above 0 and at most 1", c.HighWater)
	check(c.SpareSegments >= 2 && c.SpareSegments <= 64, "spare_segments: %d is not from 2 to 64", c.SpareSegments)
	check(c.RewriteBelow > 0 && c.RewriteBelow < 1, "rewrite_below: %g is not between 0 and 1", c.RewriteBelow)
	return errors.Join(wrong...)
}

// options are what the embedder and the tests may choose.
type options struct {
	fs   vfs.FS
	salt func() uint64
	time func() (stop func())
}

// Option changes how a journal is opened, inspected or repaired.
type Option func(*options)

// WithFS makes the journal live on another file system than the operating system's.
func WithFS(fs vfs.FS) Option { return func(o *options) { o.fs = fs } }

// WithSalts replaces the random salts of new segments, so that the same history gives the same bytes. Salts that repeat
// let stale content be read as new: for tests only.
func WithSalts(next func() uint64) Option { return func(o *options) { o.salt = next } }

// WithSyncTimer has start called before each sync of the segment that is written, and what it returns after it, whatever
// came of it. Neither may block.
func WithSyncTimer(start func() (stop func())) Option { return func(o *options) { o.time = start } }

func newOptions(opts []Option) options {
	o := options{fs: vfs.OS{}, salt: randomSalt, time: func() func() { return func() {} }}
	for _, set := range opts {
		set(&o)
	}
	return o
}

// randomSalt cannot fail: crypto/rand ends the process rather than return an error.
func randomSalt() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:])
	return binary.LittleEndian.Uint64(b[:])
}
