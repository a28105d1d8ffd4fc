// Package stream keeps the newest changes of tasks, lanes and replays, numbered, so that many readers may follow them, each
// at its own pace, and go on where they were after a pause. It knows no connection: package status writes what is read.
//
// The one invariant: who publishes never waits for who reads. A reader that falls too far behind is told so and has lost
// what it missed.
package stream

import (
	"strconv"
	"strings"
	"sync"
	"time"
)

// Change is one thing that changed. Show is called when a reader comes to it, on the reader's goroutine, once for each
// reader; it returns a Task, Lane, Replay or Reset.
type Change interface{ Show() any }

// Task tells how a task stands. The time is RFC 3339.
type Task struct {
	ID       string  `json:"id"`
	Parent   *string `json:"parent"`
	Status   string  `json:"status"`
	Source   string  `json:"source"`
	Event    string  `json:"event"`
	Route    string  `json:"route"`
	Key      string  `json:"key"`
	Attempts uint32  `json:"attempts"`
	At       string  `json:"at"`
}

// Lane tells that a lane was paused, or goes on.
type Lane struct {
	Route  string `json:"route"`
	Key    string `json:"key"`
	Paused bool   `json:"paused"`
	At     string `json:"at"`
}

// Replay tells that a replay has started or ended.
type Replay struct {
	ID       string `json:"id"`
	State    string `json:"state"`
	Total    uint64 `json:"total"`
	Replayed uint64 `json:"replayed"`
	Refused  uint64 `json:"refused"`
	At       string `json:"at"`
}

// Reset tells that changes were missed, whatever a reader has selected: what is known has to be asked for anew.
type Reset struct{}

// Feed is a ring of the newest changes. It is safe for use by many goroutines.
type Feed struct {
	epoch string // tells the numbers of this process from those of the one before

	mu   sync.Mutex // guards what follows
	ring []Change   // change n is at n % len
	next uint64     // the number of the next change, from 1
	wake chan struct{}
}

// DefaultSize is how many changes a Feed keeps where nothing else is said.
const DefaultSize = 4096

// New returns a Feed that keeps that many changes; DefaultSize where size is not above zero. The time is that of the
// start of the process.
func New(size int, started time.Time) *Feed {
	if size <= 0 {
		size = DefaultSize
	}
	return &Feed{epoch: strconv.FormatInt(started.UnixNano(), 36), ring: make([]Change, size), next: 1}
}

// Publish appends a change. It never blocks for longer than a reader takes to copy what it reads.
func (f *Feed) Publish(c Change) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ring[f.next%uint64(len(f.ring))] = c
	f.next++
	if f.wake != nil {
		close(f.wake)
		f.wake = nil
	}
}

// oldest is the number of the oldest change that is kept.
func (f *Feed) oldest() uint64 { return max(1, f.next-min(f.next, uint64(len(f.ring)))) }

// Reader is a place in a Feed. One goroutine at a time may use it.
type Reader struct {
	feed *Feed
	at   uint64 // the number of the change to read next
}

// Open returns a Reader that goes on after the change of that ID, or with the next change when it is empty. lost says that
// changes after that ID are not kept any more, or that the ID is none of this process: the Reader goes on with the next.
func (f *Feed) Open(lastID string) (r *Reader, lost bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r = &Reader{feed: f, at: f.next}
	if lastID == "" {
		return r, false
	}
	epoch, number, _ := strings.Cut(lastID, "-")
	last, err := strconv.ParseUint(number, 10, 64)
	if err != nil || epoch != f.epoch || last >= f.next || last+1 < f.oldest() {
		return r, true
	}
	r.at = last + 1
	return r, false
}

// ID is that of the newest change that was read, or was there when the Reader was opened.
func (r *Reader) ID() string { return r.id(r.at - 1) }

func (r *Reader) id(number uint64) string { return r.feed.epoch + "-" + strconv.FormatUint(number, 10) }

// Numbered is a change with its ID, which Open takes.
type Numbered struct {
	ID     string
	Change Change
}

// Read returns the next changes, at most as many as buffer has room for, and keeps none of the buffer. When there are none,
// more is closed once there are. lost says that the Reader fell so far behind that changes were dropped: it goes on with
// the oldest that is kept.
func (r *Reader) Read(buffer []Numbered) (read []Numbered, more <-chan struct{}, lost bool) {
	f := r.feed
	f.mu.Lock()
	defer f.mu.Unlock()
	if oldest := f.oldest(); r.at < oldest {
		r.at = oldest
		return nil, nil, true
	}
	if r.at == f.next {
		if f.wake == nil {
			f.wake = make(chan struct{})
		}
		return nil, f.wake, false
	}
	read = buffer[:0]
	for ; r.at < f.next && len(read) < cap(buffer); r.at++ {
		read = append(read, Numbered{ID: r.id(r.at), Change: f.ring[r.at%uint64(len(f.ring))]})
	}
	return read, nil, false
}
