package linktest

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/hooktroupe/hooktroupe/handler/remote/link"
)

// Bound is how long a test waits for what must come.
const Bound = 20 * time.Second

// Peer is one end of a link that is under the test's control.
type Peer struct {
	// Address is where it is called.
	Address string
	// Conn is its connection to the other end.
	Conn *grpc.ClientConn

	t      testing.TB
	server *grpc.Server
	creds  credentials.TransportCredentials
	inbox  chan proto.Message // what was sent to it; as much as a test sends
	kept   []proto.Message    // what of it was looked at and not taken; for one goroutine

	mu     sync.Mutex // guards what follows
	stream remote.Remoting_ReceiveClient
}

// NewPeer listens on loopback with the identity, or without TLS if it is empty, and ends with the test.
func NewPeer(t testing.TB, identity link.TLS) *Peer {
	t.Helper()
	return NewPeerAt(t, identity, "127.0.0.1:0")
}

// NewPeerAt is NewPeer at a given address.
func NewPeerAt(t testing.TB, identity link.TLS, address string) *Peer {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	p := &Peer{t: t, Address: listener.Addr().String(), inbox: make(chan proto.Message, 4096)}
	p.creds = insecure.NewCredentials()
	if identity != (link.TLS{}) {
		p.creds = credentials.NewTLS(configOf(t, identity))
	}
	p.server = grpc.NewServer(grpc.Creds(p.creds), grpc.MaxRecvMsgSize(64<<20))
	remote.RegisterRemotingServer(p.server, &receiver{inbox: p.inbox})
	go func() { _ = p.server.Serve(listener) }() // ends with Close
	t.Cleanup(p.Close)
	return p
}

// Close hangs up in both directions.
func (p *Peer) Close() {
	p.server.Stop()
	if p.Conn != nil {
		_ = p.Conn.Close()
	}
}

// Dial connects to the other end and shakes hands. It returns the error of a handshake that fails.
func (p *Peer) Dial(address string) error {
	p.t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(p.creds))
	if err != nil {
		return err
	}
	if p.Conn != nil {
		_ = p.Conn.Close()
	}
	p.Conn = conn
	stream, err := remote.NewRemotingClient(conn).Receive(context.Background())
	if err != nil {
		return err
	}
	p.mu.Lock()
	p.stream = stream
	p.mu.Unlock()
	err = p.SendFrame(&remote.RemoteMessage{MessageType: &remote.RemoteMessage_ConnectRequest{
		ConnectRequest: &remote.ConnectRequest{ConnectionType: &remote.ConnectRequest_ServerConnection{
			ServerConnection: &remote.ServerConnection{SystemId: "peer", Address: p.Address},
		}},
	}})
	if err != nil {
		return err
	}
	_, err = stream.Recv()
	return err
}

// SendFrame sends what one cares to send.
func (p *Peer) SendFrame(m *remote.RemoteMessage) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stream.Send(m)
}

// Send sends one message to an actor of the other end.
func (p *Peer) Send(target string, m proto.Message) {
	p.t.Helper()
	if err := p.SendFrame(Batch(actor.NewPID("elsewhere:1", target), m)); err != nil {
		p.t.Error(err)
	}
}

// StreamEnds waits until the other end closes the stream, and returns why.
func (p *Peer) StreamEnds() error {
	for {
		if _, err := p.stream.Recv(); err != nil {
			return err
		}
	}
}

// Batch puts messages to one target into a frame.
func Batch(target *actor.PID, messages ...proto.Message) *remote.RemoteMessage {
	b := &remote.MessageBatch{Targets: []*actor.PID{target}}
	for i, m := range messages {
		data, err := proto.Marshal(m)
		if err != nil {
			panic(err) // a message of the test itself
		}
		b.TypeNames = append(b.TypeNames, string(proto.MessageName(m)))
		b.Envelopes = append(b.Envelopes, &remote.MessageEnvelope{TypeId: int32(i), MessageData: data})
	}
	return &remote.RemoteMessage{MessageType: &remote.RemoteMessage_MessageBatch{MessageBatch: b}}
}

// Header is that of an envelope.
func Header(name, value string) *remote.MessageHeader {
	return &remote.MessageHeader{HeaderData: map[string]string{name: value}}
}

// Next takes the next message of type M that the peer was sent; those of other types are kept.
func Next[M proto.Message](t testing.TB, p *Peer) M {
	t.Helper()
	for i, m := range p.kept {
		if wanted, ok := m.(M); ok {
			p.kept = append(p.kept[:i:i], p.kept[i+1:]...)
			return wanted
		}
	}
	timeout := time.After(Bound)
	for {
		select {
		case m := <-p.inbox:
			if wanted, ok := m.(M); ok {
				return wanted
			}
			p.kept = append(p.kept, m)
		case <-timeout:
			var wanted M
			t.Fatalf("no %T within %s", wanted, Bound)
			return wanted
		}
	}
}

// Waiting says how many messages of type M the peer was sent that were not taken.
func Waiting[M proto.Message](p *Peer) (n int) {
	for len(p.inbox) > 0 {
		p.kept = append(p.kept, <-p.inbox)
	}
	for _, m := range p.kept {
		if _, ok := m.(M); ok {
			n++
		}
	}
	return n
}

// receiver is the side of a peer that is called.
type receiver struct {
	remote.UnimplementedRemotingServer
	inbox chan<- proto.Message
}

// Receive keeps what comes.
func (r *receiver) Receive(stream remote.Remoting_ReceiveServer) error {
	for {
		frame, err := stream.Recv()
		if err != nil {
			return err
		}
		switch t := frame.GetMessageType().(type) {
		case *remote.RemoteMessage_ConnectRequest:
			answer := &remote.RemoteMessage{MessageType: &remote.RemoteMessage_ConnectResponse{
				ConnectResponse: &remote.ConnectResponse{MemberId: "peer"},
			}}
			if err := stream.Send(answer); err != nil {
				return err
			}
		case *remote.RemoteMessage_MessageBatch:
			if err := r.keep(t.MessageBatch); err != nil {
				return err
			}
		}
	}
}

func (r *receiver) keep(b *remote.MessageBatch) error {
	for _, e := range b.GetEnvelopes() {
		kind, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName(b.GetTypeNames()[e.GetTypeId()]))
		if err != nil {
			return status.Error(codes.InvalidArgument, err.Error())
		}
		m := kind.New().Interface()
		if err := proto.Unmarshal(e.GetMessageData(), m); err != nil {
			return status.Error(codes.InvalidArgument, err.Error())
		}
		r.inbox <- m
	}
	return nil
}
