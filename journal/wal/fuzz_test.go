package wal_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"syscall"
	"testing"

	"github.com/hooktroupe/hooktroupe/internal/vfs"
	"github.com/hooktroupe/hooktroupe/journal"
	"github.com/hooktroupe/hooktroupe/journal/wal"
)

// fuzzBytes bounds a fuzzed file, and fuzzDisk the disk that it lies on: sizes that a file claims are not to be
// believed.
const (
	fuzzBytes = 64 << 10
	fuzzDisk  = 1 << 20
)

// fuzzFS returns a disk with one file of the journal.
func fuzzFS(t *testing.T, name string, data []byte) *vfs.Mem {
	t.Helper()
	fs := vfs.NewMem(fuzzDisk)
	if err := fs.MakeDir(dir); err != nil {
		t.Fatal(err)
	}
	put(t, fs, name, data)
	return fs
}

// vouch makes bytes into a segment with a head that holds, so that what lies behind it is looked at.
func vouch(data []byte) []byte {
	data = append(bytes.Clone(data), make([]byte, max(0, wal.MinSegmentBytes-len(data)))...)
	copy(data, "HOOKSEG\x00\x01\x00")
	binary.LittleEndian.PutUint32(data[12:], 1)
	binary.LittleEndian.PutUint64(data[24:], uint64(len(data)))
	binary.LittleEndian.PutUint32(data[60:], crc32.Checksum(data[:60], crc32.MakeTable(crc32.Castagnoli)))
	return data
}

// FuzzOpenSegment: whatever a segment has, it is read or it is damaged, and after a repair it is read. With vouched the
// head is made to hold.
func FuzzOpenSegment(f *testing.F) {
	for _, name := range goldenFiles {
		data := goldenFile(f, name)
		f.Add(data, false)
		f.Add(data, true)
		f.Add(data[:len(data)/2], true)
	}
	f.Fuzz(func(t *testing.T, data []byte, vouched bool) {
		if vouched {
			data = vouch(data)
		}
		if len(data) > fuzzBytes {
			t.Skip("too large")
		}
		fs := fuzzFS(t, "0000000001.wal", data)
		report, err := wal.Verify(dir, wal.WithFS(fs))
		if err != nil {
			t.Fatalf("Verify: %v", err)
		}
		switch err := openAll(fs); {
		case errors.Is(err, syscall.ENOSPC):
			return // the segment is larger than the disk
		case (err != nil) != (report.Verdict() == wal.Damaged), err != nil && !errors.Is(err, journal.ErrCorrupt):
			t.Fatalf("Open: %v; Verify: %+v", err, report)
		}
		if _, _, err := wal.Repair(dir, wal.WithFS(fs)); err != nil {
			t.Fatalf("Repair: %v", err)
		}
		if err := openAll(fs); err != nil {
			t.Fatalf("Open after Repair: %v", err)
		}
	})
}

// openAll reads all of a journal and appends to it.
func openAll(fs vfs.FS) error {
	j, err := openDisk(fs, dir, wal.Config{SegmentBytes: wal.MinSegmentBytes}, nil)
	if err != nil {
		return err
	}
	_, err = replay(j)
	if err == nil {
		_, err = j.Append(nil, []journal.Entry{{Type: 1, Data: []byte("one more")}}, journal.Options{Sync: true})
	}
	return errors.Join(err, j.Close())
}

// FuzzSnapshotHeader: whatever a snapshot has, it is damaged or it is what saving the same would have written.
func FuzzSnapshotHeader(f *testing.F) {
	data := goldenFile(f, "snapshot")
	f.Add(data)
	f.Add(data[:70])
	f.Add(append(bytes.Clone(data), 0))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > fuzzBytes {
			t.Skip("too large")
		}
		snapshots := wal.OpenSnapshots(dir, wal.WithFS(fuzzFS(t, "snapshot", data)))
		covered, in, err := snapshots.Load()
		var state []byte
		if err == nil {
			state, err = io.ReadAll(in)
			err = errors.Join(err, in.Close())
		}
		if errors.Is(err, journal.ErrCorrupt) {
			return
		}
		if err != nil {
			t.Fatalf("Load: %v", err)
		}
		fs := fuzzFS(t, "snapshot", nil)
		err = wal.OpenSnapshots(dir, wal.WithFS(fs)).Save(covered, func(out io.Writer) error {
			_, err := out.Write(state)
			return err
		})
		if err != nil || !bytes.Equal(contents(t, fs, "snapshot"), data) {
			t.Fatalf("%d bytes are loaded that would have been saved otherwise: %v", len(data), err)
		}
	})
}
