package wal

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
)

// The names of docs/FORMAT.md.
const (
	lockName       = "LOCK"
	snapshotName   = "snapshot"
	segmentSuffix  = ".wal"
	sparePrefix    = "spare-"
	temporary      = ".tmp"
	quarantineName = "quarantine-%04d"
	digits         = 10
)

func segmentName(number uint32) string { return fmt.Sprintf("%0*d%s", digits, number, segmentSuffix) }

func spareName(number uint64) string { return fmt.Sprintf("%s%0*d", sparePrefix, digits, number) }

// parseSegment returns the number in a segment's name, zero if it is no such name.
func parseSegment(name string) uint32 {
	text, found := strings.CutSuffix(name, segmentSuffix)
	number, err := strconv.ParseUint(text, 10, 32)
	if !found || err != nil || segmentName(uint32(number)) != name {
		return 0
	}
	return uint32(number)
}

// parseSpare returns the number in a spare's name, and whether it is one.
func parseSpare(name string) (uint64, bool) {
	text, found := strings.CutPrefix(name, sparePrefix)
	number, err := strconv.ParseUint(text, 10, 64)
	return number, found && err == nil && spareName(number) == name
}

// isQuarantine says whether a name is that of a folder which a repair has left.
func isQuarantine(name string) bool {
	var number int
	n, err := fmt.Sscanf(name, quarantineName, &number)
	return n == 1 && err == nil && fmt.Sprintf(quarantineName, number) == name
}

// folder is where a journal lives.
type folder struct {
	options
	dir string
}

func (f folder) path(name string) string { return filepath.Join(f.dir, name) }

// sync makes what was created, renamed and removed stay.
func (f folder) sync() error { return f.fs.SyncDir(f.dir) }
