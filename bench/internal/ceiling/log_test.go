//go:build linux

package ceiling_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/hooktroupe/hooktroupe/bench/internal/ceiling"
)

func open(t *testing.T, size int64) (*ceiling.Log, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "log")
	l, err := ceiling.OpenLog(path, size)
	if err != nil {
		t.Fatal(err)
	}
	return l, path
}

func TestCommittedRecordsAreInTheFile(t *testing.T) {
	const submitters, each = 8, 20
	l, path := open(t, 1<<20)
	var all sync.WaitGroup
	for i := range submitters {
		all.Go(func() {
			for range each {
				if err := l.Commit(bytes.Repeat([]byte{byte('a' + i)}, 100)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	syncs, err := l.Close()
	if err != nil {
		t.Fatal(err)
	}
	if len(syncs) < each || len(syncs) > submitters*each {
		t.Errorf("%d syncs for %d records of %d submitters", len(syncs), submitters*each, submitters)
	}
	content, err := os.ReadFile(path)
	if err != nil || len(content) != 1<<20 {
		t.Fatalf("%d bytes, %v", len(content), err)
	}
	for i := range submitters {
		if got := bytes.Count(content, bytes.Repeat([]byte{byte('a' + i)}, 100)); got != each {
			t.Errorf("submitter %d: %d records, want %d", i, got, each)
		}
	}
}

func TestLogBeginsAnewAtItsEnd(t *testing.T) {
	l, path := open(t, 4096)
	for _, b := range []byte("abc") {
		if err := l.Commit(bytes.Repeat([]byte{b}, 2000)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.Close(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := append(bytes.Repeat([]byte("c"), 2000), bytes.Repeat([]byte("b"), 2000)...)
	if !bytes.Equal(content, append(want, make([]byte, 96)...)) {
		t.Errorf("%d bytes, %q…", len(content), content[:8])
	}
}

func TestLogAfterClose(t *testing.T) {
	l, _ := open(t, 4096)
	syncs, err := l.Close()
	if err != nil || len(syncs) != 0 {
		t.Errorf("%d syncs, %v", len(syncs), err)
	}
	if err := l.Commit([]byte("x")); !errors.Is(err, ceiling.ErrClosed) {
		t.Errorf("error %v, want ErrClosed", err)
	}
}

func TestOpenLogRefusesAFileThatIsThere(t *testing.T) {
	l, path := open(t, 4096)
	if _, err := ceiling.OpenLog(path, 4096); !errors.Is(err, os.ErrExist) {
		t.Errorf("error %v, want ErrExist", err)
	}
	if _, err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestSubmit(t *testing.T) {
	l, _ := open(t, 1<<20)
	rate, err := ceiling.Submit(t.Context(), l, 4, 1000, 20*time.Millisecond)
	if err != nil || rate <= 0 {
		t.Fatalf("%v/s, %v", rate, err)
	}
	gone := errors.New("gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(gone)
	if _, err := ceiling.Submit(ctx, l, 1, 1000, time.Hour); !errors.Is(err, gone) {
		t.Errorf("after the end of the context: %v", err)
	}
	if _, err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := ceiling.Submit(t.Context(), l, 4, 1000, time.Hour); !errors.Is(err, ceiling.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}
