//go:build linux

package target_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hooktroupe/hooktroupe/bench/internal/load"
	"github.com/hooktroupe/hooktroupe/bench/internal/target"
)

// start builds the daemon and runs it with one worker and a snapshot every second.
func start(t *testing.T) (daemon *target.Daemon, folder string) {
	t.Helper()
	if testing.Short() {
		t.Skip("builds the daemon")
	}
	program, err := target.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	sink, err := target.OpenSink()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sink.Close(); err != nil {
			t.Error(err)
		}
	})
	folder = t.TempDir()
	s := target.DefaultSettings()
	s.Workers, s.SnapshotInterval = 1, time.Second
	daemon, err = target.StartDaemon(t.Context(), program, folder, sink, s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = daemon.Kill() })
	return daemon, folder
}

// deliver sends so many deliveries of an event, over one connection.
func deliver(t *testing.T, d *target.Daemon, event string, count int) {
	t.Helper()
	_, err := load.Run(t.Context(), load.Plan{
		Address: d.Address, Connections: 1, Count: count,
		Requests: []load.Request{load.NewRequest(target.Secret, event, load.Body(1024))},
	})
	if err != nil {
		t.Fatal(err)
	}
}

func until(t *testing.T, d *target.Daemon, holds func(target.Counts) bool) target.Counts {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	c, err := d.Until(ctx, holds)
	if err != nil {
		t.Fatalf("%v: %+v", err, c)
	}
	return c
}

func TestEveryEventDoesWhatItIsNamedFor(t *testing.T) {
	d, folder := start(t)
	deliver(t, d, target.Completing, 5)
	until(t, d, func(c target.Counts) bool { return c.Completed == 5 })
	deliver(t, d, target.Pinning, 3)
	until(t, d, func(c target.Counts) bool { return c.Retrying == 3 })
	deliver(t, d, target.Blocking, 1)
	deliver(t, d, target.Completing, 4)
	c := until(t, d, func(c target.Counts) bool { return c.Compactions >= 1 })
	if c.Accepted != 13 || c.Completed != 5 || c.Syncs == 0 || c.WrittenBytes < 13*1024 {
		t.Errorf("behind a blocked worker: %+v", c)
	}
	if n, err := target.Usage(filepath.Join(target.JournalFolder(folder), "*")); err != nil || n < 13*1024 {
		t.Errorf("the journal takes %d bytes, %v", n, err)
	}
	if err := d.Stop(); err != nil {
		t.Error(err)
	}
}

func TestUntilEndsWithTheContext(t *testing.T) {
	d, _ := start(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := d.Until(ctx, func(target.Counts) bool { return false }); err == nil {
		t.Error("it went on")
	}
}

func TestStartSaysWhyAProcessEnded(t *testing.T) {
	address, err := target.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(script, []byte("echo the reason >&2; exit 3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = target.Start(t.Context(), address, "/bin/sh", script)
	if err == nil || !strings.Contains(err.Error(), "the reason") {
		t.Errorf("error %v", err)
	}
}
