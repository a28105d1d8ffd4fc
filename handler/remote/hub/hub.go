// Package hub is the daemon's half of handlers on other hosts: members register a kind and credits, and the attempts of
// that kind are handed to them. The hub knows each member's credits, waits for a free one on an attempt's behalf, and
// notices when a member is gone: its attempts end at once with handler.ErrLost.
//
// The one invariant: no member works more attempts than it has given credits, and an attempt ends exactly once, by the
// result of the generation that was handed out last or by the loss of its member, never by a late result.
package hub

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"github.com/hooktroupe/hooktroupe/handler"
	"github.com/hooktroupe/hooktroupe/handler/remote/link"
	pb "github.com/hooktroupe/hooktroupe/messages/handlerv1"
)

// retryLater is when a task is tried again for which there is no member.
const retryLater = 5 * time.Second

var (
	// ErrNoMember means that no member of the kind is registered, nor came within Config.Patience. The task is tried again.
	ErrNoMember = errors.New("no member of this kind is registered")
	// ErrNotRunning means that the hub was not started, or is stopped. The error wraps handler.ErrLost too.
	ErrNotRunning = errors.New("the hub of remote handlers does not run")
)

// Member is what is known of one.
type Member struct {
	// Kind is what it works.
	Kind string
	// Address is where it is called.
	Address string
	// Identity is the subject of its certificate; link.Insecure without TLS.
	Identity string
	// Credits is how many attempts it runs at once, Running how many it is at, cancelled ones that have not ended included.
	Credits, Running int
	// Draining says that it takes no more.
	Draining bool
	// Since is when it registered, Heard when it was last heard of.
	Since, Heard time.Time
}

// Stats counts what was refused since the start.
type Stats struct {
	// LateResults are results of attempts that had ended already, or were never handed out.
	LateResults uint64
	// Registrations are offers that were turned down.
	Registrations uint64
	// Messages are messages and calls that did not get past the firewall.
	Messages uint64
	// Lost are attempts that ended with their member.
	Lost uint64
}

// counters are those of Stats that the roster moves.
type counters struct{ late, registrations, lost atomic.Uint64 }

// Hub hands attempts to members. It is safe for use by several goroutines; there is at most one in a process.
type Hub struct {
	config Config
	counts counters
	kinds  atomic.Pointer[[]string] // that members may register
	live   atomic.Pointer[running]
}

// running is a hub between Start and Stop.
type running struct {
	link    *link.Link
	pid     *actor.PID
	stopped chan struct{} // closed by Stop, before the roster ends
}

// New returns a hub that does not listen yet.
func New(c Config) (*Hub, error) {
	c = c.WithDefaults()
	if err := c.validate(); err != nil {
		return nil, err
	}
	h := &Hub{config: c}
	h.Allow(c.AllowedKinds)
	return h, nil
}

// Allow replaces the kinds that members may register. Members that are registered stay.
func (h *Hub) Allow(kinds []string) {
	kinds = slices.Clone(kinds)
	h.kinds.Store(&kinds)
}

// Start listens. It fails when the port is taken, the certificates cannot be read, or an address is not loopback though
// TLS is waived. A hub that runs already is left as it is.
func (h *Hub) Start() error {
	if h.live.Load() != nil {
		return nil
	}
	r := &running{stopped: make(chan struct{})}
	l, err := link.Open(link.Config{
		Listen: h.config.Listen, Advertise: h.config.Advertise, TLS: h.config.TLS, Insecure: h.config.Insecure,
		MaxMessageBytes: link.MaxReportBytes, Target: link.Hub,
		Accept: []proto.Message{
			&pb.RegisterHandler{}, &pb.RenewHandler{}, &pb.WithdrawHandler{}, &pb.AttemptResult{},
		},
		Clock: h.config.Clock, Log: h.config.Log,
		Gone: func(address string) {
			if at := h.live.Load(); at != nil {
				at.link.System().Root.Send(at.pid, disconnected{address})
			}
		},
	})
	if err != nil {
		return fmt.Errorf("hub: %w", err)
	}
	r.link = l
	r.pid, err = l.System().Root.SpawnNamed(rosterProps(h.config, &h.counts, &h.kinds), link.Hub)
	if err != nil {
		l.Close()
		return fmt.Errorf("hub: %w", err)
	}
	h.live.Store(r)
	return nil
}

// Stop ends every attempt under way with handler.ErrLost and hangs up. It may be called twice, and before Start.
func (h *Hub) Stop() {
	r := h.live.Swap(nil)
	if r == nil {
		return
	}
	close(r.stopped)
	_ = r.link.System().Root.StopFuture(r.pid).Wait() // it does nothing that could hold it up
	r.link.Close()
}

// Address is where members register; empty while the hub does not run.
func (h *Hub) Address() string {
	if r := h.live.Load(); r != nil {
		return r.link.Address()
	}
	return ""
}

// Members lists those registered, by kind and address.
func (h *Hub) Members() []Member {
	r := h.live.Load()
	if r == nil {
		return nil
	}
	q := listMembers{reply: make(chan []Member, 1)} // takes the one answer
	r.link.System().Root.Send(r.pid, q)
	select {
	case members := <-q.reply:
		return members
	case <-r.stopped:
		return nil
	}
}

// Stats says what was refused.
func (h *Hub) Stats() Stats {
	s := Stats{
		LateResults: h.counts.late.Load(), Registrations: h.counts.registrations.Load(), Lost: h.counts.lost.Load(),
	}
	if r := h.live.Load(); r != nil {
		s.Messages = r.link.Refused()
	}
	return s
}

// Handler returns the handler of a kind: each attempt goes to a member of it.
func (h *Hub) Handler(kind string) handler.Handler {
	return handler.Func(func(ctx context.Context, t *handler.Task) ([]byte, error) { return h.handle(ctx, kind, t) })
}

// handle waits for what the roster makes of the attempt.
func (h *Hub) handle(ctx context.Context, kind string, t *handler.Task) ([]byte, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	r := h.live.Load()
	if r == nil {
		return nil, fmt.Errorf("%w: %w", handler.ErrLost, ErrNotRunning)
	}
	a := &attempt{kind: kind, task: encode(ctx, t), outcome: make(chan outcome, 1)}
	a.deadline, _ = ctx.Deadline()
	if size := proto.Size(a.task); size > h.config.MaxMessageBytes-link.MaxReportBytes {
		return nil, handler.Discard(fmt.Errorf("%d bytes are too many for a handler on another host", size))
	}
	root := r.link.System().Root
	root.Send(r.pid, runAttempt{a})
	select {
	case o := <-a.outcome:
		if ended := over(ctx); o.err != nil && ended != nil {
			return o.result, fmt.Errorf("%w: %w", ended, o.err) // the member may have been the first to notice
		}
		return o.result, o.err
	case <-ctx.Done():
		root.Send(r.pid, giveUp{a})
		return nil, context.Cause(ctx)
	case <-r.stopped:
		return nil, fmt.Errorf("%w: %w", handler.ErrLost, ErrNotRunning)
	}
}

// over is why an attempt's time is over, or nil. A deadline that has passed counts although its timer is late.
func over(ctx context.Context) error {
	if ended := context.Cause(ctx); ended != nil {
		return ended
	}
	if deadline, bound := ctx.Deadline(); bound && !time.Now().Before(deadline) {
		return context.DeadlineExceeded
	}
	return nil
}
