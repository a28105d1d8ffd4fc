//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// errEnded is that of a process which nobody asked to end.
var errEnded = errors.New("nobody asked it to")

// process is one that the trial started. It does not outlive the trial, and hears nothing of an interrupt at the terminal.
type process struct {
	name, log string // log is the file of what it prints
	cmd       *exec.Cmd
	asked     chan struct{} // closed when it is to end
	ended     chan struct{} // closed when it has
	err       error         // read after ended
}

// launch starts a program, with more in its environment.
func (t *trial) launch(name string, environ []string, program string, args ...string) (*process, error) {
	p := &process{
		name: name, log: filepath.Join(t.folder, name+".log"), asked: make(chan struct{}), ended: make(chan struct{}),
	}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	p.cmd = exec.Command(program, args...) //nolint:gosec // the operator names it
	p.cmd.Env = append(os.Environ(), environ...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	started := make(chan error, 1) // the one result
	go func() {                    // ends with the process
		defer close(p.ended)
		runtime.LockOSThread() // never unlocked: the signal at death is that of this thread's
		err := p.cmd.Start()
		started <- err
		if err != nil {
			return
		}
		p.err = p.cmd.Wait()
		select {
		case <-p.asked:
		default:
			t.died <- fmt.Sprintf("%s has ended: %s (its log is %s)", name, p.cmd.ProcessState, p.log)
		}
	}()
	return p, <-started
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// signal asks the process to end, and does not wait.
func (p *process) signal(s syscall.Signal) {
	select {
	case <-p.asked:
	default:
		close(p.asked)
		_ = p.cmd.Process.Signal(s) // it may have ended already
	}
}

// stop asks the process to end and waits for it; it is killed when it takes too long. One that somebody killed before is no
// error.
func (p *process) stop(s syscall.Signal) error {
	select {
	case <-p.ended:
		return nil
	default:
	}
	p.signal(s)
	select {
	case <-p.ended:
	case <-time.After(stopPatience):
		_ = p.cmd.Process.Kill() // it may have ended meanwhile
		<-p.ended
		return fmt.Errorf("%s did not end within %v, and was killed", p.name, stopPatience)
	}
	if p.err != nil {
		return fmt.Errorf("%s: %w", p.name, p.err)
	}
	return nil
}

// lastLines is the end of what the process printed.
func (p *process) lastLines() string {
	text, _ := os.ReadFile(p.log)
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-10):], "\n")
}
