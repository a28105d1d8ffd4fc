package exec_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hooktroupe/hooktroupe/handler/exec"
	"github.com/hooktroupe/hooktroupe/handler/handlertest"
	"github.com/hooktroupe/hooktroupe/internal/clock"
)

// pipe is a named pipe on which a program tells the process IDs that a test is to watch.
type pipe struct{ path string }

func newPipe(t *testing.T) pipe {
	t.Helper()
	p := pipe{filepath.Join(t.TempDir(), "ready")}
	if err := unix.Mkfifo(p.path, 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

// readPIDs waits for a program to write n process IDs, one a line.
func (p pipe) readPIDs(t *testing.T, n int) []int {
	f, err := os.Open(p.path) // returns when the program has opened it too
	if err != nil {
		t.Error(err)
		return make([]int, n)
	}
	defer func() { _ = f.Close() }()
	lines := bufio.NewScanner(f)
	pids := make([]int, n)
	for i := range pids {
		if !lines.Scan() {
			t.Errorf("the program told %d process IDs, want %d", i, n)
			break
		}
		if pids[i], err = strconv.Atoi(strings.TrimSpace(lines.Text())); err != nil {
			t.Error(err)
		}
	}
	return pids
}

// watch opens a process so that its end can be awaited even when another reaps it.
func watch(t *testing.T, pid int) (pidfd int) {
	t.Helper()
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatalf("process %d: %v", pid, err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	return fd
}

// awaitGone waits until the process has ended, and checks with /proc.
func awaitGone(t *testing.T, pid, pidfd int) {
	t.Helper()
	fds := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(fds, int(handlertest.Bound.Milliseconds()))
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || n == 0 {
			t.Errorf("process %d is still running (%v)", pid, err)
			return
		}
		break
	}
	if runs(t, pid) {
		t.Errorf("process %d is in /proc and no zombie", pid)
	}
}

// runs says whether /proc knows the process as one that has not ended; who reaps it is not our affair.
func runs(t *testing.T, pid int) bool {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		return false
	}
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(after, "Z") && !strings.HasPrefix(after, "X")
}

// handClock is a clock whose only timer goes off when the test says so.
type handClock struct {
	clock.Real
	set chan func() // receives what AfterFunc was given
}

func newHandClock() handClock { return handClock{set: make(chan func(), 1)} }

func (c handClock) AfterFunc(d time.Duration, f func()) clock.Timer {
	c.set <- f
	return c.Real.AfterFunc(time.Hour, func() {})
}

// attempt is a Handle under way.
type attempt struct {
	cancel context.CancelCauseFunc
	done   chan error
}

func begin(t *testing.T, h *exec.Handler) attempt {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	a := attempt{cancel, make(chan error, 1)}
	go func() { // ends when Handle returns
		_, err := h.Handle(ctx, handlertest.NewTask())
		a.done <- err
	}()
	t.Cleanup(func() { cancel(nil) })
	return a
}

func (a attempt) await(t *testing.T) error {
	t.Helper()
	select {
	case err := <-a.done:
		return err
	case <-time.After(handlertest.Bound):
		t.Fatal("Handle did not return")
		return nil
	}
}

func TestCancelKillsTheWholeGroup(t *testing.T) {
	// Both ignore SIGTERM, as an ignored signal stays ignored in a child, and both hold standard output open.
	const stubborn = `trap '' TERM; sleep 1000 & { echo $$; echo $!; } > "$READY"; while :; do wait; done`
	p := newPipe(t)
	cfg := script(stubborn)
	cfg.Set = map[string]string{"READY": p.path}
	hands := newHandClock()
	a := begin(t, newHandler(t, cfg, exec.WithClock(hands)))
	pids := p.readPIDs(t, 2)
	fds := []int{watch(t, pids[0]), watch(t, pids[1])}

	reason := errors.New("task cancelled")
	a.cancel(reason)
	graceOver := <-hands.set
	for _, pid := range pids {
		if !runs(t, pid) {
			t.Errorf("process %d, which ignores SIGTERM, has ended before the grace has", pid)
		}
	}
	graceOver()
	if err := a.await(t); !errors.Is(err, reason) {
		t.Errorf("error %v, want the cause", err)
	}
	for i, pid := range pids {
		awaitGone(t, pid, fds[i])
	}
}

func TestCancelLetsAProgramTidyUp(t *testing.T) {
	tidied := filepath.Join(t.TempDir(), "tidied")
	p := newPipe(t)
	cfg := script(`trap 'echo yes > "$TIDIED"; exit 0' TERM; sleep 1000 & { echo $$; echo $!; } > "$READY"; wait`)
	cfg.Set = map[string]string{"READY": p.path, "TIDIED": tidied}
	a := begin(t, newHandler(t, cfg, exec.WithClock(newHandClock()))) // whose grace never ends
	pids := p.readPIDs(t, 2)
	fds := []int{watch(t, pids[0]), watch(t, pids[1])}

	a.cancel(nil)
	if err := a.await(t); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want one that says cancelled although the program then ended well", err)
	}
	if _, err := os.Stat(tidied); err != nil {
		t.Errorf("the program was not asked to end: %v", err)
	}
	for i, pid := range pids {
		awaitGone(t, pid, fds[i])
	}
}

