//go:build linux

// Package ceiling holds what the daemon is measured against: the least that its two halves can cost on this machine. A
// Log only commits, a Verifier only verifies; neither keeps, finds again or works anything.
package ceiling

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hooktroupe/hooktroupe/bench/internal/stats"
)

// ErrClosed means that a Log was closed.
var ErrClosed = errors.New("the log is closed")

// Log is a bare group commit: one file of fixed size, filled with zeros beforehand, and one goroutine that takes what
// gathered while the last sync ran, writes it with one pwrite and syncs it with one fdatasync. At the end of the file it
// begins anew. Its bytes cannot be read back as records. It is safe for use by several goroutines.
type Log struct {
	file *os.File
	size int64
	wake chan struct{} // holds one signal: there is something to write, or the log is closed
	done chan struct{} // closed when the writer has ended

	mu      sync.Mutex // guards what follows
	pending *group
	closed  bool

	at    int64           // the writer's, until done
	syncs []time.Duration // the writer's, until done
}

// group is what becomes durable together.
type group struct {
	buf       []byte
	committed chan struct{} // closed after the sync
	err       error         // read after committed
}

func newGroup(buf []byte) *group { return &group{buf: buf[:0], committed: make(chan struct{})} }

// OpenLog creates the file and fills it. Close removes nothing.
func OpenLog(path string, size int64) (*Log, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	if err := fill(file, size); err != nil {
		return nil, errors.Join(fmt.Errorf("fill %s: %w", path, err), file.Close())
	}
	l := &Log{
		file: file, size: size, pending: newGroup(nil),
		wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
	go l.write() // ends after Close
	return l, nil
}

// fill writes zeros, so that a later sync has no metadata to write.
func fill(file *os.File, size int64) error {
	if err := unix.Fallocate(int(file.Fd()), 0, 0, size); err != nil {
		return err
	}
	if _, err := io.CopyN(file, zeros{}, size); err != nil {
		return err
	}
	return file.Sync()
}

// zeros is a reader without end.
type zeros struct{}

// Read fills p with zeros.
func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// Commit returns once the record is on stable storage. After an error of the disk every later Commit returns it too. The
// record, which must not be larger than the file, is the caller's again on return.
func (l *Log) Commit(record []byte) error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return ErrClosed
	}
	g := l.pending
	g.buf = append(g.buf, record...)
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
	<-g.committed
	return g.err
}

// write commits one group after the other until the log is closed or the disk fails.
func (l *Log) write() {
	defer close(l.done)
	var spare []byte
	var failure error
	for range l.wake {
		l.mu.Lock()
		g, closed := l.pending, l.closed
		l.pending = newGroup(spare)
		l.mu.Unlock()
		if len(g.buf) > 0 && failure == nil {
			failure = l.commit(g.buf)
		}
		g.err = failure
		spare = g.buf
		close(g.committed)
		if closed {
			return
		}
	}
}

// commit writes a group at the end, or at the begin when it no longer fits.
func (l *Log) commit(buf []byte) error {
	if l.at+int64(len(buf)) > l.size {
		l.at = 0
	}
	if _, err := l.file.WriteAt(buf, l.at); err != nil {
		return err
	}
	l.at += int64(len(buf))
	began := time.Now()
	if err := unix.Fdatasync(int(l.file.Fd())); err != nil {
		return fmt.Errorf("fdatasync: %w", err)
	}
	l.syncs = append(l.syncs, time.Since(began))
	return nil
}

// Close commits what is pending and returns how long each fdatasync took. It is called once.
func (l *Log) Close() (stats.Sample, error) {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
	<-l.done
	return stats.NewSample(l.syncs), l.file.Close()
}
