package local

import (
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/hooktroupe/hooktroupe/handler"
	"github.com/hooktroupe/hooktroupe/internal/clock"
)

// Props are those of the parent of a handler's actors: it is what the daemon spawns. It spawns the actors, restarts those
// that panic without limit, and stops those of keys that have no work.
func (h *Handler) Props(c clock.Clock) *actor.Props {
	child := h.config.Props.Clone(actor.WithReceiverMiddleware(guard))
	return actor.PropsFromProducer(func() actor.Actor {
		return &parent{config: h.config, child: child, clock: c, byKey: make(map[string]*keyed)}
	}, actor.WithSupervisor(actor.NewRestartingStrategy()))
}

// parent owns the actors of one handler.
type parent struct {
	config Config
	child  *actor.Props
	clock  clock.Clock
	byKey  map[string]*keyed
}

// keyed is the actor of one key.
type keyed struct {
	pid    *actor.PID
	usedAt time.Time
	timer  clock.Timer
}

// idle tells the parent that an actor may have had no work for long enough.
type idle struct{ key string }

// Receive hands work on.
func (p *parent) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *Work:
		p.work(ctx, m)
	case idle:
		p.idle(ctx, m)
	case *actor.Stopping:
		for _, k := range p.byKey {
			k.timer.Stop()
		}
	}
}

func (p *parent) work(ctx actor.Context, w *Work) {
	key := ""
	if p.config.PerKey {
		key = w.Task.Key
	}
	k, known := p.byKey[key]
	if !known {
		if len(p.byKey) >= p.config.MaxActors {
			w.Done(nil, handler.RetryAfter(fmt.Errorf("%w: %d", ErrTooMany, len(p.byKey)), retryLater))
			return
		}
		k = &keyed{pid: ctx.Spawn(p.child)}
		p.byKey[key] = k
		p.watchIdle(ctx, key, k)
	}
	k.usedAt = p.clock.Now()
	ctx.Send(k.pid, w)
}

// watchIdle looks at an actor again when it may have been idle for long enough. The only actor of a handler stays.
func (p *parent) watchIdle(ctx actor.Context, key string, k *keyed) {
	self, root := ctx.Self(), ctx.ActorSystem().Root
	k.timer = p.clock.AfterFunc(p.config.IdleAfter, func() { root.Send(self, idle{key}) })
}

func (p *parent) idle(ctx actor.Context, m idle) {
	k, known := p.byKey[m.key]
	if !known {
		return
	}
	if !p.config.PerKey || p.clock.Now().Sub(k.usedAt) < p.config.IdleAfter {
		p.watchIdle(ctx, m.key, k)
		return
	}
	delete(p.byKey, m.key)
	ctx.Poison(k.pid) // behind whatever is in its mailbox
}
