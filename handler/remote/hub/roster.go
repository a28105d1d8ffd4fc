package hub

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/sirupsen/logrus"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/hooktroupe/hooktroupe/handler"
	"github.com/hooktroupe/hooktroupe/handler/remote/link"
	"github.com/hooktroupe/hooktroupe/internal/clock"
	"github.com/hooktroupe/hooktroupe/internal/logfield"
	pb "github.com/hooktroupe/hooktroupe/messages/handlerv1"
)

// What the hub tells its roster.
type (
	runAttempt   struct{ *attempt }
	giveUp       struct{ *attempt }
	listMembers  struct{ reply chan []Member }
	disconnected struct{ address string }
)

// What the roster tells itself.
type (
	lookAround   struct{}
	lostPatience struct{ *attempt }
)

// roster knows the members, and every attempt that waits for one or is at one. All its state is its own.
type roster struct {
	config     Config
	counts     *counters
	kinds      *atomic.Pointer[[]string] // that may register
	members    map[string]*member        // by token
	waiting    map[string][]*attempt     // by kind, first come first
	generation uint64                    // of the attempt handed out last
	timer      clock.Timer               // of the next lookAround
}

// member is one registration.
type member struct {
	session, token string
	kind           string
	identity       string
	pid            *actor.PID
	credits        int
	confirmed      bool // it has shown that it listens at its address: before, it is given nothing
	draining       bool
	since, heard   time.Time
	servedLast     uint64              // generation of the attempt it was given last
	running        map[uint64]*attempt // by generation; nil once the attempt was given up, until the member ends it
}

// attempt is one call of Handle.
type attempt struct {
	kind     string
	task     *pb.Task
	deadline time.Time    // zero for none
	outcome  chan outcome // takes the one outcome

	at         *member // nil while it waits
	generation uint64
	patience   clock.Timer // runs while there is no member of its kind
}

// rosterProps make the roster. Should it fail, it begins anew without members: they register again.
func rosterProps(c Config, counts *counters, kinds *atomic.Pointer[[]string]) *actor.Props {
	return actor.PropsFromProducer(func() actor.Actor {
		return &roster{
			config: c, counts: counts, kinds: kinds,
			members: make(map[string]*member), waiting: make(map[string][]*attempt),
			generation: uint64(c.Clock.Now().UnixNano()), // so that it grows over restarts of the daemon too
		}
	}, actor.WithGuardian(actor.NewRestartingStrategy()))
}

// Receive serves members and the hub.
func (r *roster) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		r.lookAgain(ctx)
	case *pb.RegisterHandler:
		r.register(ctx, m)
	case *pb.RenewHandler:
		r.renew(ctx, m)
	case *pb.WithdrawHandler:
		r.withdraw(ctx, m)
	case *pb.AttemptResult:
		r.result(ctx, m)
	case runAttempt:
		r.run(ctx, m.attempt)
	case giveUp:
		r.giveUp(ctx, m.attempt)
	case lostPatience:
		r.lostPatience(m.attempt)
	case disconnected:
		r.disconnected(ctx, m)
	case lookAround:
		r.lookAround(ctx)
	case listMembers:
		m.reply <- r.list()
	case *actor.Stopping, *actor.Restarting:
		r.end(ctx)
	}
}

// register answers an offer. The same one again is answered the same.
func (r *roster) register(ctx actor.Context, m *pb.RegisterHandler) {
	identity := link.Identity(ctx)
	if len(m.GetSession()) == 0 || len(m.GetSession()) > 64 || link.CheckAddress(m.GetAddress(), r.config.Insecure) != nil {
		r.counts.registrations.Add(1) // there is nowhere to answer
		return
	}
	pid := actor.NewPID(m.GetAddress(), link.Member)
	now := r.config.Clock.Now()
	for _, known := range r.members {
		switch {
		case known.session == m.GetSession() && known.identity == identity:
			r.welcome(ctx, known)
			return
		case known.pid.GetAddress() == m.GetAddress() && known.identity == identity:
			r.drop(ctx, known, "it registered anew")
		}
	}
	if reason, final := r.objection(m); reason != "" {
		r.counts.registrations.Add(1)
		r.log(identity, m.GetKind(), m.GetAddress()).WithField(logfield.Reason, reason).Warn("member refused")
		ctx.Send(pid, &pb.HandlerRefused{Session: m.GetSession(), Reason: reason, Final: final})
		return
	}
	joined := &member{
		session: m.GetSession(), token: rand.Text(), kind: m.GetKind(), identity: identity, pid: pid,
		credits: int(min(m.GetCredits(), uint32(r.config.MaxCredits))),
		since:   now, heard: now, running: make(map[uint64]*attempt),
	}
	r.members[joined.token] = joined
	r.welcome(ctx, joined)
}

// objection says why an offer is not accepted, and whether it never will be.
func (r *roster) objection(m *pb.RegisterHandler) (reason string, final bool) {
	switch {
	case m.GetProtocol() != link.Protocol:
		return fmt.Sprintf("protocol %d is not spoken here, %d is", m.GetProtocol(), link.Protocol), true
	case !slices.Contains(*r.kinds.Load(), m.GetKind()):
		return fmt.Sprintf("kind %.64q is not allowed", m.GetKind()), true
	case m.GetCredits() == 0:
		return "no credits", true
	case len(r.members) >= r.config.MaxMembers:
		return fmt.Sprintf("%d members are registered, which is all that may be", len(r.members)), false
	default:
		return "", false
	}
}

