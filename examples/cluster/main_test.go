//go:build linux

package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hooktroupe/hooktroupe/daemon/daemontest"
	"github.com/hooktroupe/hooktroupe/internal/pgserver"
)

// asExample makes the test program the example itself.
const asExample = "TEST_AS_EXAMPLE"

func TestMain(m *testing.M) {
	if os.Getenv(asExample) != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// output is what the example prints.
type output struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// The cluster takes what the README sends, before and after one of its members is killed, and leaves nothing behind.
func TestExample(t *testing.T) {
	if _, err := pgserver.Installed(); err != nil {
		t.Skip("SKIPPED: ", err)
	}
	if _, err := find("haproxy"); err != nil {
		t.Skip("SKIPPED: ", err)
	}
	balancer, err := filepath.Abs(filepath.Join("..", "..", "deploy", "haproxy", "haproxy.cfg"))
	if err != nil {
		t.Fatal(err)
	}
	folder, temporary := t.TempDir(), worldFolder(t)
	program := daemontest.Binary(t)
	said := &output{}
	example := exec.Command(os.Args[0], "-listen", "127.0.0.1:0", "-program", program, "-balancer", balancer)
	example.Dir, example.Stdout, example.Stderr = folder, said, said
	example.Env = append(os.Environ(), asExample+"=1", "TMPDIR="+temporary)
	if err := example.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1) // its one end
	go func() { ended <- example.Wait() }()
	defer func() {
		_ = example.Process.Kill()
		if t.Failed() {
			t.Log(said)
		}
	}()
	url := await(t, said, ended, `http://\S+`)

	send := func() {
		t.Helper()
		command := exec.Command(program, "send", "--source", "github", "--event", "pull_request", "--wait", "--url", url)
		command.Dir = folder
		out, err := command.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "completed (attempt ") {
			t.Errorf("send: %v\n%s", err, out)
		}
	}
	for range 3 {
		send()
	}
	pid, err := strconv.Atoi(await(t, said, ended, `kill -9 (\d+)`))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for range 6 { // each member would have two
		send()
	}
	await(t, said, ended, `(member-1 has ended: signal: killed)`)

	if err := example.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("stopped: %v", err)
		}
	case <-time.After(daemontest.Patience):
		t.Fatal("the example does not end")
	}
	if left, err := os.ReadDir(temporary); err != nil || len(left) > 0 {
		t.Errorf("%v is left, %v", left, err)
	}
	if left, err := os.ReadDir(filepath.Join(folder, "data")); err != nil || len(left) != 1 {
		t.Errorf("data holds %v, %v", left, err)
	}
}

// worldFolder is one for temporary files that other users, PostgreSQL among them, can pass.
func worldFolder(t *testing.T) string {
	t.Helper()
	folder, err := os.MkdirTemp("", "hooktroupe-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(folder); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(folder, 0o711); err != nil {
		t.Fatal(err)
	}
	return folder
}

// await waits until the example says something, and returns it, or its part in parentheses.
func await(t *testing.T, said *output, ended <-chan error, pattern string) string {
	t.Helper()
	expression := regexp.MustCompile(pattern)
	deadline := time.Now().Add(daemontest.Patience)
	for {
		if found := expression.FindStringSubmatch(said.String()); found != nil {
			return found[len(found)-1]
		}
		select {
		case err := <-ended:
			t.Fatalf("the example ended: %v\n%s", err, said)
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("the example does not say %s:\n%s", pattern, said)
		}
	}
}

// What cannot be started is told, and of what was started before it only logs are left.
func TestWhatCannotBeStarted(t *testing.T) {
	var said bytes.Buffer
	err := run(t.Context(), []string{"-listen"}, &said, &said)
	if err == nil {
		t.Error("a flag without its value is taken")
	}
	if _, err := find("no-such-program"); !errors.Is(err, exec.ErrNotFound) || !strings.Contains(err.Error(), "Debian package") {
		t.Errorf("find: %v", err)
	}
	if _, err := pgserver.Installed(); err != nil {
		t.Skip("SKIPPED: ", err)
	}
	if _, err := find("haproxy"); err != nil {
		t.Skip("SKIPPED: ", err)
	}
	data, temporary := t.TempDir(), worldFolder(t)
	t.Setenv("TMPDIR", temporary)
	err = run(t.Context(), []string{"-program", "/bin/false", "-data-dir", data}, &said, &said)
	if err == nil {
		t.Fatal("a program that fails is taken for the daemon")
	}
	left, errs := os.ReadDir(temporary)
	if errs != nil || len(left) != 1 || !strings.Contains(err.Error(), "logs are left in "+filepath.Join(temporary, left[0].Name())) {
		t.Errorf("%v is left, %v after %v", left, errs, err)
	}
}
