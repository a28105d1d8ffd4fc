package link_test

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/sirupsen/logrus"
	"google.golang.org/protobuf/proto"

	"github.com/hooktroupe/hooktroupe/handler/remote/link"
	"github.com/hooktroupe/hooktroupe/handler/remote/linktest"
	"github.com/hooktroupe/hooktroupe/internal/clock"
	pb "github.com/hooktroupe/hooktroupe/messages/handlerv1"
)

// config is that of a link whose target is named "target" and takes renewals.
func config(identity link.TLS) link.Config {
	quiet := logrus.New()
	quiet.SetOutput(io.Discard)
	return link.Config{
		Listen: "127.0.0.1:0", TLS: identity, MaxMessageBytes: 1 << 20, Target: "target",
		Accept: []proto.Message{&pb.RenewHandler{}}, Clock: clock.Real{}, Log: quiet,
	}
}

// arrival is what the target saw.
type arrival struct{ identity, token, sender string }

// open starts a link whose target reports what arrives.
func open(t *testing.T, c link.Config) (*link.Link, <-chan arrival) {
	t.Helper()
	l, err := link.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	arrivals := make(chan arrival, 64) // more than a test sends
	props := actor.PropsFromFunc(func(ctx actor.Context) {
		if m, ok := ctx.Message().(*pb.RenewHandler); ok {
			arrivals <- arrival{link.Identity(ctx), m.GetToken(), ctx.Sender().String()}
		}
	})
	if _, err := l.System().Root.SpawnNamed(props, c.Target); err != nil {
		t.Fatal(err)
	}
	return l, arrivals
}

func next(t *testing.T, arrivals <-chan arrival) arrival {
	t.Helper()
	select {
	case a := <-arrivals:
		return a
	case <-time.After(linktest.Bound):
		t.Fatal("nothing arrived")
		return arrival{}
	}
}

// Neither the sender nor the header that a peer chooses reaches the target, but who it truly is.
func TestIdentityIsTheCertificates(t *testing.T) {
	if linktest.Alone(t) {
		return
	}
	ca := linktest.NewCA(t)
	l, arrivals := open(t, config(ca.Issue(t, "daemon")))
	p := linktest.NewPeer(t, ca.Issue(t, "worker"))
	if err := p.Dial(l.Address()); err != nil {
		t.Fatal(err)
	}
	forged := linktest.Batch(actor.NewPID("third.example:1", "target"), &pb.RenewHandler{Token: "x"})
	forged.GetMessageBatch().Senders = []*actor.PID{actor.NewPID("third.example:1", "victim")}
	forged.GetMessageBatch().Envelopes[0].Sender = 1
	forged.GetMessageBatch().Envelopes[0].MessageHeader = linktest.Header("hooktroupe-identity", "CN=admin")
	if err := p.SendFrame(forged); err != nil {
		t.Fatal(err)
	}
	got := next(t, arrivals)
	if want := (arrival{"CN=worker", "x", (*actor.PID)(nil).String()}); got != want {
		t.Errorf("arrived %+v, want %+v", got, want)
	}
}

// Files that are replaced count from the next connection on, in both directions.
func TestCertificatesAreReadAgain(t *testing.T) {
	if linktest.Alone(t) {
		return
	}
	old, renewed := linktest.NewCA(t), linktest.NewCA(t)
	files := old.Issue(t, "daemon")
	time0 := clock.NewFake(time.Now())
	c := config(files)
	c.Clock = time0
	l, arrivals := open(t, c)
	other := renewed.Issue(t, "daemon")
	if err := linktest.NewPeer(t, renewed.Issue(t, "worker")).Dial(l.Address()); err == nil {
		t.Fatal("a peer of the other CA was let in before")
	}

	replace(t, files.Key, other.Key)
	time0.Advance(time.Minute) // the key does not fit its certificate: those before stay
	if err := linktest.NewPeer(t, old.Issue(t, "worker")).Dial(l.Address()); err != nil {
		t.Fatalf("half replaced files: %v", err)
	}
	replace(t, files.Cert, other.Cert)
	replace(t, files.CA, other.CA)
	time0.Advance(time.Minute)

	p := linktest.NewPeer(t, renewed.Issue(t, "worker"))
	if err := p.Dial(l.Address()); err != nil {
		t.Fatal(err)
	}
	p.Send("target", &pb.RenewHandler{Token: "in"})
	next(t, arrivals)
	l.System().Root.Send(actor.NewPID(p.Address, "peer"), &pb.RenewHandler{Token: "out"})
	linktest.Next[*pb.RenewHandler](t, p)
	if err := linktest.NewPeer(t, old.Issue(t, "worker")).Dial(l.Address()); err == nil {
		t.Error("a peer of the CA before is still let in")
	}
}

