package hub_test

import (
	"context"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/hooktroupe/hooktroupe/handler/remote/hub"
	"github.com/hooktroupe/hooktroupe/handler/remote/link"
	"github.com/hooktroupe/hooktroupe/handler/remote/linktest"
	pb "github.com/hooktroupe/hooktroupe/messages/handlerv1"
)

// serves checks that a well-behaved member is still handed attempts.
func serves(t *testing.T, h *hub.Hub, m *member) {
	t.Helper()
	done := begin(t.Context(), h, task(1))
	m.reports(m.takes())
	if e := await(t, done); e.err != nil {
		t.Errorf("the others are no longer served: %v", e.err)
	}
}

// envelope is a batch with one renewal, for a test to spoil.
func envelope() (*remote.RemoteMessage, *remote.MessageBatch) {
	frame := linktest.Batch(actor.NewPID("elsewhere:1", link.Hub), &pb.RenewHandler{Token: "none"})
	return frame, frame.GetMessageBatch()
}

// A peer with a good certificate can do no more than send the messages of the protocol to the hub.
func TestHostileFrames(t *testing.T) {
	if linktest.Alone(t) {
		return
	}
	ca := linktest.NewCA(t)
	h := start(t, ca)
	good := join(t, ca, h, "worker", 1)
	bad := linktest.NewPeer(t, ca.Issue(t, "hostile"))
	if err := bad.Dial(h.Address()); err != nil {
		t.Fatal(err)
	}
	hubPID := actor.NewPID(h.Address(), link.Hub)
	spoilt := func(spoil func(*remote.MessageBatch)) *remote.RemoteMessage {
		frame, batch := envelope()
		spoil(batch)
		return frame
	}
	many := make([]proto.Message, 65)
	for i := range many {
		many[i] = &pb.RenewHandler{Token: good.token}
	}
	for name, frame := range map[string]*remote.RemoteMessage{
		"unknown type":                         spoilt(func(b *remote.MessageBatch) { b.TypeNames[0] = "no.such.Type" }),
		"type of ours, not a member's to send": linktest.Batch(hubPID, &pb.RunAttempt{}),
		"foreign type":                         linktest.Batch(hubPID, &emptypb.Empty{}),
		"stop of the hub":                      linktest.Batch(hubPID, &actor.Stop{}),
		"watch of the hub":                     linktest.Batch(hubPID, &actor.Watch{Watcher: actor.NewPID(bad.Address, "x")}),
		"poison of the hub":                    linktest.Batch(hubPID, &actor.PoisonPill{}),
		"terminated":                           linktest.Batch(hubPID, &actor.Terminated{Who: actor.NewPID(good.Address, link.Member)}),
		"stop of the library":                  linktest.Batch(actor.NewPID(h.Address(), "EndpointSupervisor"), &actor.Stop{}),
		"spawn":                                linktest.Batch(actor.NewPID(h.Address(), "activator"), &remote.ActorPidRequest{Kind: "x"}),
		"another target":                       linktest.Batch(actor.NewPID(h.Address(), "activator"), &pb.RenewHandler{}),
		"too many":                             linktest.Batch(hubPID, many...),
		"another serializer":                   spoilt(func(b *remote.MessageBatch) { b.Envelopes[0].SerializerId = 1 }),
		"no such serializer":                   spoilt(func(b *remote.MessageBatch) { b.Envelopes[0].SerializerId = 99 }),
		"type out of range":                    spoilt(func(b *remote.MessageBatch) { b.Envelopes[0].TypeId = 7 }),
		"negative type":                        spoilt(func(b *remote.MessageBatch) { b.Envelopes[0].TypeId = -1 }),
		"target out of range":                  spoilt(func(b *remote.MessageBatch) { b.Envelopes[0].Target = 7 }),
		"negative target":                      spoilt(func(b *remote.MessageBatch) { b.Envelopes[0].Target = -1 }),
		"no targets":                           spoilt(func(b *remote.MessageBatch) { b.Targets = nil }),
		"a client's connection": {MessageType: &remote.RemoteMessage_ConnectRequest{ConnectRequest: &remote.ConnectRequest{
			ConnectionType: &remote.ConnectRequest_ClientConnection{ClientConnection: &remote.ClientConnection{}},
		}}},
		"a server's answer": {MessageType: &remote.RemoteMessage_ConnectResponse{
			ConnectResponse: &remote.ConnectResponse{},
		}},
		"nothing": {},
	} {
		t.Run(name, func(t *testing.T) {
			before := h.Stats().Messages
			if err := bad.SendFrame(frame); err != nil {
				t.Fatal(err)
			}
			until(t, "it is refused", func() bool { return h.Stats().Messages == before+1 })
			serves(t, h, good)
		})
	}
	// The stream has come through all of that.
	bad.Send(link.Hub, &pb.RegisterHandler{
		Protocol: link.Protocol, Session: "s", Address: bad.Address, Kind: kind, Credits: 1,
	})
	linktest.Next[*pb.HandlerRegistered](t, bad)
}

