//go:build unix && !linux

package exec

import (
	osexec "os/exec"
	"syscall"
)

// ownGroup starts a program in a process group of its own. It outlives a daemon that dies.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// awaitExit returns when the program has ended and is reaped. The group is signalled after that, by a number that
// another group could in theory have by then; Linux, for which the daemon is made, does better.
func awaitExit(cmd *osexec.Cmd) { _ = cmd.Wait() }
