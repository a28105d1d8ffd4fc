//go:build linux

package target_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/hooktroupe/hooktroupe/bench/internal/target"
)

// files makes files of a folder with so many bytes each, and returns the pattern that matches them.
func files(t *testing.T, sizes ...int) string {
	t.Helper()
	folder := t.TempDir()
	for i, size := range sizes {
		name := filepath.Join(folder, string(rune('a'+i))+".seg")
		if err := os.WriteFile(name, bytes.Repeat([]byte{'x'}, size), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(folder, "other"), []byte("not counted"), 0o600); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(folder, "*.seg")
}

func TestReadAllReadsWhatMatches(t *testing.T) {
	pattern := files(t, 3<<20, 0, 17)
	if err := target.Forget(pattern); err != nil {
		t.Fatal(err)
	}
	took, n, err := target.ReadAll(pattern)
	if err != nil || n != 3<<20+17 || took <= 0 {
		t.Errorf("%d bytes in %v, %v", n, took, err)
	}
}

func TestUsageDoesNotCountHoles(t *testing.T) {
	const written = 1 << 20
	pattern := files(t, written)
	if err := os.Truncate(filepath.Join(filepath.Dir(pattern), "a.seg"), 64<<20); err != nil {
		t.Fatal(err)
	}
	if err := target.Forget(pattern); err != nil { // allocates what was delayed
		t.Fatal(err)
	}
	n, err := target.Usage(pattern)
	if err != nil || n < written || n > 2*written {
		t.Errorf("%d bytes, %v; %d were written", n, err, written)
	}
}

func TestBadPattern(t *testing.T) {
	if _, _, err := target.ReadAll("["); err == nil {
		t.Error("ReadAll takes it")
	}
	if _, err := target.Usage("["); err == nil {
		t.Error("Usage takes it")
	}
	if err := target.Forget("["); err == nil {
		t.Error("Forget takes it")
	}
}

func TestDiskOf(t *testing.T) {
	d, err := target.DiskOf(t.TempDir())
	if err != nil || d.Kind == "" || d.Free <= 0 {
		t.Errorf("%+v, %v", d, err)
	}
	if _, err := target.DiskOf(filepath.Join(t.TempDir(), "absent")); err == nil {
		t.Error("a folder that is not there has a disk")
	}
}
