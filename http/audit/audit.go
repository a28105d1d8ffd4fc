// Package audit remembers who changed what by the status API, and writes it to the log. The log is what lasts; the newest
// records are kept in memory for whoever asks.
//
// The one invariant: a record says what was asked and how it was answered, and holds nothing of a token, a header or a body.
package audit

import (
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/hooktroupe/hooktroupe/http/auth"
	"github.com/hooktroupe/hooktroupe/internal/logfield"
)

// Record is one command, whether it changed something or was refused.
type Record struct {
	// At is when it was answered.
	At time.Time
	// Who gave it.
	Who auth.Principal
	// Client is the address that it came from.
	Client string
	// Action is the command, such as task.cancel or lane.pause.
	Action string
	// Target is the task, key or replay that it is about; empty for none.
	Target string
	// Parameters are those that the command knows, such as reason=…; printable ASCII, up to 512 bytes.
	Parameters string
	// Status is that of the answer; below 300 the command was obeyed.
	Status int
}

// size is how many records are kept in memory.
const size = 1000

// Trail is the newest records. It is safe for use by many goroutines.
type Trail struct {
	log logrus.FieldLogger

	mu      sync.Mutex // guards what follows
	records []Record   // a ring once it is full
	next    int        // where the next record goes
}

// New returns a Trail that writes to a log.
func New(log logrus.FieldLogger) *Trail { return &Trail{log: log} }

// Add remembers a record and logs it at level info.
func (t *Trail) Add(r Record) {
	t.log.WithFields(logrus.Fields{
		logfield.Audit:         r.Action,
		logfield.UserName:      r.Who.Name,
		logfield.UserScope:     r.Who.Scope.String(),
		logfield.ClientAddress: r.Client,
		logfield.Target:        r.Target,
		logfield.Parameters:    r.Parameters,
		logfield.HTTPStatus:    r.Status,
	}).Info("a command was given")
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.records) < size {
		t.records = append(t.records, r)
		return
	}
	t.records[t.next] = r
	t.next = (t.next + 1) % size
}

// Newest returns up to limit records, the newest first.
func (t *Trail) Newest(limit int) []Record {
	t.mu.Lock()
	defer t.mu.Unlock()
	newest := make([]Record, 0, min(limit, len(t.records)))
	for i := range cap(newest) {
		at := (t.next + 2*len(t.records) - 1 - i) % len(t.records)
		newest = append(newest, t.records[at])
	}
	return newest
}
