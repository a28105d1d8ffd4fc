package vfs_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/hooktroupe/hooktroupe/internal/vfs"
)

// systems are the file systems that behave alike.
func systems(t *testing.T) map[string]vfs.FS {
	t.Helper()
	return map[string]vfs.FS{"os": vfs.OS{}, "mem": vfs.NewMem(0), "failing": vfs.NewFailing(vfs.NewMem(0))}
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// write makes a file, synced or not; its name is not.
func write(tb testing.TB, s vfs.FS, name, content string, synced bool) {
	tb.Helper()
	file, err := s.Create(name)
	must(tb, err)
	_, err = file.WriteAt([]byte(content), 0)
	must(tb, err)
	if synced {
		must(tb, file.Sync())
	}
	must(tb, file.Close())
}

func read(tb testing.TB, s vfs.FS, name string) string {
	tb.Helper()
	file, err := s.Open(name)
	must(tb, err)
	size, err := file.Size()
	must(tb, err)
	content, err := io.ReadAll(io.NewSectionReader(file, 0, size))
	must(tb, err)
	must(tb, file.Close())
	return string(content)
}

func TestFiles(t *testing.T) {
	for name, s := range systems(t) {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "a", "b")
			must(t, s.MakeDir(dir))
			must(t, s.MakeDir(dir))
			at := func(name string) string { return filepath.Join(dir, name) }
			write(t, s, at("one"), "first", true)
			write(t, s, at("two"), "second", false)
			must(t, s.Rename(at("one"), at("two")))
			must(t, s.SyncDir(dir))
			if got := read(t, s, at("two")); got != "first" {
				t.Errorf("renamed: %q", got)
			}
			names, err := s.List(dir)
			if must(t, err); !slices.Equal(names, []string{"two"}) {
				t.Errorf("List: %v", names)
			}
			file, err := s.OpenWrite(at("two"))
			must(t, err)
			must(t, file.Truncate(2))
			if err := file.Allocate(8); errors.Is(err, vfs.ErrUnsupported) {
				must(t, file.Truncate(8))
			} else {
				must(t, err)
			}
			_, err = file.WriteAt([]byte("!"), 9)
			must(t, err)
			must(t, file.Close())
			if got := read(t, s, at("two")); got != "fi\x00\x00\x00\x00\x00\x00\x00!" {
				t.Errorf("truncated, allocated and written: %q", got)
			}
			must(t, s.Remove(at("two")))
			for op, err := range map[string]error{
				"Open": second(s.Open(at("two"))), "OpenWrite": second(s.OpenWrite(at("two"))),
				"Remove": s.Remove(at("two")), "Rename": s.Rename(at("two"), at("one")),
				"Create": second(s.Create(at("none/one"))), "List": second(s.List(at("none"))),
			} {
				if !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("%s of what is missing: %v", op, err)
				}
			}
		})
	}
}

func second[T any](_ T, err error) error { return err }

func TestLock(t *testing.T) {
	for name, s := range systems(t) {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			must(t, s.MakeDir(dir))
			for range 2 {
				lock, err := s.Lock(filepath.Join(dir, "LOCK"))
				must(t, err)
				if _, err := s.Lock(filepath.Join(dir, "LOCK")); !errors.Is(err, vfs.ErrLocked) {
					t.Errorf("locked twice: %v", err)
				}
				must(t, lock.Close())
			}
		})
	}
}

// What was synced survives; of the rest, nothing without chance, and with the same chance the same.
func TestPowerCut(t *testing.T) {
	m := vfs.NewMem(0)
	must(t, m.MakeDir("d"))
	write(t, m, "d/synced", "before", true)
	must(t, m.SyncDir("d"))
	write(t, m, "d/nameless", "lost without its name", true)
	file, err := m.OpenWrite("d/synced")
	must(t, err)
	_, err = file.WriteAt(bytes.Repeat([]byte("x"), 2000), 6)
	must(t, err)
	must(t, m.Rename("d/synced", "d/renamed"))

	after := m.PowerCut(nil)
	if got := read(t, after, "d/synced"); got != "before" {
		t.Errorf("after a power cut: %q", got)
	}
	if names, err := after.List("d"); err != nil || len(names) != 1 {
		t.Errorf("after a power cut: %v, %v", names, err)
	}
	seen := map[string]bool{}
	for seed := range uint64(100) {
		state := func() map[string]string {
			left, found := m.PowerCut(rand.New(rand.NewPCG(seed, 0))), map[string]string{}
			names, err := left.List("d")
			must(t, err)
			for _, name := range names {
				found[name] = read(t, left, filepath.Join("d", name))
			}
			return found
		}
		first := state()
		if !maps.Equal(first, state()) {
			t.Fatalf("seed %d gives two states", seed)
		}
		for name, content := range first {
			seen[name] = true
			if name != "nameless" && len(content) < len("before") || name != "nameless" && content[:6] != "before" {
				t.Fatalf("seed %d: %s has %q", seed, name, content)
			}
		}
	}
	if !seen["synced"] || !seen["renamed"] || !seen["nameless"] {
		t.Errorf("100 power cuts have seen only %v", seen)
	}
	if got := read(t, m, "d/renamed"); len(got) != 2006 {
		t.Errorf("the file system itself has %d bytes", len(got))
	}
}