func replace(t *testing.T, file, by string) {
	t.Helper()
	content, err := os.ReadFile(by)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	stamp := time.Now().Add(time.Second) // whatever the file system's clock is worth
	if err := os.Chtimes(file, stamp, stamp); err != nil {
		t.Fatal(err)
	}
}

// A peer that another CA vouches for is not sent anything either.
func TestPeersAreVerifiedWhenCalled(t *testing.T) {
	if linktest.Alone(t) {
		return
	}
	stranger := make(chan string, 16) // addresses that are gone; one would do
	c := config(linktest.NewCA(t).Issue(t, "daemon"))
	c.Gone = func(address string) {
		select {
		case stranger <- address:
		default:
		}
	}
	l, _ := open(t, c)
	p := linktest.NewPeer(t, linktest.NewCA(t).Issue(t, "worker"))
	l.System().Root.Send(actor.NewPID(p.Address, "peer"), &pb.RenewHandler{Token: "secret"})
	select {
	case address := <-stranger:
		if address != p.Address {
			t.Errorf("gone is %s, want %s", address, p.Address)
		}
	case <-time.After(linktest.Bound):
		t.Fatal("it is not noticed that the peer cannot be called")
	}
	if linktest.Waiting[*pb.RenewHandler](p) > 0 {
		t.Error("the stranger was sent the message")
	}
}

func TestInsecureOverLoopback(t *testing.T) {
	if linktest.Alone(t) {
		return
	}
	c := config(link.TLS{})
	c.Insecure = true
	l, arrivals := open(t, c)
	p := linktest.NewPeer(t, link.TLS{})
	if err := p.Dial(l.Address()); err != nil {
		t.Fatal(err)
	}
	p.Send("target", &pb.RenewHandler{Token: "x"})
	if got := next(t, arrivals); got.identity != link.Insecure {
		t.Errorf("identity %q, want %q", got.identity, link.Insecure)
	}
	l.Close()
	l.Close()
	if err := p.StreamEnds(); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("after Close the stream ended with %v", err)
	}
}

func TestPortThatIsTaken(t *testing.T) {
	if linktest.Alone(t) {
		return
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	c := config(linktest.NewCA(t).Issue(t, "daemon"))
	c.Listen = taken.Addr().String()
	if _, err := link.Open(c); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("error %v, want one that says the address is in use", err)
	}
}

func TestCheckAddress(t *testing.T) {
	for _, c := range []struct {
		address        string
		any, loopbacks bool
	}{
		{"127.0.0.1:8090", true, true},
		{"127.9.9.9:1", true, true},
		{"[::1]:8090", true, true},
		{"localhost:8090", true, true},
		{"hooks.example:8090", true, false},
		{"localhost.example:8090", true, false},
		{"192.0.2.1:8090", true, false},
		{":8090", true, false},
		{"127.0.0.1", false, false},
		{"127.0.0.1:", false, false},
		{"127.0.0.1:-1", false, false},
		{"127.0.0.1:65536", false, false},
		{"::1:8090", false, false},
		{"", false, false},
	} {
		if got := link.CheckAddress(c.address, false) == nil; got != c.any {
			t.Errorf("%q: allowed %t, want %t", c.address, got, c.any)
		}
		if got := link.CheckAddress(c.address, true) == nil; got != c.loopbacks {
			t.Errorf("%q without TLS: allowed %t, want %t", c.address, got, c.loopbacks)
		}
	}
}
