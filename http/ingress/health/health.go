// Package health watches the answers that the senders get, and says how near each source is to the point at which its
// sender gives up: most senders stop silently, and what they would have sent is lost. It answers no request, changes no
// answer, and knows nothing of a delivery but how it was answered.
//
// Whose failure is it? Only an answer that a sender can have got counts: one to a request that was verified, or one of
// 5xx, which is our own trouble whoever asked. What strangers are refused with, 401 above all, is counted apart and
// raises no alarm, for anybody can ask for it. A sender whose secret was changed looks like a stranger: its count of
// refused requests grows while the time of the last accepted one stands still.
//
// The one invariant: each change of a state is told once, and nothing but a verified delivery that was answered with 2xx
// in time makes a source healthy again.
package health

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/hooktroupe/hooktroupe/internal/clock"
	"github.com/hooktroupe/hooktroupe/metrics"
	"github.com/hooktroupe/hooktroupe/source"
)

// Answer is one answer as it leaves.
type Answer struct {
	// Source is the configured name. Names that are not configured are passed over.
	Source string
	// Code is the HTTP status.
	Code int
	// Verified says whether the source vouched for the request.
	Verified bool
	// ReceivedAt is when the last byte of the request arrived; zero when it was answered before that.
	ReceivedAt time.Time
}

// Source is one source to watch.
type Source struct {
	// Name is the configured name.
	Name string
	// Type names the sender.
	Type string
	// Paths are those that it is served at.
	Paths []string
	// Patience is the sender's.
	Patience source.Patience
}

// State is how near a sender is to giving up; a closed set.
type State string

// The states. A source whose sender has no known limit is always healthy.
const (
	// Healthy is below half of the limit.
	Healthy State = "healthy"
	// Warning is at half of the limit, rounded up, or above.
	Warning State = "warning"
	// SuspendedLikely is at the limit, or after a failure that the sender does not put up with at all.
	SuspendedLikely State = "suspended_likely"
)

// Report is how a source stands.
type Report struct {
	Source
	// State is how near the sender is to giving up.
	State State
	// LastAcceptedAt is when a verified request was last answered with 2xx; zero for never since the start.
	LastAcceptedAt time.Time
	// ConsecutiveFailures is how many failures there were since then.
	ConsecutiveFailures int
	// SlowAcks is how many answers came later than the sender waits, since the start.
	SlowAcks uint64
	// Refused is how many requests were answered with 401, since the start.
	Refused uint64
}

// Dependencies are what a Board works with; all are required.
type Dependencies struct {
	// Clock says when an answer leaves.
	Clock clock.Clock
	// Metrics are set here only in their Sources group.
	Metrics *metrics.Set
	// Log gets an entry for each change of a state.
	Log logrus.FieldLogger
}

// Board holds one record for each configured source. It is safe for use by many goroutines.
type Board struct {
	deps  Dependencies
	watch atomic.Pointer[watched] // replaced whole by Watch
}

// watched are the sources that are watched.
type watched struct {
	records map[string]*record // by name
	names   []string           // sorted
}

// record is what is known of one source. The lock is held for a few instructions, never while anything is written.
type record struct {
	mu             sync.Mutex // guards what follows
	source         Source
	state          State
	lastAcceptedAt time.Time
	consecutive    int
	slow, refused  uint64
}

// New returns a Board of these sources, all of them healthy. Of two with one name the last counts. A gauge of each is
// set at once, so that a source that never failed can be told from one that is not watched.
func New(sources []Source, deps Dependencies) *Board {
	b := &Board{deps: deps}
	b.watch.Store(&watched{})
	b.Watch(sources)
	return b
}

// Watch puts these sources in the place of those that are watched. What is known of a source goes on with its name, unless
// its type is another. The metrics of those that are gone are gone. It must not be called twice at a time.
func (b *Board) Watch(sources []Source) {
	before, m := b.watch.Load(), &b.deps.Metrics.Sources
	next := &watched{records: make(map[string]*record, len(sources))}
	for _, s := range sources {
		s.Paths = slices.Clone(s.Paths)
		next.names = append(next.names, s.Name)
		m.Limit.With(s.Name).Set(float64(s.Patience.Failures))
		if r := before.records[s.Name]; r != nil && r.goesOn(s) {
			next.records[s.Name] = r
			continue
		}
		next.records[s.Name] = &record{source: s, state: Healthy}
		m.ConsecutiveFailures.With(s.Name).Set(0)
		m.State.With(s.Name).Set(0)
		m.LastAccepted.With(s.Name).Set(0)
		m.SlowAcks.With(s.Name).Add(0)
	}
	slices.Sort(next.names)
	next.names = slices.Compact(next.names)
	b.watch.Store(next)
	for _, name := range before.names {
		if next.records[name] == nil {
			m.Limit.Forget(name)
			m.ConsecutiveFailures.Forget(name)
			m.State.Forget(name)
			m.LastAccepted.Forget(name)
			m.SlowAcks.Forget(name)
		}
	}
}

// goesOn describes the source anew, unless it is another kind of sender.
func (r *record) goesOn(s Source) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.source.Type != s.Type {
		return false
	}
	r.source = s
	return true
}

// Answered takes one answer into account. It does not block.
func (b *Board) Answered(a Answer) {
	r := b.watch.Load().records[a.Source]
	if r == nil {
		return
	}
	now := b.deps.Clock.Now()
	source := r.described()
	verdict := judge(a, now, source.Patience)
	if verdict == none {
		return
	}
	if was, is, failures := r.apply(verdict, a.Code, now, &b.deps.Metrics.Sources); was != is {
		b.tell(source, is, failures, a.Code)
	}
}

// Reports says how every source stands, by name. The slice is the caller's; Paths are not to be changed.
func (b *Board) Reports() []Report {
	watched := b.watch.Load()
	reports := make([]Report, 0, len(watched.names))
	for _, name := range watched.names {
		reports = append(reports, watched.records[name].report())
	}
	return reports
}

// described is the source as it is described now.
func (r *record) described() Source {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.source
}

func (r *record) report() Report {
	r.mu.Lock()
	defer r.mu.Unlock()
	return Report{
		Source: r.source, State: r.state, LastAcceptedAt: r.lastAcceptedAt, ConsecutiveFailures: r.consecutive,
		SlowAcks: r.slow, Refused: r.refused,
	}
}