// Killing a process loses nothing that was written, and syncs nothing: a power cut afterwards may still take it.
func TestKill(t *testing.T) {
	m := vfs.NewMem(0)
	must(t, m.MakeDir("d"))
	write(t, m, "d/f", "before", true)
	must(t, m.SyncDir("d"))
	file, err := m.OpenWrite("d/f")
	must(t, err)
	_, err = file.WriteAt([]byte("behind"), 0)
	must(t, err)
	must(t, m.Rename("d/f", "d/g"))
	_, err = m.Lock("d/LOCK")
	must(t, err)

	after := m.Kill()
	lock, err := after.Lock("d/LOCK")
	must(t, err)
	must(t, lock.Close())
	if got := read(t, after, "d/g"); got != "behind" {
		t.Errorf("after a kill: %q", got)
	}
	if got := read(t, after.PowerCut(nil), "d/f"); got != "before" {
		t.Errorf("after a kill and a power cut: %q", got)
	}
	file, err = after.OpenWrite("d/g")
	must(t, err)
	must(t, file.Sync())
	must(t, after.SyncDir("d"))
	if got := read(t, after.PowerCut(nil), "d/g"); got != "behind" {
		t.Errorf("synced by the next process: %q", got)
	}
	_, err = file.WriteAt([]byte("x"), 0)
	must(t, err)
	if got := read(t, m, "d/g") + read(t, m.PowerCut(nil), "d/f"); got != "behindbefore" {
		t.Errorf("the file system itself: %q", got)
	}
}

func TestCapacity(t *testing.T) {
	m := vfs.NewMem(10)
	must(t, m.MakeDir("d"))
	file, err := m.Create("d/f")
	must(t, err)
	must(t, file.Allocate(8))
	_, err = file.WriteAt([]byte("12345678"), 0) // takes no more
	must(t, err)
	for name, err := range map[string]error{
		"WriteAt": second(file.WriteAt([]byte("abc"), 8)), "Allocate": file.Allocate(11), "Truncate": file.Truncate(11),
	} {
		if !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%s beyond the capacity: %v", name, err)
		}
	}
	m.SetCapacity(11)
	must(t, file.Allocate(11))
}

// Zeros take the place of what was there, and of nothing else, wherever they begin and end.
func TestZero(t *testing.T) {
	folder := t.TempDir()
	for name, fs := range map[string]vfs.FS{"os": vfs.OS{}, "mem": vfs.NewMem(0)} {
		must(t, fs.MakeDir(folder))
		for _, where := range [][2]int64{{0, 4096}, {4096, 2 << 20}, {8192, 4096 + 100}, {1, 5000}, {0, 0}, {4096, 1 << 20}} {
			file, err := fs.Create(filepath.Join(folder, "f"))
			must(t, err)
			want := bytes.Repeat([]byte("x"), 3<<20)
			_, err = file.WriteAt(want, 0)
			must(t, err)
			n, err := file.Zero(where[0], where[1])
			if err != nil || n != where[1] {
				t.Errorf("%s: Zero(%v) = %d, %v", name, where, n, err)
			}
			clear(want[where[0] : where[0]+where[1]])
			must(t, file.Sync())
			_, err = file.WriteAt([]byte("odd"), 7) // no alignment is asked for afterwards
			must(t, err)
			copy(want[7:], "odd")
			if got := read(t, fs, filepath.Join(folder, "f")); got != string(want) {
				t.Errorf("%s: wrong bytes after Zero(%v)", name, where)
			}
			must(t, file.Close())
			if _, err := file.Zero(0, 4096); err == nil {
				t.Errorf("%s: a closed file was written to", name)
			}
		}
	}
}

// Operations are counted and fail when they were told to; a write that fails has written half.
func TestFailing(t *testing.T) {
	f := vfs.NewFailing(vfs.NewMem(0))
	must(t, f.MakeDir("d"))
	file, err := f.Create("d/f")
	must(t, err)
	f.Fail(vfs.OpWrite, 2, 2, syscall.EIO)
	for n, want := range []error{nil, syscall.EIO, syscall.EIO, nil} {
		if _, err := file.WriteAt([]byte{byte(n), byte(n)}, int64(2*n)); !errors.Is(err, want) {
			t.Errorf("write %d: %v, want %v", n, err, want)
		}
	}
	if got := read(t, f, "d/f"); got != "\x00\x00\x01\x00\x02\x00\x03\x03" {
		t.Errorf("written: %q", got)
	}
	if got := f.Count(vfs.OpWrite); got != 4 {
		t.Errorf("%d writes counted", got)
	}
	f.Fail(vfs.AnyOp, 1, 1, syscall.EIO)
	if err := file.Sync(); !errors.Is(err, syscall.EIO) {
		t.Errorf("Sync: %v", err)
	}
	f.Fail(vfs.OpSync, 1, 1, syscall.EIO)
	f.Heal()
	must(t, file.Sync())
}
