package link

import (
	"context"
	"io"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/remote"
	"github.com/sirupsen/logrus"
	"golang.org/x/time/rate"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	pb "github.com/hooktroupe/hooktroupe/messages/handlerv1"
)

// frames is a server stream that yields one frame, then its end.
type frames struct {
	grpc.ServerStream
	left [][]byte
}

func (*frames) Context() context.Context { return context.Background() }

func (f *frames) RecvMsg(m any) error {
	if len(f.left) == 0 {
		return io.EOF
	}
	frame := f.left[0]
	f.left = f.left[1:]
	return proto.Unmarshal(frame, m.(proto.Message))
}

// Whatever a frame holds, what the library gets to see of it is in range, accepted, for the target, and says from whom it
// is: the library itself checks nothing of this.
func FuzzFirewall(f *testing.F) {
	target := actor.NewPID("here:1", "target")
	accepted := string(proto.MessageName(&pb.RenewHandler{}))
	seed := func(m *remote.RemoteMessage) {
		frame, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(frame)
	}
	seed(&remote.RemoteMessage{})
	for _, e := range []*remote.MessageEnvelope{{}, {TypeId: 1}, {Target: 1}, {Target: -1}, {Sender: 9}, {SerializerId: 1}} {
		seed(&remote.RemoteMessage{MessageType: &remote.RemoteMessage_MessageBatch{MessageBatch: &remote.MessageBatch{
			TypeNames: []string{accepted, "actor.Stop"}, Targets: []*actor.PID{target, actor.NewPID("there:1", "x")},
			Envelopes: []*remote.MessageEnvelope{e},
		}}})
	}
	quiet := logrus.New()
	quiet.SetOutput(io.Discard)
	f.Fuzz(func(t *testing.T, frame []byte) {
		wall := newFirewall(Config{Accept: []proto.Message{&pb.RenewHandler{}}, Log: quiet})
		wall.open(target)
		s := &filtered{
			ServerStream: &frames{left: [][]byte{frame}}, firewall: wall, identity: "CN=fuzz",
			limit: rate.NewLimiter(rate.Inf, perSecond),
		}
		m := &remote.RemoteMessage{}
		if s.RecvMsg(m) != nil {
			return
		}
		b := m.GetMessageBatch()
		if b == nil {
			if m.GetConnectRequest().GetServerConnection() == nil {
				t.Fatalf("let through %v", m)
			}
			return
		}
		for _, e := range b.GetEnvelopes() {
			switch {
			case b.GetTypeNames()[e.GetTypeId()] != accepted, e.GetSerializerId() != 0:
				t.Errorf("a message that is not accepted: %v", e)
			case !proto.Equal(b.GetTargets()[e.GetTarget()], target), e.GetTargetRequestId() != 0:
				t.Errorf("a message to another target: %v", e)
			case e.GetSender() != 0:
				t.Errorf("a message with a sender: %v", e)
			case e.GetMessageHeader().GetHeaderData()[identityHeader] != "CN=fuzz":
				t.Errorf("a message from nobody: %v", e)
			}
		}
	})
}
