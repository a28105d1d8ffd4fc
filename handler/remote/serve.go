// Package remote lets a handler run in a process of its own, on this host or another: a member, which registers with a
// daemon under a kind and is handed attempts.
//
//	err := remote.Serve(ctx, remote.Config{
//		Daemon: "hooks.example:8090", Listen: "0.0.0.0:8091", Advertise: "worker-1.example:8091", Kind: "review",
//		TLS:     link.TLS{CA: "ca.pem", Cert: "worker.pem", Key: "worker-key.pem"},
//		Handler: handler.Func(review),
//	})
//
// What goes between the two may be lost without a word. So the member renews its registration, and registers anew when
// the daemon does not answer; attempts that it was at are then cancelled, for the daemon counts them as lost and hands them
// out again. As everywhere, an attempt is worked at least once, and (Task.ID, Task.Attempt) is its idempotency key.
//
// The one invariant: never are more attempts at work than there are credits, and each ends with one result.
package remote

import (
	"context"
	"errors"
	"fmt"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"github.com/hooktroupe/hooktroupe/handler/remote/link"
	pb "github.com/hooktroupe/hooktroupe/messages/handlerv1"
)

var (
	// ErrRefused means that the daemon will not have this member: its kind is not allowed, or it speaks another version.
	ErrRefused = errors.New("the daemon refused the registration")
	// ErrDaemonLost is the cause with which attempts are cancelled whose daemon is gone: their results are not wanted.
	ErrDaemonLost = errors.New("the daemon is gone")
	// ErrCancelled is the cause with which an attempt is cancelled that the daemon wants no more.
	ErrCancelled = errors.New("the daemon cancelled the attempt")
	// ErrDrained is the cause with which attempts are cancelled that did not end within Config.Drain.
	ErrDrained = errors.New("the member stops")
)

// Serve works attempts until ctx ends, then drains and returns nil. It returns earlier only when it cannot begin (a bad
// Config, a port that is taken, certificates that cannot be read) or the daemon refuses it for good (ErrRefused); a daemon
// that cannot be reached is waited for. A process serves one member at a time.
func Serve(ctx context.Context, c Config) error {
	c = c.withDefaults()
	if err := c.validate(); err != nil {
		return err
	}
	m := newMember(c)
	l, err := link.Open(link.Config{
		Listen: c.Listen, Advertise: c.Advertise, Peers: []string{c.Daemon}, TLS: c.TLS, Insecure: c.Insecure,
		MaxMessageBytes: c.MaxMessageBytes, Target: link.Member,
		Accept: []proto.Message{
			&pb.HandlerRegistered{}, &pb.HandlerRefused{}, &pb.HandlerRenewed{}, &pb.HandlerWithdrawn{},
			&pb.RunAttempt{}, &pb.CancelAttempt{},
		},
		Clock: c.clock, Log: c.Log,
		Gone: m.disconnected,
	})
	if err != nil {
		return fmt.Errorf("handler/remote: %w", err)
	}
	defer l.Close()
	root := l.System().Root
	props := actor.PropsFromProducer(func() actor.Actor { return m }, actor.WithGuardian(actor.NewRestartingStrategy()))
	pid, err := root.SpawnNamed(props, link.Member)
	if err != nil {
		return fmt.Errorf("handler/remote: %w", err)
	}
	defer func() { _ = root.StopFuture(pid).Wait() }() // it does nothing that could hold it up
	select {
	case err := <-m.ended:
		return err
	case <-ctx.Done():
		root.Send(pid, drain{})
		return <-m.ended
	}
}
