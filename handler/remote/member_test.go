package remote_test

import (
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/hooktroupe/hooktroupe/handler/remote"
	"github.com/hooktroupe/hooktroupe/handler/remote/link"
	"github.com/hooktroupe/hooktroupe/handler/remote/linktest"
	pb "github.com/hooktroupe/hooktroupe/messages/handlerv1"
)

// daemon is a peer that plays the daemon's part, with one member.
type daemon struct {
	*linktest.Peer
	t       *testing.T
	token   string
	session string // of the offer that was answered last
}

// take accepts the next registration, under a token, and renews it as long as it is told to.
func (d *daemon) take(token string, silence time.Duration) *pb.RegisterHandler {
	d.t.Helper()
	offer := linktest.Next[*pb.RegisterHandler](d.t, d.Peer)
	for offer.GetSession() == d.session { // an offer is repeated until its answer arrives
		offer = linktest.Next[*pb.RegisterHandler](d.t, d.Peer)
	}
	d.session = offer.GetSession()
	if err := d.Dial(offer.GetAddress()); err != nil {
		d.t.Fatal(err)
	}
	d.token = token
	d.Send(link.Member, &pb.HandlerRegistered{
		Session: offer.GetSession(), Token: token, Silence: durationpb.New(silence),
	})
	for linktest.Next[*pb.RenewHandler](d.t, d.Peer).GetToken() != token { // those of an earlier one
	}
	d.Send(link.Member, &pb.HandlerRenewed{Token: token})
	return offer
}

// withMember starts both.
func withMember(t *testing.T, credits int, silence time.Duration) (*daemon, *process, *linktest.CA) {
	t.Helper()
	ca := linktest.NewCA(t)
	d := &daemon{Peer: linktest.NewPeer(t, ca.Issue(t, "daemon")), t: t}
	p := launch(t, memberConfig{Daemon: d.Address, Kind: "review", Credits: credits, TLS: ca.Issue(t, "worker")})
	offer := d.take("token-1", silence)
	if offer.GetKind() != "review" || offer.GetCredits() != uint32(credits) || offer.GetProtocol() != link.Protocol {
		t.Errorf("offered %v", offer)
	}
	p.says("registered")
	return d, p, ca
}

// run hands an attempt out.
func (d *daemon) run(generation uint64, event string, changes ...func(*pb.RunAttempt)) {
	d.t.Helper()
	m := &pb.RunAttempt{
		Token: d.token, Generation: generation,
		Task: &pb.Task{WebhookId: "task", Attempt: 2, EventType: []byte(event)},
	}
	for _, change := range changes {
		change(m)
	}
	d.Send(link.Member, m)
}

func (d *daemon) result() *pb.AttemptResult {
	d.t.Helper()
	return linktest.Next[*pb.AttemptResult](d.t, d.Peer)
}

func TestMemberKeepsToItsCredits(t *testing.T) {
	d, p, _ := withMember(t, 1, time.Minute)
	d.run(1, "slow")
	p.says("running")
	d.run(2, "push")
	if r := d.result(); r.GetGeneration() != 2 || r.GetOutcome() != pb.Outcome_OUTCOME_LOST {
		t.Errorf("beyond its credits it answered %v, want generation 2 given back", r)
	}
	if _, err := io.WriteString(p.stdin, "go\n"); err != nil {
		t.Fatal(err)
	}
	r := d.result()
	if r.GetGeneration() != 1 || r.GetOutcome() != pb.Outcome_OUTCOME_COMPLETED || string(r.GetResult()) != "go\n" ||
		r.GetWebhookId() != "task" || r.GetAttempt() != 2 || r.GetToken() != d.token {
		t.Errorf("result %v", r)
	}
}

func TestMemberIgnoresWhatIsNotItsOwn(t *testing.T) {
	d, p, _ := withMember(t, 4, time.Minute)
	d.run(1, "slow")
	p.says("running")
	d.run(1, "push") // again
	d.run(2, "push", func(m *pb.RunAttempt) { m.Token = "another" })
	d.run(3, "push", func(m *pb.RunAttempt) { m.Token = "" })
	d.run(4, "push", func(m *pb.RunAttempt) { m.Task = nil })
	d.Send(link.Member, &pb.CancelAttempt{Token: "another", Generation: 1})
	d.Send(link.Member, &pb.CancelAttempt{Token: d.token, Generation: 99})
	d.Send(link.Member, &pb.HandlerWithdrawn{Token: d.token})
	d.Send(link.Member, &pb.HandlerRefused{Session: "another", Final: true})
	d.Send(link.Member, &pb.HandlerRegistered{Session: "another", Token: "another", Silence: durationpb.New(1)})
	d.run(5, "push")
	if r := d.result(); r.GetGeneration() != 5 {
		t.Errorf("it answered generation %d, want 5 only", r.GetGeneration())
	}
}

