//go:build unix && !linux

package pgserver

import "syscall"

// attributes cannot bind the server's life to that of this process here.
func attributes(identity *syscall.Credential) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: identity}
}