func TestWhatAProgramLeavesBehindIsKilled(t *testing.T) {
	p := newPipe(t)
	cfg := script(`trap '' TERM; sleep 1000 & echo $! > "$READY"; echo result`)
	cfg.Set = map[string]string{"READY": p.path}
	a := begin(t, newHandler(t, cfg))
	pid := p.readPIDs(t, 1)[0]
	if err := a.await(t); err != nil {
		t.Fatal(err)
	}
	// It may be gone before it could be watched, which is as good.
	if fd, err := unix.PidfdOpen(pid, 0); err == nil {
		defer func() { _ = unix.Close(fd) }()
		awaitGone(t, pid, fd)
	}
}

func TestProcessOutsideTheGroupDoesNotHangHandle(t *testing.T) {
	setsid, err := osexec.LookPath("setsid")
	if err != nil {
		t.Skipf("no setsid here: %v", err)
	}
	p := newPipe(t)
	cfg := script(`echo result; "$SETSID" sh -c 'echo $$ > "$READY"; exec sleep 1000' & read -r _ < "$GO"`)
	goOn := newPipe(t)
	cfg.Set = map[string]string{"READY": p.path, "GO": goOn.path, "SETSID": setsid}
	a := begin(t, newHandler(t, cfg))
	pid := p.readPIDs(t, 1)[0]
	t.Cleanup(func() { _ = unix.Kill(pid, unix.SIGKILL) })
	if err := os.WriteFile(goOn.path, []byte("go\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := a.await(t); err != nil {
		t.Errorf("error %v, want none: the program itself ended well", err)
	}
}

// The daemon is played by this test binary, which runs a program that tells its process ID and then is killed.
func TestProgramDiesWithTheDaemon(t *testing.T) {
	const role = "EXEC_TEST_DAEMON"
	if ready := os.Getenv(role); ready != "" {
		cfg := script(`echo $$ > "$READY"; exec sleep 1000`)
		cfg.Set = map[string]string{"READY": ready}
		_, err := newHandler(t, cfg).Handle(t.Context(), handlertest.NewTask())
		t.Fatalf("the program has ended by itself: %v", err)
	}
	p := newPipe(t)
	daemon := osexec.Command(os.Args[0], "-test.run=^TestProgramDiesWithTheDaemon$")
	daemon.Env = append(os.Environ(), role+"="+p.path)
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	pid := p.readPIDs(t, 1)[0]
	fd := watch(t, pid)
	if err := daemon.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = daemon.Wait() // it was killed, and says so
	awaitGone(t, pid, fd)
}

func TestKernelLimits(t *testing.T) {
	cfg := script(`head -c 200000000 /dev/zero | tail -n 1 >/dev/null`) // which keeps the whole line
	cfg.MaxMemoryBytes = 32 << 20
	if result, err := newHandler(t, cfg).Handle(t.Context(), handlertest.NewTask()); err == nil {
		t.Errorf("a program allocated 200 MB of 32 MiB: %s", result)
	}
	cfg = script(`while :; do :; done`)
	cfg.MaxCPU = time.Second
	_, err := newHandler(t, cfg).Handle(t.Context(), handlertest.NewTask())
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Signal != syscall.SIGXCPU && exit.Signal != syscall.SIGKILL {
		t.Errorf("a program that computes for ever: %v", err)
	}
	cfg = script(`echo fine`)
	cfg.MaxMemoryBytes, cfg.MaxCPU = 64<<20, time.Minute
	if result, err := newHandler(t, cfg).Handle(t.Context(), handlertest.NewTask()); err != nil || string(result) != "fine\n" {
		t.Errorf("within its limits: %q, %v", result, err)
	}
	for _, bad := range []exec.Config{{Command: []string{"true"}, MaxMemoryBytes: 1000}, {Command: []string{"true"}, MaxCPU: 1}} {
		if _, err := exec.New(bad); err == nil {
			t.Errorf("took %+v", bad)
		}
	}
}