// What ends the peer's own stream ends nothing else.
func TestHostileStreams(t *testing.T) {
	if linktest.Alone(t) {
		return
	}
	ca := linktest.NewCA(t)
	h := start(t, ca)
	good := join(t, ca, h, "worker", 1)
	garbage, batch := envelope()
	batch.Envelopes[0].MessageData = []byte{0xff, 0xff, 0xff}
	large, batch := envelope()
	batch.Envelopes[0].MessageData = make([]byte, 2*link.MaxReportBytes)
	for name, frame := range map[string]*remote.RemoteMessage{
		"bytes that are no message": garbage,
		"oversize batch":            large,
	} {
		t.Run(name, func(t *testing.T) {
			bad := linktest.NewPeer(t, ca.Issue(t, "hostile"))
			if err := bad.Dial(h.Address()); err != nil {
				t.Fatal(err)
			}
			if err := bad.SendFrame(frame); err != nil {
				t.Fatal(err)
			}
			if err := bad.StreamEnds(); err == nil {
				t.Error("the stream ended without an error")
			}
			serves(t, h, good)
		})
	}
}

// The library answers these with a panic.
func TestHostileCalls(t *testing.T) {
	if linktest.Alone(t) {
		return
	}
	ca := linktest.NewCA(t)
	h := start(t, ca)
	good := join(t, ca, h, "worker", 1)
	bad := linktest.NewPeer(t, ca.Issue(t, "hostile"))
	if err := bad.Dial(h.Address()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), linktest.Bound)
	defer cancel()
	client := remote.NewRemotingClient(bad.Conn)
	_, list := client.ListProcesses(ctx, &remote.ListProcessesRequest{})
	_, diagnose := client.GetProcessDiagnostics(ctx, &remote.GetProcessDiagnosticsRequest{})
	for _, err := range []error{list, diagnose} {
		if status.Code(err) != codes.PermissionDenied {
			t.Errorf("error %v, want PermissionDenied", err)
		}
	}
	serves(t, h, good)
}

// Whoever has no certificate of the CA gets no further than the handshake, and is called by nobody.
func TestStrangers(t *testing.T) {
	if linktest.Alone(t) {
		return
	}
	ca := linktest.NewCA(t)
	h := start(t, ca)
	good := join(t, ca, h, "worker", 1)
	stranger := linktest.NewPeer(t, linktest.NewCA(t).Issue(t, "worker"))
	if err := stranger.Dial(h.Address()); err == nil {
		t.Error("a peer with a certificate of another CA was let in")
	}
	serves(t, h, good)
}

