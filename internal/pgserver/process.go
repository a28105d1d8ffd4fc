package pgserver

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// identity is the user whom PostgreSQL runs as: it refuses to be root. Nil means that of this process.
func identity() (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, errUID := strconv.ParseUint(u.Uid, 10, 32)
		gid, errGID := strconv.ParseUint(u.Gid, 10, 32)
		if err := errors.Join(errUID, errGID); err != nil {
			return nil, err
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid), NoSetGroups: false}, nil
	}
	return nil, errors.New("pgserver: neither the user postgres nor nobody is there to run it")
}

// process is a running postmaster.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed when it has ended and was waited for
}

// run starts a command whose life is bound to a thread of this process, where the system can do that. The thread enters
// first, unless enter is nil.
func run(c *exec.Cmd, enter func() error) (*process, error) {
	p := &process{cmd: c, ended: make(chan struct{})}
	started := make(chan error, 1) // the one result
	go func() {                    // ends with the command
		defer close(p.ended)
		runtime.LockOSThread() // never unlocked: the signal at death is that of this thread's
		var err error
		if enter != nil {
			err = enter()
		}
		if err == nil {
			err = c.Start()
		}
		started <- err
		if err == nil {
			_ = c.Wait()
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

func (p *process) signal(s syscall.Signal) error { return p.cmd.Process.Signal(s) }

// children are the processes that the postmaster made; each is a session of its own, so that no signal to a group
// reaches them.
func (p *process) children() []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var found []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err == nil && parent(pid) == p.cmd.Process.Pid {
			found = append(found, pid)
		}
	}
	return found
}

// parent is a process's parent, zero if it is gone.
func parent(pid int) int {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	// The name, in parentheses, may hold anything; state and parent follow its last one.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(fields) < 2 {
		return 0
	}
	ppid, _ := strconv.Atoi(fields[1])
	return ppid
}

// awaitGone waits until processes that were killed hold no memory any more, so that the server can be started again.
func awaitGone(pids []int) error {
	deadline := time.Now().Add(stopTimeout)
	for _, pid := range pids {
		for syscall.Kill(pid, 0) == nil && !zombie(pid) {
			if time.Now().After(deadline) {
				return fmt.Errorf("pgserver: process %d does not end", pid)
			}
			time.Sleep(pollInterval)
		}
	}
	return nil
}

// zombie says whether a process has ended and only waits to be waited for.
func zombie(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	rest := strings.TrimSpace(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	return strings.HasPrefix(rest, "Z")
}
