package wal_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/hooktroupe/hooktroupe/internal/vfs"
	"github.com/hooktroupe/hooktroupe/journal"
	"github.com/hooktroupe/hooktroupe/journal/wal"
)

var update = flag.Bool("update", false, "write the golden files anew: only with a new format version")

// goldenDir has what version 1 wrote: a sparse segment, a sealed and an unsealed one, and a snapshot.
const goldenDir = "testdata/v1"

var (
	goldenFiles   = []string{"0000000001.wal", "0000000002.wal", "0000000003.wal", "snapshot"}
	goldenCovered = journal.Position{Segment: 2, Offset: 112, Length: 700}
)

const goldenState = "the state of everything before segment 2"

// writeGolden makes the journal of the golden files anew.
func writeGolden(tb testing.TB) (*disk, *history) {
	tb.Helper()
	h := &history{}
	d := mustOpen(tb, vfs.NewMem(0), dir, wal.Config{SegmentBytes: wal.MinSegmentBytes}, nil)
	for range 9 {
		if err := h.append(d, journal.Options{Sync: true}, 700, 1, 0, 200); err != nil {
			tb.Fatal(err)
		}
	}
	before, live := h.bury(3, func(i int) bool { return i != 1 })
	if err := d.Compact(before, live[:2]); err != nil { // of group 1, the first two
		tb.Fatal(err)
	}
	h.groups[1].entries, h.groups[1].at = h.groups[1].entries[:2], h.groups[1].at[:2]
	err := d.Snapshots().Save(goldenCovered, func(out io.Writer) error {
		_, err := io.WriteString(out, goldenState)
		return err
	})
	if err := errors.Join(err, d.Close()); err != nil {
		tb.Fatal(err)
	}
	return d, h
}

// golden returns the golden files on a disk of their own.
func golden(tb testing.TB) *vfs.Mem {
	tb.Helper()
	fs := vfs.NewMem(0)
	if err := fs.MakeDir(dir); err != nil {
		tb.Fatal(err)
	}
	for _, name := range goldenFiles {
		put(tb, fs, name, goldenFile(tb, name))
	}
	return fs
}

func goldenFile(tb testing.TB, name string) []byte {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join(goldenDir, name))
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

// TestGoldenWrite: the same history gives the same bytes as ever.
func TestGoldenWrite(t *testing.T) {
	d, _ := writeGolden(t)
	for _, name := range goldenFiles {
		got := contents(t, d.fs, name)
		if *update {
			if err := os.WriteFile(filepath.Join(goldenDir, name), got, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want := goldenFile(t, name)
		for i := range max(len(got), len(want)) {
			if i >= len(got) || i >= len(want) || got[i] != want[i] {
				t.Errorf("%s of %d bytes differs from the golden one of %d at offset %d", name, len(got), len(want), i)
				break
			}
		}
	}
}

// TestGoldenRead: what version 1 ever wrote is read.
func TestGoldenRead(t *testing.T) {
	_, h := writeGolden(t)
	fs := golden(t)
	if report, err := wal.Verify(dir, wal.WithFS(fs)); err != nil || report.Verdict() != wal.Sound {
		t.Errorf("Verify: %v, %+v", err, report)
	}
	d := mustOpen(t, fs, dir, wal.Config{SegmentBytes: wal.MinSegmentBytes}, nil)
	defer closeJournal(t, d)
	if err := h.check(d); err != nil {
		t.Error(err)
	}
	covered, in, err := d.Snapshots().Load()
	if err != nil {
		t.Fatal(err)
	}
	state, err := io.ReadAll(in)
	if err := errors.Join(err, in.Close()); err != nil {
		t.Fatal(err)
	}
	if covered != goldenCovered || string(state) != goldenState {
		t.Errorf("snapshot %q covers %v", state, covered)
	}
}

// TestFormat reads the first frames of a golden segment with nothing but docs/FORMAT.md.
func TestFormat(t *testing.T) {
	_, h := writeGolden(t)
	var (
		want   = h.groups[3] // the first in segment 2
		p      = goldenFile(t, "0000000002.wal")
		u16    = func(at int) uint16 { return binary.LittleEndian.Uint16(p[at:]) }
		u32    = func(at int) uint32 { return binary.LittleEndian.Uint32(p[at:]) }
		u64    = func(at int) uint64 { return binary.LittleEndian.Uint64(p[at:]) }
		crc    = func(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }
		salt   = p[16:24]
		salted = func(at, n int) uint32 { // salt, offset, bytes
			offset := binary.LittleEndian.AppendUint64(nil, uint64(at))
			return crc(bytes.Join([][]byte{salt, offset, p[at : at+n]}, nil))
		}
		end     = len(p) - 64
		records = [][]byte{p[96:112]} // their heads
	)
	at := 112 + 704
	for _, size := range []int{8, 0, 200} {
		records = append(records, p[at:at+16])
		at += 16 + size
	}
	for _, field := range []struct {
		name      string
		got, want any
	}{
		{"head: magic", string(p[:8]), "HOOKSEG\x00"},
		{"head: version", u16(8), uint16(1)},
		{"head: flags", u16(10), uint16(0)},
		{"head: number", u32(12), uint32(2)},
		{"head: size", u64(24), uint64(len(p))},
		{"head: first sequence number", u64(32), uint64(4)},
		{"head: checksum", u32(60), crc(p[:60])},
		{"group: magic", string(p[64:68]), "HTGR"},
		{"group: length", u32(68), uint32(16 + 704 + 16 + 8 + 16 + 0 + 16 + 200)},
		{"group: sequence number", u64(72), uint64(4)},
		{"group: synced", u32(80), uint32(64)},
		{"group: records", u32(84), uint32(4)},
		{"group: checksum of the record heads", u32(88), crc(bytes.Join(records, nil))},
		{"group: checksum", u32(92), salted(64, 28)},
		{"record: length", u32(96), uint32(700)},
		{"record: kind", p[100], byte(1)},
		{"record: type", p[101], want.entries[0].Type},
		{"record: zero", u16(102), uint16(0)},
		{"record: checksum of the data", u32(104), crc(want.entries[0].Data)},
		{"record: checksum", u32(108), salted(96, 12)},
		{"record: data", bytes.Equal(p[112:812], want.entries[0].Data), true},
		{"record: padding", string(p[812:816]), "\x00\x00\x00\x00"},
		{"seal: magic", string(p[end : end+8]), "HOOKEND\x00"},
		{"seal: number", u32(end + 8), uint32(2)},
		{"seal: end", u32(end + 12), uint32(64 + 3*(at-64))},
		{"seal: salt", string(p[end+16 : end+24]), string(salt)},
		{"seal: next sequence number", u64(end + 24), uint64(7)},
		{"seal: groups", u32(end + 32), uint32(3)},
		{"seal: records", u32(end + 36), uint32(12)},
		{"seal: held", u64(end + 40), uint64(len(p))},
		{"seal: checksum", u32(end + 60), crc(append(bytes.Clone(salt), p[end:end+60]...))},
	} {
		if field.got != field.want {
			t.Errorf("%s: %v, want %v", field.name, field.got, field.want)
		}
	}
}