// A registration is worth nothing until the one who listens at its address has shown the token.
func TestRegistrationAtAnothersAddress(t *testing.T) {
	if linktest.Alone(t) {
		return
	}
	ca := linktest.NewCA(t)
	h := start(t, ca)
	victim := join(t, ca, h, "victim", 1)
	bad := linktest.NewPeer(t, ca.Issue(t, "hostile"))
	if err := bad.Dial(h.Address()); err != nil {
		t.Fatal(err)
	}
	bad.Send(link.Hub, &pb.RegisterHandler{
		Protocol: link.Protocol, Session: "hostile", Address: victim.Address, Kind: kind, Credits: 9,
	})
	stolen := linktest.Next[*pb.HandlerRegistered](t, victim.Peer)
	victim.Send(link.Hub, &pb.RenewHandler{Token: stolen.GetToken()}) // not the one who registered
	victim.renew()
	if members := h.Members(); len(members) != 1 || members[0].Identity != "CN=victim" {
		t.Errorf("members %+v, want the victim only", members)
	}
	serves(t, h, victim)
}

func TestRefusedRegistrations(t *testing.T) {
	if linktest.Alone(t) {
		return
	}
	ca := linktest.NewCA(t)
	h := start(t, ca, func(c *hub.Config) { c.MaxMembers = 1 })
	p := linktest.NewPeer(t, ca.Issue(t, "worker"))
	if err := p.Dial(h.Address()); err != nil {
		t.Fatal(err)
	}
	offer := func(change func(*pb.RegisterHandler)) {
		r := &pb.RegisterHandler{
			Protocol: link.Protocol, Session: "s", Address: p.Address, Kind: kind, Credits: 1,
		}
		change(r)
		p.Send(link.Hub, r)
	}
	for name, change := range map[string]func(*pb.RegisterHandler){
		"another protocol": func(r *pb.RegisterHandler) { r.Protocol = 99 },
		"another kind":     func(r *pb.RegisterHandler) { r.Kind = "deploy" },
		"no credits":       func(r *pb.RegisterHandler) { r.Credits = 0 },
	} {
		t.Run(name, func(t *testing.T) {
			offer(change)
			if refused := linktest.Next[*pb.HandlerRefused](t, p); !refused.GetFinal() || refused.GetReason() == "" {
				t.Errorf("refused with %v, want for good and with a reason", refused)
			}
		})
	}
	for name, change := range map[string]func(*pb.RegisterHandler){
		"no session":       func(r *pb.RegisterHandler) { r.Session = "" },
		"endless session":  func(r *pb.RegisterHandler) { r.Session = string(make([]byte, 65)) },
		"no address":       func(r *pb.RegisterHandler) { r.Address = "" },
		"impossible port":  func(r *pb.RegisterHandler) { r.Address = "127.0.0.1:99999" },
		"nameless service": func(r *pb.RegisterHandler) { r.Address = "127.0.0.1:http" },
	} {
		t.Run(name, func(t *testing.T) {
			before := h.Stats().Registrations
			offer(change)
			until(t, "it is counted", func() bool { return h.Stats().Registrations == before+1 })
		})
	}
	join(t, ca, h, "first", 1)
	offer(func(*pb.RegisterHandler) {})
	if refused := linktest.Next[*pb.HandlerRefused](t, p); refused.GetFinal() {
		t.Error("refused for good, though a place may become free")
	}
}

// An address where nobody answers costs the hub nothing but the registration, which lapses.
func TestRegistrationThatIsNeverConfirmed(t *testing.T) {
	if linktest.Alone(t) {
		return
	}
	ca := linktest.NewCA(t)
	h := start(t, ca, func(c *hub.Config) { c.MaxMembers, c.Silence = 1, 300*time.Millisecond })
	p := linktest.NewPeer(t, ca.Issue(t, "worker"))
	if err := p.Dial(h.Address()); err != nil {
		t.Fatal(err)
	}
	p.Send(link.Hub, &pb.RegisterHandler{
		Protocol: link.Protocol, Session: "s", Address: "127.0.0.1:1", Kind: kind, Credits: 1,
	})
	until(t, "its place is free again", func() bool {
		p.Send(link.Hub, &pb.RegisterHandler{
			Protocol: link.Protocol, Session: "t", Address: p.Address, Kind: kind, Credits: 1,
		})
		return linktest.Waiting[*pb.HandlerRegistered](p) > 0
	})
}
