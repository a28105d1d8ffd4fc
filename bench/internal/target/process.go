//go:build linux

// Package target runs what is measured as a process of its own, so that its processor time and its memory are not the
// generator's: it builds the daemon, configures it, starts it, asks it what it counts, and ends it.
package target

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"github.com/hooktroupe/hooktroupe/bench/internal/procfs"
)

const (
	// startPatience bounds how long a process may take until it listens.
	startPatience = 30 * time.Second
	// stopPatience bounds how long it may take to end after SIGTERM.
	stopPatience = 2 * time.Minute
	// untilPatience bounds how long Until asks.
	untilPatience = 5 * time.Minute
	// pollInterval is the wait between two looks at something that is about to happen; scrapeInterval is for looks that
	// cost what is looked at some processor time.
	pollInterval, scrapeInterval = 2 * time.Millisecond, 25 * time.Millisecond
	// keptOutput is how much of what a process prints is kept, in bytes, for the error that it may end with.
	keptOutput = 4 << 10
)

// Process is a server that runs. Exactly one of Stop and Kill ends it.
type Process struct {
	procfs.Process
	// Address is where it listens.
	Address string

	command *exec.Cmd
	output  *tail
	ended   chan struct{} // closed when the process is gone
	err     error         // read after ended
}

// Start runs a program, which is to listen on address, and waits until it does.
func Start(ctx context.Context, address, program string, args ...string) (*Process, error) {
	return start(ctx, address, nil, program, args...)
}

// start is Start with more in the environment.
func start(ctx context.Context, address string, environ []string, program string, args ...string) (*Process, error) {
	p := &Process{Address: address, output: &tail{}, ended: make(chan struct{})}
	p.command = exec.CommandContext(ctx, program, args...) //nolint:gosec // what runs is built here
	p.command.Stdout, p.command.Stderr = p.output, p.output
	p.command.Env = append(os.Environ(), environ...)
	if err := p.command.Start(); err != nil {
		return nil, err
	}
	p.Process = procfs.Process(p.command.Process.Pid)
	go func() { // ends with the process
		p.err = p.command.Wait()
		close(p.ended)
	}()
	err := p.await(ctx, startPatience, pollInterval, func() (bool, error) {
		c, err := net.DialTimeout("tcp", address, startPatience)
		if err != nil {
			return false, nil //nolint:nilerr // it does not listen yet
		}
		return true, c.Close()
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", program, err), p.Kill())
	}
	return p, nil
}

// await asks until the answer is yes, with an interval between. An error ends it, and so do the end of the process, of ctx,
// and of patience.
func (p *Process) await(ctx context.Context, patience, interval time.Duration, done func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	pause := time.NewTicker(interval)
	defer pause.Stop()
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-pause.C:
		case <-p.ended:
			return fmt.Errorf("the process ended: %w: %s", errors.Join(p.err, errEnded), p.output)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

var errEnded = errors.New("nobody asked it to")

// Stop asks the process to end and waits for it. It is an error if it does not end in time, or not with exit code 0.
func (p *Process) Stop() error {
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil {
		return errors.Join(err, p.Kill())
	}
	timer := time.NewTimer(stopPatience)
	defer timer.Stop()
	select {
	case <-p.ended:
	case <-timer.C:
		return errors.Join(errors.New("the process does not stop"), p.Kill())
	}
	if p.err != nil {
		return fmt.Errorf("stop: %w: %s", p.err, p.output)
	}
	return nil
}

// Kill ends the process without giving it a moment, and waits until it is gone. One that has ended already is no error.
func (p *Process) Kill() error {
	err := p.command.Process.Kill()
	<-p.ended
	if errors.Is(err, syscall.ESRCH) || p.command.ProcessState.Exited() {
		return nil
	}
	return err
}

// FreeAddress is a loopback address on which nobody listens. Somebody else may take it before it is used; Start says so.
func FreeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// tail keeps the end of what a process prints.
type tail struct {
	mu   sync.Mutex // guards text
	text []byte
}

// Write is called by the goroutine that copies the output.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if len(t.text) > keptOutput {
		t.text = append(t.text[:0], t.text[len(t.text)-keptOutput:]...)
	}
	return len(p), nil
}

// String is what was kept.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}
