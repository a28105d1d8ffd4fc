package link

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/remote"
	"github.com/sirupsen/logrus"
	"golang.org/x/time/rate"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/hooktroupe/hooktroupe/internal/logfield"
)

const (
	// maxEnvelopes bounds the messages in one batch.
	maxEnvelopes = 64
	// perSecond bounds the messages of one stream. What is above it is not read yet, and flow control makes the peer
	// wait: the mailbox behind has no bound of its own.
	perSecond = 5000
	// protobufSerializer is the library's number of it.
	protobufSerializer = 0
	// identityHeader is the message header in which the firewall writes who sent it.
	identityHeader = "hooktroupe-identity"
)

// Insecure is the identity of peers on a link without TLS.
const Insecure = "insecure"

// Identity says who sent the message at hand: the subject of its certificate.
func Identity(ctx actor.ReceiverContext) string {
	header := ctx.MessageHeader()
	if header == nil {
		return ""
	}
	return header.Get(identityHeader)
}

// firewall decides what of a peer's words the library gets to see.
type firewall struct {
	accept   map[string]bool // full names of messages
	insecure bool
	log      logrus.FieldLogger
	opened   chan struct{} // closed once target is set
	target   *actor.PID
	refused  atomic.Uint64
}

func newFirewall(c Config) *firewall {
	f := &firewall{accept: make(map[string]bool), insecure: c.Insecure, log: c.Log, opened: make(chan struct{})}
	for _, m := range c.Accept {
		f.accept[string(proto.MessageName(m))] = true
	}
	return f
}

// open lets streams in, now that the address is known.
func (f *firewall) open(target *actor.PID) {
	f.target = target
	close(f.opened)
}

// unary refuses every call: the library answers some with a panic, and none is needed.
func (f *firewall) unary(
	ctx context.Context, _ any, info *grpc.UnaryServerInfo, _ grpc.UnaryHandler,
) (any, error) {
	identity, _ := f.identify(ctx)
	f.refuse(identity, "a call of "+info.FullMethod)
	return nil, status.Error(codes.PermissionDenied, "only streams of messages are served")
}

// stream serves a peer's messages. A panic ends the stream, not the process.
func (f *firewall) stream(
	server any, s grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler,
) (err error) {
	identity, ok := f.identify(s.Context())
	if !ok {
		f.refuse("", "a peer without identity")
		return status.Error(codes.Unauthenticated, "no verified certificate")
	}
	select {
	case <-f.opened:
	case <-s.Context().Done():
		return s.Context().Err()
	}
	defer func() {
		if value := recover(); value != nil {
			f.log.WithFields(logrus.Fields{
				logfield.Error: fmt.Sprint(value), "stack": string(debug.Stack()), "identity": identity,
			}).Error("a peer's stream made the library panic; the stream is closed")
			err = status.Error(codes.Internal, "the stream failed")
		}
	}()
	return next(server, &filtered{
		ServerStream: s, firewall: f, identity: identity, limit: rate.NewLimiter(perSecond, perSecond),
	})
}

// identify says who a call is from.
func (f *firewall) identify(ctx context.Context) (string, bool) {
	if f.insecure {
		return Insecure, true
	}
	p, ok := peer.FromContext(ctx)
	if !ok {
		return "", false
	}
	identity := identityOf(p.AuthInfo)
	return identity, identity != ""
}

// refuse counts, and logs the first of its kind, the second, the fourth and so on: a flood of refusals is no flood of
// entries.
func (f *firewall) refuse(identity, what string) {
	n := f.refused.Add(1)
	if n&(n-1) == 0 {
		f.log.WithFields(logrus.Fields{"identity": identity, logfield.Reason: what, "refused": n}).
			Warn("refused what a peer sent")
	}
}

// filtered is a stream as the library sees it.
type filtered struct {
	grpc.ServerStream
	firewall *firewall
	identity string
	limit    *rate.Limiter
}

// RecvMsg reads until there is something that may be seen.
func (s *filtered) RecvMsg(m any) error {
	for {
		if err := s.ServerStream.RecvMsg(m); err != nil {
			return err
		}
		message, ok := m.(*remote.RemoteMessage)
		if !ok {
			return status.Error(codes.InvalidArgument, "not a remote message")
		}
		switch t := message.GetMessageType().(type) {
		case *remote.RemoteMessage_ConnectRequest:
			if t.ConnectRequest.GetServerConnection() != nil {
				return nil
			}
			s.firewall.refuse(s.identity, "a connection that is not a server's")
		case *remote.RemoteMessage_MessageBatch:
			if err := s.filter(t.MessageBatch); err != nil {
				return err
			}
			return nil
		default:
			s.firewall.refuse(s.identity, "a frame that only servers send")
		}
	}
}

// filter leaves in the batch what may be seen, and makes each message say from whom it is and go to the target, here: a
// target elsewhere would be forwarded to, and a sender answered.
func (s *filtered) filter(b *remote.MessageBatch) error {
	envelopes := b.GetEnvelopes()
	b.Envelopes = nil
	if len(envelopes) > maxEnvelopes {
		s.firewall.refuse(s.identity, "a batch that is too large")
		return nil
	}
	kept := envelopes[:0]
	for _, e := range envelopes {
		if reason := s.judge(b, e); reason != "" {
			s.firewall.refuse(s.identity, reason)
			continue
		}
		e.Target, e.TargetRequestId, e.Sender, e.SenderRequestId = 0, 0, 0, 0
		e.MessageHeader = &remote.MessageHeader{HeaderData: map[string]string{identityHeader: s.identity}}
		kept = append(kept, e)
	}
	b.Envelopes, b.Senders, b.Targets = kept, nil, []*actor.PID{s.firewall.target}
	return s.limit.WaitN(s.Context(), len(envelopes))
}

// judge returns why an envelope may not be seen, or nothing.
func (s *filtered) judge(b *remote.MessageBatch, e *remote.MessageEnvelope) string {
	switch {
	case e == nil:
		return "an empty envelope"
	case e.GetSerializerId() != protobufSerializer:
		return "a message that is not protobuf"
	case e.GetTypeId() < 0 || int(e.GetTypeId()) >= len(b.GetTypeNames()):
		return "a message without a type"
	case !s.firewall.accept[b.GetTypeNames()[e.GetTypeId()]]:
		return "a message of a type that is not accepted"
	case e.GetTarget() < 0 || int(e.GetTarget()) >= len(b.GetTargets()):
		return "a message without a target"
	case b.GetTargets()[e.GetTarget()].GetId() != s.firewall.target.GetId():
		return "a message to another target"
	default:
		return ""
	}
}
