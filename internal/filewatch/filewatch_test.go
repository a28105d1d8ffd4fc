package filewatch_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/hooktroupe/hooktroupe/internal/clock"
	"github.com/hooktroupe/hooktroupe/internal/filewatch"
)

const patience = 30 * time.Second

// watch watches files until the test ends. Only events bring it to look, unless poll says otherwise.
func watch(t *testing.T, poll time.Duration, files ...string) *filewatch.Watcher {
	t.Helper()
	w := filewatch.New(filewatch.Options{
		Clock: clock.Real{}, Settle: 10 * time.Millisecond, Poll: poll, Log: logrus.StandardLogger(),
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.Run(t.Context())
	}()
	t.Cleanup(func() { <-done })
	w.Watch(t.Context(), files)
	return w
}

func told(t *testing.T, w *filewatch.Watcher, what string) {
	t.Helper()
	select {
	case <-w.Changes():
	case <-time.After(patience):
		t.Fatalf("not told: %s", what)
	}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestEveryWayToReplaceAFileIsTold(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "c.yaml")
	write(t, file, "1")
	w := watch(t, time.Hour, file)
	for _, c := range []struct {
		what   string
		change func()
	}{
		{"written in place", func() { write(t, file, "2") }},
		{"renamed over, as editors do", func() {
			write(t, file+".tmp", "3")
			must(t, os.Rename(file+".tmp", file))
		}},
		{"removed", func() { must(t, os.Remove(file)) }},
		{"there again", func() { write(t, file, "4") }},
		{"in place, after all that", func() { write(t, file, "5") }},
	} {
		c.change()
		told(t, w, c.what)
	}
}

func TestASymbolicLinkThatIsSwappedIsTold(t *testing.T) {
	// As Kubernetes lays out a volume: c.yaml -> ..data/c.yaml, ..data -> ..2026_1.
	folder := t.TempDir()
	write(t, filepath.Join(folder, "..2026_1", "c.yaml"), "1")
	must(t, os.Symlink("..2026_1", filepath.Join(folder, "..data")))
	must(t, os.Symlink(filepath.Join("..data", "c.yaml"), filepath.Join(folder, "c.yaml")))
	w := watch(t, time.Hour, filepath.Join(folder, "c.yaml"))
	for _, version := range []string{"..2026_2", "..2026_3", "..2026_4"} {
		write(t, filepath.Join(folder, version, "c.yaml"), version)
		must(t, os.Symlink(version, filepath.Join(folder, "..data_tmp")))
		must(t, os.Rename(filepath.Join(folder, "..data_tmp"), filepath.Join(folder, "..data")))
		told(t, w, version)
	}
	write(t, filepath.Join(folder, "..2026_4", "c.yaml"), "in place")
	told(t, w, "the file behind both links")
}

func TestAFolderThatIsALinkIsFollowed(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "a", "c.yaml"), "1")
	write(t, filepath.Join(root, "b", "c.yaml"), "2")
	must(t, os.Symlink("a", filepath.Join(root, "current")))
	w := watch(t, time.Hour, filepath.Join(root, "current", "c.yaml"))
	must(t, os.Symlink("b", filepath.Join(root, "next")))
	must(t, os.Rename(filepath.Join(root, "next"), filepath.Join(root, "current")))
	told(t, w, "the folder's link points elsewhere")
}

func TestWhatOnlyTouchesAFileIsNotTold(t *testing.T) {
	folder := t.TempDir()
	file, other := filepath.Join(folder, "c.yaml"), filepath.Join(folder, "secret")
	write(t, file, "1")
	write(t, other, "1")
	w := watch(t, time.Hour, file, other)
	must(t, os.Chtimes(file, time.Unix(1, 0), time.Unix(1, 0)))
	write(t, file, "1")
	write(t, filepath.Join(folder, "neighbour"), "1")
	write(t, other, "2") // whose telling shows that what came before was looked at
	told(t, w, "the other file")
	select {
	case <-w.Changes():
		t.Error("told without a change")
	default:
	}
}

func TestAFolderThatIsGoneAndComesBackIsFoundByLooking(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "conf")
	file := filepath.Join(folder, "c.yaml")
	w := watch(t, 20*time.Millisecond, file)
	write(t, file, "1")
	told(t, w, "the folder appeared")
	must(t, os.RemoveAll(folder))
	told(t, w, "the folder is gone")
	write(t, file, "2")
	told(t, w, "the folder is back")
	write(t, file, "3")
	told(t, w, "the file in it")
}

func TestAChangeBetweenTwoSetsOfFilesIsTold(t *testing.T) {
	folder := t.TempDir()
	a, b := filepath.Join(folder, "a"), filepath.Join(folder, "b")
	write(t, a, "1")
	w := watch(t, 20*time.Millisecond, a)
	write(t, a, "2")
	w.Watch(t.Context(), []string{a, b})
	told(t, w, "the file that is watched on")
	write(t, b, "1")
	told(t, w, "the new file")
}