// A daemon is root to its members no more than they are to it.
func TestMemberIsNotStopped(t *testing.T) {
	d, _, _ := withMember(t, 1, time.Minute)
	for _, m := range []proto.Message{&actor.Stop{}, &actor.PoisonPill{}, &pb.RenewHandler{}} {
		d.Send(link.Member, m)
	}
	d.run(1, "push")
	if r := d.result(); r.GetOutcome() != pb.Outcome_OUTCOME_COMPLETED {
		t.Errorf("result %v", r)
	}
}

func TestMemberRegistersAnewAfterSilence(t *testing.T) {
	d, p, _ := withMember(t, 1, 3*time.Second)
	d.run(1, "stuck")
	p.says("running")
	if cause := p.says("cause:"); !strings.Contains(cause, remote.ErrDaemonLost.Error()) {
		t.Errorf("the handler saw %q", cause)
	}
	if offer := d.take("token-2", time.Minute); offer.GetCredits() != 1 {
		t.Errorf("offered %d credits, want 1: the cancelled attempt has ended", offer.GetCredits())
	}
	d.run(2, "push")
	if r := d.result(); r.GetToken() != "token-2" || r.GetGeneration() != 2 {
		t.Errorf("result %v: one of an earlier registration is not wanted", r)
	}
}

func TestMemberFindsARestartedDaemon(t *testing.T) {
	d, p, ca := withMember(t, 1, time.Minute)
	d.Close()
	again := &daemon{Peer: linktest.NewPeerAt(t, ca.Issue(t, "daemon"), d.Address), t: t}
	again.take("token-2", time.Minute)
	p.says("registered")
	again.run(1, "push")
	if r := again.result(); r.GetToken() != "token-2" {
		t.Errorf("result %v", r)
	}
}

// It is the daemon that may come later.
func TestMemberWaitsForItsDaemon(t *testing.T) {
	ca := linktest.NewCA(t)
	reserved, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := reserved.Addr().String()
	if err := reserved.Close(); err != nil {
		t.Fatal(err)
	}
	p := launch(t, memberConfig{Daemon: address, Kind: "review", Credits: 1, TLS: ca.Issue(t, "worker")})
	d := &daemon{Peer: linktest.NewPeerAt(t, ca.Issue(t, "daemon"), address), t: t}
	d.take("token", time.Minute)
	p.says("registered")
}

// Two orders to drain, a daemon that does not confirm: the member ends all the same.
func TestMemberLeavesAnUnhelpfulDaemon(t *testing.T) {
	d, p, _ := withMember(t, 1, time.Minute)
	p.signal(syscall.SIGTERM)
	for !linktest.Next[*pb.WithdrawHandler](t, d.Peer).GetFinal() {
	}
	p.exits(0)
}

// While it drains, what still comes is given back.
func TestMemberTakesNothingWhileItDrains(t *testing.T) {
	d, p, _ := withMember(t, 2, time.Minute)
	d.run(1, "slow")
	p.says("running")
	p.signal(syscall.SIGTERM)
	linktest.Next[*pb.WithdrawHandler](t, d.Peer)
	d.run(2, "push")
	if r := d.result(); r.GetGeneration() != 2 || r.GetOutcome() != pb.Outcome_OUTCOME_LOST {
		t.Errorf("it answered %v, want generation 2 given back", r)
	}
	if _, err := io.WriteString(p.stdin, "go\n"); err != nil {
		t.Fatal(err)
	}
	if !linktest.Next[*pb.WithdrawHandler](t, d.Peer).GetFinal() {
		t.Error("the leave it took was not final")
	}
	if r := d.result(); r.GetGeneration() != 1 || r.GetOutcome() != pb.Outcome_OUTCOME_COMPLETED {
		t.Errorf("result %v", r)
	}
	d.Send(link.Member, &pb.HandlerWithdrawn{Token: d.token})
	p.exits(0)
}
