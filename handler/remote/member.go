package remote

import (
	"crypto/rand"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/sirupsen/logrus"

	"github.com/hooktroupe/hooktroupe/handler/remote/link"
	"github.com/hooktroupe/hooktroupe/internal/clock"
	"github.com/hooktroupe/hooktroupe/internal/logfield"
	pb "github.com/hooktroupe/hooktroupe/messages/handlerv1"
)

const (
	// registerEvery is how often a daemon is asked that has not answered.
	registerEvery = 500 * time.Millisecond
	// farewell bounds how long a member that has drained waits for the daemon to confirm it.
	farewell = 2 * time.Second
	// holdBack is how many times registerEvery an offer waits for attempts of an earlier registration to end, so that all
	// credits can be offered.
	holdBack = 10
)

// What the member tells itself.
type (
	tick         struct{}
	drain        struct{}
	drainOver    struct{}
	farewellOver struct{}
	disconnected struct{ address string }
)

// member is the actor at which the daemon's messages arrive. Its state is its own but for home and ended. It does not
// panic: the handler runs elsewhere.
type member struct {
	config Config
	daemon *actor.PID
	ended  chan error                // takes what Serve returns; only the first counts
	home   atomic.Pointer[actor.PID] // its own, for the link's callback
	root   *actor.RootContext        // set before home

	session  string // of the offer that is open or accepted
	token    string // of the registration; empty while there is none
	renewed  bool   // the daemon has confirmed the token
	held     int    // how often this offer was held back
	silence  time.Duration
	heard    time.Time
	timer    clock.Timer // of the next tick
	running  map[uint64]*attempt
	draining bool
	closing  []clock.Timer // of the drain
}

func newMember(c Config) *member {
	return &member{
		config: c, daemon: actor.NewPID(c.Daemon, link.Hub),
		ended: make(chan error, 1), running: make(map[uint64]*attempt),
	}
}

// disconnected hears of connections that ended. It is called from any goroutine.
func (m *member) disconnected(address string) {
	if self := m.home.Load(); self != nil {
		m.root.Send(self, disconnected{address})
	}
}

// Receive serves the daemon and Serve.
func (m *member) Receive(ctx actor.Context) {
	switch message := ctx.Message().(type) {
	case *actor.Started:
		m.root = ctx.ActorSystem().Root
		m.home.Store(ctx.Self())
		m.offer(ctx)
	case *pb.HandlerRegistered:
		m.registered(ctx, message)
	case *pb.HandlerRefused:
		m.refused(message)
	case *pb.HandlerRenewed:
		m.confirmed(message)
	case *pb.HandlerWithdrawn:
		m.withdrawn(message)
	case *pb.RunAttempt:
		m.run(ctx, message)
	case *pb.CancelAttempt:
		m.cancel(message)
	case finished:
		m.finished(ctx, message)
	case tick:
		m.tick(ctx)
	case disconnected:
		m.disconnectedFrom(ctx, message)
	case drain:
		m.drain(ctx)
	case drainOver:
		m.cancelAll(ErrDrained)
	case farewellOver:
		m.end(nil)
	case *actor.Stopping:
		m.stop()
	}
}

// offer begins a registration, under a new session, so that answers to an earlier one are told apart.
func (m *member) offer(ctx actor.Context) {
	m.session, m.token, m.renewed, m.held = rand.Text(), "", false, 0
	m.ask(ctx)
}

// ask offers the session, and does so again until it is answered. Attempts of an earlier registration that do not heed
// their cancellation keep their credits.
func (m *member) ask(ctx actor.Context) {
	m.tickIn(ctx, registerEvery)
	free := m.config.Credits - len(m.running)
	if m.held++; free <= 0 || len(m.running) > 0 && m.held <= holdBack {
		return
	}
	ctx.Send(m.daemon, &pb.RegisterHandler{
		Protocol: link.Protocol, Session: m.session, Address: ctx.Self().GetAddress(),
		Kind: m.config.Kind, Credits: uint32(free),
	})
}

// registered takes the token, and shows that it has it.
func (m *member) registered(ctx actor.Context, message *pb.HandlerRegistered) {
	if message.GetSession() != m.session || m.token != "" || message.GetSilence().AsDuration() <= 0 {
		return
	}
	m.token, m.silence, m.heard = message.GetToken(), message.GetSilence().AsDuration(), m.config.clock.Now()
	m.renew(ctx)
}