func (r *roster) welcome(ctx actor.Context, m *member) {
	ctx.Send(m.pid, &pb.HandlerRegistered{
		Session: m.session, Token: m.token, Silence: durationpb.New(r.config.Silence),
	})
}

// heard finds the member that the message at hand is from: by its token, which must come from whom it was given to.
func (r *roster) heard(ctx actor.Context, token string) (*member, bool) {
	m, known := r.members[token]
	if !known || m.identity != link.Identity(ctx) {
		return nil, false
	}
	m.heard = r.config.Clock.Now()
	return m, true
}

// renew keeps a registration. The first one confirms it: only who listens at the address knows the token.
func (r *roster) renew(ctx actor.Context, message *pb.RenewHandler) {
	m, known := r.heard(ctx, message.GetToken())
	if !known {
		return
	}
	if !m.confirmed {
		m.confirmed = true
		r.log(m.identity, m.kind, m.pid.GetAddress()).WithField("credits", m.credits).Info("member registered")
	}
	ctx.Send(m.pid, &pb.HandlerRenewed{Token: m.token})
	r.serve(ctx, m.kind)
}

// withdraw hands a member nothing more, and lets it go when it has sent all its results.
func (r *roster) withdraw(ctx actor.Context, message *pb.WithdrawHandler) {
	m, known := r.heard(ctx, message.GetToken())
	if !known {
		return
	}
	m.draining = true
	if !message.GetFinal() {
		return
	}
	ctx.Send(m.pid, &pb.HandlerWithdrawn{Token: m.token})
	r.drop(ctx, m, "it has drained")
}

// result ends an attempt and frees its credit. What is not the result of an attempt that this member is at, is late.
func (r *roster) result(ctx actor.Context, message *pb.AttemptResult) {
	m, known := r.heard(ctx, message.GetToken())
	if !known {
		r.counts.late.Add(1)
		return
	}
	a, given := m.running[message.GetGeneration()]
	if given {
		delete(m.running, message.GetGeneration())
		defer r.serve(ctx, m.kind)
	}
	if a == nil || a.task.GetWebhookId() != message.GetWebhookId() || a.task.GetAttempt() != message.GetAttempt() {
		r.counts.late.Add(1)
		if a != nil {
			r.lose(a, m, "it reported another task")
		}
		return
	}
	a.outcome <- decode(message)
}

// disconnected drops the members at an address that cannot be called any more.
func (r *roster) disconnected(ctx actor.Context, e disconnected) {
	for _, m := range r.members {
		if m.pid.GetAddress() == e.address {
			r.drop(ctx, m, "its connection ended")
		}
	}
}

// lookAround drops the members that were silent for too long.
func (r *roster) lookAround(ctx actor.Context) {
	oldest := r.config.Clock.Now().Add(-r.config.Silence)
	for _, m := range r.members {
		if m.heard.Before(oldest) {
			r.drop(ctx, m, "it was silent for too long")
		}
	}
	r.lookAgain(ctx)
}

func (r *roster) lookAgain(ctx actor.Context) {
	self, root := ctx.Self(), ctx.ActorSystem().Root
	r.timer = r.config.Clock.AfterFunc(r.config.Silence/3, func() { root.Send(self, lookAround{}) })
}

// drop forgets a member; what it was at is lost.
func (r *roster) drop(ctx actor.Context, m *member, why string) {
	delete(r.members, m.token)
	for _, a := range m.running {
		if a != nil {
			r.lose(a, m, why)
		}
	}
	if m.confirmed {
		r.log(m.identity, m.kind, m.pid.GetAddress()).WithField(logfield.Reason, why).Info("member gone")
	}
	r.serve(ctx, m.kind) // those who wait may have to begin to lose patience
}

func (r *roster) lose(a *attempt, m *member, why string) {
	r.counts.lost.Add(1)
	a.outcome <- outcome{err: fmt.Errorf("%w: member %s at %s: %s", handler.ErrLost, m.identity, m.pid.GetAddress(), why)}
}

// end loses everything: the hub stops. Those that wait go first, lest they be handed to a member yet.
func (r *roster) end(ctx actor.Context) {
	r.timer.Stop()
	for _, queue := range r.waiting {
		for _, a := range queue {
			a.calm()
			a.outcome <- outcome{err: fmt.Errorf("%w: %w", handler.ErrLost, ErrNotRunning)}
		}
	}
	clear(r.waiting)
	for _, m := range r.members {
		r.drop(ctx, m, "the hub stops")
	}
}

func (r *roster) list() []Member {
	members := make([]Member, 0, len(r.members))
	for _, m := range r.members {
		if m.confirmed {
			members = append(members, Member{
				Kind: m.kind, Address: m.pid.GetAddress(), Identity: m.identity, Credits: m.credits,
				Running: len(m.running), Draining: m.draining, Since: m.since, Heard: m.heard,
			})
		}
	}
	slices.SortFunc(members, func(a, b Member) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Address, b.Address))
	})
	return members
}

func (r *roster) log(identity, kind, address string) logrus.FieldLogger {
	return r.config.Log.WithFields(logrus.Fields{
		logfield.Component: "handler/remote", "identity": identity, "kind": kind, logfield.Address: address,
	})
}
