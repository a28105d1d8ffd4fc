package peers_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/hooktroupe/hooktroupe/cluster/peers"
	"github.com/hooktroupe/hooktroupe/internal/clock"
	"github.com/hooktroupe/hooktroupe/messages"
	pb "github.com/hooktroupe/hooktroupe/messages/clusterv1"
)

// open starts a member that asks itself; over the network, members are tested as processes.
func open(t *testing.T, c peers.Config) *peers.Peers {
	t.Helper()
	c.Listen, c.Insecure, c.Clock, c.Log = "127.0.0.1:0", true, clock.Real{}, logrus.New()
	c.Log.SetOutput(io.Discard)
	p, err := peers.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func ask(t *testing.T, p *peers.Peers, timeout time.Duration, q *pb.Ask) (*pb.Answer, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return p.Ask(ctx, p.Address(), q)
}

func counts() *pb.Ask {
	return &pb.Ask{Question: &pb.Ask_GetCounts{GetCounts: &messages.GetCounts{}}}
}

func TestOneQuestionOneAnswer(t *testing.T) {
	answers := map[string]*pb.Answer{
		"":       {Answer: &pb.Answer_Counts{Counts: &messages.GetCountsReply{Queued: 7}}},
		"away":   {Answer: &pb.Answer_Failed{Failed: &pb.Failed{Away: true}}},
		"failed": {Answer: &pb.Answer_Failed{Failed: &pb.Failed{Detail: "disk\nfull"}}},
		"newer":  {},
	}
	hung := make(chan struct{})
	t.Cleanup(func() { close(hung) })
	p := open(t, peers.Config{Answer: func(ctx context.Context, q *pb.Ask) *pb.Answer {
		id := q.GetCancelTask().GetWebhookId()
		if id == "hangs" {
			<-hung
		}
		if _, bounded := ctx.Deadline(); !bounded {
			t.Error("an answer may take for ever")
		}
		return answers[id]
	}})
	if a, err := ask(t, p, time.Minute, counts()); err != nil || a.GetCounts().GetQueued() != 7 {
		t.Errorf("answered with %v, %v", a, err)
	}
	for id, want := range map[string]error{
		"away": peers.ErrAway, "failed": peers.ErrFailed, "newer": peers.ErrNotSupported, "hangs": peers.ErrUnreachable,
	} {
		timeout := time.Minute
		if id == "hangs" {
			timeout = 20 * time.Millisecond
		}
		_, err := ask(t, p, timeout, &pb.Ask{Question: &pb.Ask_CancelTask{CancelTask: &messages.CancelTask{WebhookId: id}}})
		if !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", id, err, want)
		}
	}
}

func TestAQuestionOfANewerVersionIsNotSupported(t *testing.T) {
	p := open(t, peers.Config{Answer: func(context.Context, *pb.Ask) *pb.Answer {
		t.Error("what is not known was answered")
		return &pb.Answer{}
	}})
	if _, err := ask(t, p, time.Minute, &pb.Ask{}); !errors.Is(err, peers.ErrNotSupported) {
		t.Errorf("got %v", err)
	}
}

func TestNewsReachTheMember(t *testing.T) {
	stored, looked := make(chan []int, 1), make(chan struct{}, 1)
	p := open(t, peers.Config{
		Stored: func(shards []int) { stored <- shards },
		Look:   func() { looked <- struct{}{} },
	})
	p.Tell(p.Address(), []int{3, 9})
	if got := <-stored; len(got) != 2 || got[0] != 3 || got[1] != 9 {
		t.Errorf("told of shards %v", got)
	}
	p.TellLook(p.Address())
	<-looked
}

func TestCloseEndsWhatWaits(t *testing.T) {
	asked, release := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(release) })
	p := open(t, peers.Config{Answer: func(context.Context, *pb.Ask) *pb.Answer {
		close(asked)
		<-release
		return &pb.Answer{}
	}})
	done := make(chan error)
	go func() {
		_, err := p.Ask(context.Background(), p.Address(), counts())
		done <- err
	}()
	<-asked
	p.Close()
	if err := <-done; !errors.Is(err, peers.ErrUnreachable) {
		t.Errorf("got %v", err)
	}
}
