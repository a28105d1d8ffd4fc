package hub

import (
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/hooktroupe/hooktroupe/handler"
	pb "github.com/hooktroupe/hooktroupe/messages/handlerv1"
)

// run puts an attempt behind those of its kind that wait, and hands out what can be.
func (r *roster) run(ctx actor.Context, a *attempt) {
	r.waiting[a.kind] = append(r.waiting[a.kind], a)
	r.serve(ctx, a.kind)
}

// serve hands the attempts of a kind that wait, in order, to free members. When there is no member at all, each gets a
// term to wait for one.
func (r *roster) serve(ctx actor.Context, kind string) {
	for len(r.waiting[kind]) > 0 {
		m := r.pick(kind)
		if m == nil {
			break
		}
		a := r.waiting[kind][0]
		r.waiting[kind] = r.waiting[kind][1:]
		r.assign(ctx, m, a)
	}
	if len(r.waiting[kind]) == 0 {
		delete(r.waiting, kind)
		return
	}
	present := r.present(kind)
	for _, a := range r.waiting[kind] {
		if present {
			a.calm()
		} else if a.patience == nil {
			r.watchPatience(ctx, a)
		}
	}
}

// pick returns the member with the smallest part of its credits in use, of several the one that was served longest ago.
func (r *roster) pick(kind string) *member {
	var best *member
	for _, m := range r.members {
		if m.kind != kind || !m.confirmed || m.draining || len(m.running) >= m.credits {
			continue
		}
		if best == nil || m.before(best) {
			best = m
		}
	}
	return best
}

// before says whether m is to be served before other.
func (m *member) before(other *member) bool {
	load, otherLoad := len(m.running)*other.credits, len(other.running)*m.credits
	if load != otherLoad {
		return load < otherLoad
	}
	return m.servedLast < other.servedLast
}

// present says whether there is a member that an attempt may wait for.
func (r *roster) present(kind string) bool {
	for _, m := range r.members {
		if m.kind == kind && m.confirmed && !m.draining {
			return true
		}
	}
	return false
}

// assign hands an attempt out, under a new generation.
func (r *roster) assign(ctx actor.Context, m *member, a *attempt) {
	a.calm()
	r.generation++
	a.at, a.generation = m, r.generation
	m.servedLast = r.generation
	m.running[a.generation] = a
	message := &pb.RunAttempt{Token: m.token, Generation: a.generation, Task: a.task}
	if !a.deadline.IsZero() {
		message.Remaining = durationpb.New(max(time.Until(a.deadline), 0))
	}
	ctx.Send(m.pid, message)
}

// giveUp drops an attempt whose caller has gone. A member that is at it is told, and has its credit back when it has
// ended it.
func (r *roster) giveUp(ctx actor.Context, a *attempt) {
	if a.at != nil {
		if a.at.running[a.generation] == a {
			a.at.running[a.generation] = nil
			ctx.Send(a.at.pid, &pb.CancelAttempt{Token: a.at.token, Generation: a.generation})
		}
		return
	}
	r.leave(a)
}

// lostPatience ends the wait for a first member.
func (r *roster) lostPatience(a *attempt) {
	if a.at == nil && a.patience != nil && r.leave(a) {
		a.outcome <- outcome{err: handler.RetryAfter(ErrNoMember, retryLater)}
	}
}

// leave takes an attempt from those that wait, and says whether it was there.
func (r *roster) leave(a *attempt) bool {
	a.calm()
	i := slices.Index(r.waiting[a.kind], a)
	if i < 0 {
		return false
	}
	r.waiting[a.kind] = slices.Delete(r.waiting[a.kind], i, i+1)
	if len(r.waiting[a.kind]) == 0 {
		delete(r.waiting, a.kind)
	}
	return true
}

func (r *roster) watchPatience(ctx actor.Context, a *attempt) {
	self, root := ctx.Self(), ctx.ActorSystem().Root
	a.patience = r.config.Clock.AfterFunc(r.config.Patience, func() { root.Send(self, lostPatience{a}) })
}

// calm stops the term of an attempt that has one.
func (a *attempt) calm() {
	if a.patience != nil {
		a.patience.Stop()
		a.patience = nil
	}
}