// renew says that the member lives.
func (m *member) renew(ctx actor.Context) {
	ctx.Send(m.daemon, &pb.RenewHandler{Token: m.token})
	m.tickIn(ctx, m.silence/3)
}

// confirmed notes that the daemon lives.
func (m *member) confirmed(message *pb.HandlerRenewed) {
	if !m.mine(message.GetToken()) || m.renewed {
		return
	}
	m.renewed = true
	m.log().Info("registered with the daemon")
	m.config.Registered()
}

// mine says whether a message is of this registration, and notes that the daemon was heard.
func (m *member) mine(token string) bool {
	if token == "" || token != m.token {
		return false
	}
	m.heard = m.config.clock.Now()
	return true
}

// refused gives up when asking again is of no use.
func (m *member) refused(message *pb.HandlerRefused) {
	if message.GetSession() != m.session || m.token != "" {
		return
	}
	m.log().WithField(logfield.Reason, message.GetReason()).Warn("the daemon refuses the registration")
	if message.GetFinal() {
		m.end(fmt.Errorf("%w: %s", ErrRefused, message.GetReason()))
	}
}

// tick asks again, renews, or takes the daemon for dead.
func (m *member) tick(ctx actor.Context) {
	switch {
	case m.token == "" && m.draining:
		return // nobody is there to take leave of
	case m.token == "":
		m.ask(ctx)
	case m.config.clock.Now().Sub(m.heard) >= m.silence*2/3:
		m.lose(ctx)
	default:
		m.renew(ctx)
	}
}

// disconnectedFrom begins anew when the connection to the daemon has ended. While there is no registration, ticks do.
func (m *member) disconnectedFrom(ctx actor.Context, e disconnected) {
	if e.address == m.config.Daemon && m.token != "" {
		m.lose(ctx)
	}
}

// lose cancels what runs, whose results nobody waits for, and looks for the daemon again.
func (m *member) lose(ctx actor.Context) {
	m.log().Warn("the daemon is gone; what runs is cancelled")
	m.cancelAll(ErrDaemonLost)
	if m.draining {
		m.token = ""
		m.leave(ctx)
		return
	}
	m.offer(ctx)
}

// drain takes no more, and leaves when nothing runs.
func (m *member) drain(ctx actor.Context) {
	m.draining = true
	if m.token != "" {
		ctx.Send(m.daemon, &pb.WithdrawHandler{Token: m.token})
	}
	self, root := ctx.Self(), m.root
	over := m.config.clock.AfterFunc(max(m.config.Drain, 0), func() { root.Send(self, drainOver{}) })
	last := m.config.clock.AfterFunc(max(m.config.Drain, 0)+farewell, func() { root.Send(self, farewellOver{}) })
	m.closing = append(m.closing, over, last)
	m.leave(ctx)
}

// leave takes leave of the daemon once nothing runs: its answer says that every result has arrived.
func (m *member) leave(ctx actor.Context) {
	switch {
	case len(m.running) > 0:
	case m.token == "":
		m.end(nil)
	default:
		ctx.Send(m.daemon, &pb.WithdrawHandler{Token: m.token, Final: true})
		self, root := ctx.Self(), m.root
		m.closing = append(m.closing, m.config.clock.AfterFunc(farewell, func() { root.Send(self, farewellOver{}) }))
	}
}

func (m *member) withdrawn(message *pb.HandlerWithdrawn) {
	if m.draining && m.mine(message.GetToken()) {
		m.end(nil)
	}
}

// end makes Serve return. Only the first call counts.
func (m *member) end(err error) {
	select {
	case m.ended <- err:
	default:
	}
}

// stop leaves nothing behind that would call again.
func (m *member) stop() {
	m.home.Store(nil)
	m.timer.Stop()
	for _, timer := range m.closing {
		timer.Stop()
	}
	m.cancelAll(ErrDrained)
}

func (m *member) tickIn(ctx actor.Context, d time.Duration) {
	if m.timer != nil {
		m.timer.Stop()
	}
	self, root := ctx.Self(), m.root
	m.timer = m.config.clock.AfterFunc(d, func() { root.Send(self, tick{}) })
}

func (m *member) log() logrus.FieldLogger {
	return m.config.Log.WithFields(logrus.Fields{
		logfield.Component: "handler/remote", "kind": m.config.Kind, logfield.Address: m.config.Daemon,
	})
}
