// Package link is the actor library's remote, hardened until it may be shown to other hosts: what handler/remote and
// handler/remote/hub both stand on. As it comes, the library lets any peer stop any actor, forward messages to third
// parties, and end the process with one call or one message of an unknown type. Here there is an actor system for nothing
// else, one actor that can be reached, a list of messages that it may be sent, and peers that prove who they are.
//
// The one invariant: what arrives at the actor came over mutual TLS 1.3 (or, where that is waived, over loopback), is one
// of the messages accepted, and says truly from whom it is.
package link

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/eventstream"
	"github.com/asynkron/protoactor-go/remote"
	"github.com/sirupsen/logrus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/protobuf/proto"

	"github.com/hooktroupe/hooktroupe/internal/clock"
	"github.com/hooktroupe/hooktroupe/internal/logging"
)

// What a link bounds, beside what its Config says.
const (
	pingEvery      = 10 * time.Second // without traffic, before a peer is asked whether it lives
	pingTimeout    = 3 * time.Second  // for its answer
	connectTimeout = time.Second      // a black hole is given up this soon
	queueSize      = 64               // first size of an outgoing queue; credits bound what is in it
	batchSize      = 1                // messages in a frame, so that only one body counts against the size limit
	maxStreams     = 8                // over one connection; the library uses one
)

// Config describes one end of a link.
type Config struct {
	// Listen is the host:port to accept peers at; port 0 takes a free one.
	Listen string
	// Advertise is the host:port at which peers reach Listen. Empty means Listen, which then may not be a wildcard.
	Advertise string
	// TLS is who this end is and whom it trusts.
	TLS TLS
	// Insecure waives TLS. It is refused unless Listen, Advertise and Peers are loopback addresses.
	Insecure bool
	// Peers are addresses that are known to be called.
	Peers []string
	// MaxMessageBytes bounds what is read in one piece, and so one message.
	MaxMessageBytes int
	// Target is the name of the one actor that peers reach.
	Target string
	// Accept are the messages that it may be sent.
	Accept []proto.Message
	// Gone is called, from any goroutine, when the connection to an address has ended or could not be made. It must not
	// block.
	Gone func(address string)
	// Clock times how often certificates are looked at.
	Clock clock.Clock
	// Log gets what the library says, and what is refused.
	Log *logrus.Logger
}

// Link is one end. There is at most one in a process at a time: the library sets a global of gRPC when it starts.
type Link struct {
	system    *actor.ActorSystem
	remote    *remote.Remote
	firewall  *firewall
	events    *eventstream.Subscription
	endpoints sync.Map // addresses that there is a connection to
	close     sync.Once
}

// Open starts to listen. Messages that come before the target is spawned are dropped.
func Open(c Config) (*Link, error) {
	host, port, err := check(c)
	if err != nil {
		return nil, err
	}
	creds := insecure.NewCredentials()
	if !c.Insecure {
		if creds, err = c.TLS.credentials(c.Clock, c.Log); err != nil {
			return nil, err
		}
	}
	l := &Link{firewall: newFirewall(c)}
	l.system = actor.NewActorSystem(
		actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return logging.Bridge(c.Log, "handler/remote") }),
		actor.WithDeadLetterRequestLogging(false),
	)
	config := remote.Configure(host, port,
		remote.WithAdvertisedHost(c.Advertise),
		remote.WithEndpointWriterQueueSize(queueSize),
		remote.WithEndpointWriterBatchSize(batchSize),
		remote.WithDialOptions(dialOptions(creds)...),
		remote.WithServerOptions(serverOptions(creds, l.firewall, c.MaxMessageBytes)...))
	config.MaxRetryCount = 1 // an attempt at a connection takes two seconds when it fails; whoever waits asks again
	l.remote = remote.NewRemote(l.system, config)
	l.follow(c.Gone)
	if err := l.start(); err != nil {
		return nil, err
	}
	l.firewall.open(actor.NewPID(l.system.Address(), c.Target))
	return l, nil
}

// check returns where to listen.
func check(c Config) (host string, port int, err error) {
	host, portText, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return "", 0, fmt.Errorf("listen: %w", err)
	}
	if port, err = strconv.Atoi(portText); err != nil {
		return "", 0, fmt.Errorf("listen: port %q is not a number", portText)
	}
	if ip := net.ParseIP(host); c.Advertise == "" && (host == "" || ip != nil && ip.IsUnspecified()) {
		return "", 0, fmt.Errorf("listen: peers cannot call %q; say what they are to call with advertise", c.Listen)
	}
	addresses := append([]string{c.Listen}, c.Peers...)
	if c.Advertise != "" {
		addresses = append(addresses, c.Advertise)
	}
	for _, address := range addresses {
		if err := CheckAddress(address, c.Insecure); err != nil {
			return "", 0, err
		}
	}
	return host, port, nil
}

// CheckAddress says whether address is a host:port, and a loopback one if that is asked for.
func CheckAddress(address string, loopback bool) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("address: %w", err)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("address %q: no such port", address)
	}
	if ip := net.ParseIP(host); loopback && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("address %q: without TLS only loopback addresses are allowed", address)
	}
	return nil
}

// follow keeps track of connections.
func (l *Link) follow(gone func(string)) {
	l.events = l.system.EventStream.Subscribe(func(event any) {
		switch e := event.(type) {
		case *remote.EndpointConnectedEvent:
			l.endpoints.Store(e.Address, struct{}{})
		case *remote.EndpointTerminatedEvent:
			l.endpoints.Delete(e.Address)
			if gone != nil {
				gone(e.Address)
			}
		}
	})
}

// start turns the library's panic over a port that is taken into an error.
func (l *Link) start() (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = fmt.Errorf("handler/remote: %v", value)
		}
	}()
	l.remote.Start()
	return nil
}

// System is the actor system of this end, and of nothing else.
func (l *Link) System() *actor.ActorSystem { return l.system }

// Address is where peers reach this end.
func (l *Link) Address() string { return l.system.Address() }

// Refused counts the messages and calls that were not let through.
func (l *Link) Refused() uint64 { return l.firewall.refused.Load() }

// Close ends every connection, without waiting for what is still queued. Whatever sends must have been stopped before. It
// may be called twice.
//
// The library's graceful way is not taken: it waits for its peers, and may write to a closed channel.
func (l *Link) Close() {
	l.close.Do(func() {
		l.system.EventStream.Unsubscribe(l.events)
		l.endpoints.Range(func(address, _ any) bool {
			l.system.EventStream.Publish(&remote.EndpointTerminatedEvent{Address: address.(string)})
			return true
		})
		l.remote.Shutdown(false)
	})
}

func dialOptions(creds credentials.TransportCredentials) []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithTransportCredentials(creds),
		grpc.WithNoProxy(), // peers are called as they are named, whatever the environment says
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.DefaultConfig, MinConnectTimeout: connectTimeout}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{
			Time: pingEvery, Timeout: pingTimeout, PermitWithoutStream: true,
		}),
	}
}

func serverOptions(creds credentials.TransportCredentials, f *firewall, maxMessageBytes int) []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.Creds(creds),
		grpc.MaxRecvMsgSize(maxMessageBytes),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.ConnectionTimeout(5 * time.Second),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: pingEvery, Timeout: pingTimeout}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: pingEvery / 2, PermitWithoutStream: true}),
		grpc.UnaryInterceptor(f.unary),
		grpc.StreamInterceptor(f.stream),
	}
}

// errNoTLS is why a link without an identity is not opened.
var errNoTLS = errors.New("handler/remote: TLS needs a CA, a certificate and a key")
