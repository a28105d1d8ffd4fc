package pgserver

import "syscall"

// attributes make the server shut down when the thread that started it ends.
func attributes(identity *syscall.Credential) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: identity, Pdeathsig: syscall.SIGINT}
}
