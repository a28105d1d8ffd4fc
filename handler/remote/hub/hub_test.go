package hub_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/hooktroupe/hooktroupe/handler"
	"github.com/hooktroupe/hooktroupe/handler/handlertest"
	"github.com/hooktroupe/hooktroupe/handler/remote/hub"
	"github.com/hooktroupe/hooktroupe/handler/remote/link"
	"github.com/hooktroupe/hooktroupe/handler/remote/linktest"
	pb "github.com/hooktroupe/hooktroupe/messages/handlerv1"
)

const kind = "review"

// start runs a hub on loopback until the test ends.
func start(t *testing.T, ca *linktest.CA, changes ...func(*hub.Config)) *hub.Hub {
	t.Helper()
	quiet := logrus.New()
	quiet.SetOutput(io.Discard)
	c := hub.Config{
		Listen: "127.0.0.1:0", TLS: ca.Issue(t, "daemon"), AllowedKinds: []string{kind},
		Silence: time.Minute, Patience: -1, Log: quiet,
	}
	for _, change := range changes {
		change(&c)
	}
	h, err := hub.New(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Stop)
	return h
}

// member is a peer that has registered, and does what the test says.
type member struct {
	*linktest.Peer
	t     *testing.T
	token string
}

// join registers a peer and waits until the hub has confirmed it.
func join(t *testing.T, ca *linktest.CA, h *hub.Hub, name string, credits uint32) *member {
	t.Helper()
	m := &member{Peer: linktest.NewPeer(t, ca.Issue(t, name)), t: t}
	if err := m.Dial(h.Address()); err != nil {
		t.Fatal(err)
	}
	m.offer(name, credits)
	m.token = linktest.Next[*pb.HandlerRegistered](t, m.Peer).GetToken()
	m.renew()
	return m
}

func (m *member) offer(session string, credits uint32) {
	m.Send(link.Hub, &pb.RegisterHandler{
		Protocol: link.Protocol, Session: session, Address: m.Address, Kind: kind, Credits: credits,
	})
}

func (m *member) renew() {
	m.t.Helper()
	m.Send(link.Hub, &pb.RenewHandler{Token: m.token})
	linktest.Next[*pb.HandlerRenewed](m.t, m.Peer)
}

func (m *member) takes() *pb.RunAttempt {
	m.t.Helper()
	return linktest.Next[*pb.RunAttempt](m.t, m.Peer)
}

// reports ends an attempt that it was handed.
func (m *member) reports(run *pb.RunAttempt, changes ...func(*pb.AttemptResult)) {
	m.t.Helper()
	r := &pb.AttemptResult{
		Token: m.token, Generation: run.GetGeneration(), WebhookId: run.GetTask().GetWebhookId(),
		Attempt: run.GetTask().GetAttempt(), Outcome: pb.Outcome_OUTCOME_COMPLETED, Result: []byte("done"),
	}
	for _, change := range changes {
		change(r)
	}
	m.Send(link.Hub, r)
}

// ended is what Handle returned.
type ended struct {
	result []byte
	err    error
}

// begin calls the handler from a goroutine that ends with the call.
func begin(ctx context.Context, h *hub.Hub, task *handler.Task) <-chan ended {
	done := make(chan ended, 1) // the one end
	go func() {
		result, err := h.Handler(kind).Handle(ctx, task)
		done <- ended{result, err}
	}()
	return done
}

func await(t *testing.T, done <-chan ended) ended {
	t.Helper()
	select {
	case e := <-done:
		return e
	case <-time.After(linktest.Bound):
		t.Fatal("the attempt did not end")
		return ended{}
	}
}

// until waits for what the hub shows to become so.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(linktest.Bound); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not so in time: %s", what)
		}
	}
}

func task(id int) *handler.Task {
	return handlertest.NewTask(func(t *handler.Task) { t.ID = fmt.Sprintf("0198f2a4-7c1e-7d3b-9a55-%012d", id) })
}

func TestOutcomes(t *testing.T) {
	if linktest.Alone(t) {
		return
	}
	ca := linktest.NewCA(t)
	h := start(t, ca)
	m := join(t, ca, h, "worker", 1)
	long := strings.Repeat("x", 2*handler.MaxErrorBytes)
	outcome := func(o pb.Outcome) func(*pb.AttemptResult) {
		return func(r *pb.AttemptResult) { r.Outcome, r.Error = o, []byte("no good") }
	}
	for name, c := range map[string]struct {
		change func(*pb.AttemptResult)
		check  func(ended) bool
	}{
		"completed": {
			func(*pb.AttemptResult) {},
			func(e ended) bool { return e.err == nil && string(e.result) == "done" },
		},
		"retry": {
			outcome(pb.Outcome_OUTCOME_RETRY),
			func(e ended) bool { return e.err.Error() == "no good" && handler.After(e.err) == 0 },
		},
		"retry after": {
			func(r *pb.AttemptResult) {
				r.Outcome, r.RetryAfter = pb.Outcome_OUTCOME_RETRY, durationpb.New(time.Minute)
			},
			func(e ended) bool { return handler.After(e.err) == time.Minute },
		},
		"discard": {outcome(pb.Outcome_OUTCOME_DISCARD), func(e ended) bool { return handler.IsDiscard(e.err) }},
		"lost":    {outcome(pb.Outcome_OUTCOME_LOST), func(e ended) bool { return errors.Is(e.err, handler.ErrLost) }},
		"panic": {
			outcome(pb.Outcome_OUTCOME_PANIC),
			func(e ended) bool { var crash *handler.CrashError; return errors.As(e.err, &crash) },
		},
		"unknown": {outcome(77), func(e ended) bool { return e.err != nil && !handler.IsDiscard(e.err) }},
		"too long an error": {
			func(r *pb.AttemptResult) { r.Outcome, r.Error = pb.Outcome_OUTCOME_RETRY, []byte(long) },
			func(e ended) bool { return len(e.err.Error()) == handler.MaxErrorBytes },
		},
		"too long a result": {
			func(r *pb.AttemptResult) { r.Result = []byte(long) },
			func(e ended) bool { return len(e.result) == handler.MaxResultBytes },
		},
		"another task": {
			func(r *pb.AttemptResult) { r.WebhookId = "other" },
			func(e ended) bool { return errors.Is(e.err, handler.ErrLost) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			done := begin(t.Context(), h, task(1))
			m.reports(m.takes(), c.change)
			if e := await(t, done); !c.check(e) {
				t.Errorf("Handle returned %q, %v", e.result, e.err)
			}
		})
	}
}

func TestNoMember(t *testing.T) {
	if linktest.Alone(t) {
		return
	}
	h := start(t, linktest.NewCA(t))
	e := await(t, begin(t.Context(), h, task(1)))
	if !errors.Is(e.err, hub.ErrNoMember) || handler.After(e.err) <= 0 || handler.IsDiscard(e.err) {
		t.Errorf("error %v, want ErrNoMember with a delay", e.err)
	}
}

// A daemon that has just started has work before it has members.
func TestPatience(t *testing.T) {
	if linktest.Alone(t) {
		return
	}
	ca := linktest.NewCA(t)
	h := start(t, ca, func(c *hub.Config) { c.Patience = linktest.Bound })
	done := begin(t.Context(), h, task(1))
	m := join(t, ca, h, "worker", 1)
	m.reports(m.takes())
	if e := await(t, done); e.err != nil {
		t.Error(e.err)
	}
}

func TestCreditsAreNeverExceeded(t *testing.T) {
	if linktest.Alone(t) {
		return
	}
	const credits, tasks = 3, 40
	ca := linktest.NewCA(t)
	h := start(t, ca)
	m := join(t, ca, h, "worker", credits)
	var calls []<-chan ended
	for i := range tasks {
		calls = append(calls, begin(t.Context(), h, task(i)))
	}
	held := []*pb.RunAttempt{}
	for ended := 0; ended < tasks; ended++ {
		for len(held) < min(credits, tasks-ended) {
			held = append(held, m.takes())
		}
		m.renew() // whatever was sent before the answer has arrived with it
		if extra := linktest.Waiting[*pb.RunAttempt](m.Peer); extra > 0 {
			t.Fatalf("%d attempts beyond %d credits", extra, credits)
		}
		m.reports(held[0])
		held = held[1:]
	}
	for _, done := range calls {
		if e := await(t, done); e.err != nil {
			t.Error(e.err)
		}
	}
}

// Of two members with different credits, both are used in proportion.
func TestFairness(t *testing.T) {
	if linktest.Alone(t) {
		return
	}
	ca := linktest.NewCA(t)
	h := start(t, ca)
	small, large := join(t, ca, h, "small", 2), join(t, ca, h, "large", 4)
	for i := range 6 {
		begin(t.Context(), h, task(i))
		until(t, "handed out", func() bool {
			running := 0
			for _, m := range h.Members() {
				running += m.Running
				if i == 2 && running == 3 && m.Running > 2 {
					t.Errorf("of three attempts, %d went to one member", m.Running)
				}
			}
			return running == i+1
		})
	}
	for range 2 {
		small.takes()
	}
	for range 4 {
		large.takes()
	}
}

func TestCancellation(t *testing.T) {
	if linktest.Alone(t) {
		return
	}
	ca := linktest.NewCA(t)
	h := start(t, ca)
	m := join(t, ca, h, "worker", 1)
	reason := errors.New("superseded")
	ctx, cancel := context.WithCancelCause(t.Context())
	done := begin(ctx, h, task(1))
	run := m.takes()
	cancel(reason)
	if e := await(t, done); !errors.Is(e.err, reason) {
		t.Errorf("error %v, want the cause", e.err)
	}
	if c := linktest.Next[*pb.CancelAttempt](t, m.Peer); c.GetGeneration() != run.GetGeneration() {
		t.Errorf("cancelled generation %d, want %d", c.GetGeneration(), run.GetGeneration())
	}

	next := begin(t.Context(), h, task(2))
	m.renew()
	if linktest.Waiting[*pb.RunAttempt](m.Peer) > 0 {
		t.Error("the credit was used again before the cancelled attempt had ended")
	}
	m.reports(run) // late: refused, and the credit is free
	second := m.takes()
	if second.GetGeneration() <= run.GetGeneration() {
		t.Error("the generation did not grow")
	}
	m.reports(second)
	if e := await(t, next); e.err != nil {
		t.Error(e.err)
	}
	if late := h.Stats().LateResults; late != 1 {
		t.Errorf("%d late results, want 1", late)
	}
}

func TestLateResults(t *testing.T) {
	if linktest.Alone(t) {
		return
	}
	ca := linktest.NewCA(t)
	h := start(t, ca)
	m := join(t, ca, h, "worker", 1)
	done := begin(t.Context(), h, task(1))
	run := m.takes()
	other := join(t, ca, h, "other", 1)
	m.reports(run, func(r *pb.AttemptResult) { r.Generation-- })
	other.reports(run)                                                      // under its own token
	other.reports(run, func(r *pb.AttemptResult) { r.Token = m.token })     // under another's
	m.reports(run, func(r *pb.AttemptResult) { r.Token = "no such token" }) // under none
	until(t, "four are refused", func() bool { return h.Stats().LateResults == 4 })
	select {
	case e := <-done:
		t.Fatalf("ended by a result that was not its own: %v", e)
	default:
	}
	m.reports(run)
	m.reports(run) // twice
	if e := await(t, done); e.err != nil {
		t.Error(e.err)
	}
	until(t, "the second is refused", func() bool { return h.Stats().LateResults == 5 })
}

func TestMemberThatHangsUp(t *testing.T) {
	if linktest.Alone(t) {
		return
	}
	ca := linktest.NewCA(t)
	h := start(t, ca)
	m := join(t, ca, h, "worker", 1)
	done := begin(t.Context(), h, task(1))
	m.takes()
	m.Close()
	if e := await(t, done); !errors.Is(e.err, handler.ErrLost) {
		t.Errorf("error %v, want ErrLost", e.err)
	}
	if left := h.Members(); len(left) > 0 {
		t.Errorf("still there: %+v", left)
	}
	if lost := h.Stats().Lost; lost != 1 {
		t.Errorf("%d attempts counted as lost, want 1", lost)
	}
}

func TestMemberThatFallsSilent(t *testing.T) {
	if linktest.Alone(t) {
		return
	}
	ca := linktest.NewCA(t)
	h := start(t, ca, func(c *hub.Config) { c.Silence = 300 * time.Millisecond })
	m := join(t, ca, h, "worker", 1)
	done := begin(t.Context(), h, task(1))
	m.takes()
	if e := await(t, done); !errors.Is(e.err, handler.ErrLost) {
		t.Errorf("error %v, want ErrLost", e.err)
	}
}

// A member that drains is given nothing more, reports what it is at, and goes.
func TestWithdrawal(t *testing.T) {
	if linktest.Alone(t) {
		return
	}
	ca := linktest.NewCA(t)
	h := start(t, ca)
	m := join(t, ca, h, "worker", 2)
	done := begin(t.Context(), h, task(1))
	run := m.takes()
	m.Send(link.Hub, &pb.WithdrawHandler{Token: m.token})
	until(t, "it drains", func() bool { return h.Members()[0].Draining })
	if e := await(t, begin(t.Context(), h, task(2))); !errors.Is(e.err, hub.ErrNoMember) {
		t.Errorf("error %v, want ErrNoMember", e.err)
	}
	m.reports(run)
	m.Send(link.Hub, &pb.WithdrawHandler{Token: m.token, Final: true})
	linktest.Next[*pb.HandlerWithdrawn](t, m.Peer)
	if e := await(t, done); e.err != nil {
		t.Error(e.err)
	}
	until(t, "it is gone", func() bool { return len(h.Members()) == 0 })
}

func TestStopLosesWhatRuns(t *testing.T) {
	if linktest.Alone(t) {
		return
	}
	ca := linktest.NewCA(t)
	h := start(t, ca)
	m := join(t, ca, h, "worker", 1)
	running, waiting := begin(t.Context(), h, task(1)), begin(t.Context(), h, task(2))
	m.takes()
	h.Stop()
	h.Stop()
	for _, done := range []<-chan ended{running, waiting} {
		if e := await(t, done); !errors.Is(e.err, handler.ErrLost) {
			t.Errorf("error %v, want ErrLost", e.err)
		}
	}
	if _, err := h.Handler(kind).Handle(t.Context(), task(3)); !errors.Is(err, hub.ErrNotRunning) {
		t.Errorf("error %v, want ErrNotRunning", err)
	}
}

func TestTooLargeATaskIsDiscarded(t *testing.T) {
	if linktest.Alone(t) {
		return
	}
	h := start(t, linktest.NewCA(t), func(c *hub.Config) { c.MaxMessageBytes = 128 << 10 })
	large := handlertest.NewTask(handlertest.WithBody(make([]byte, 65<<10)))
	if e := await(t, begin(t.Context(), h, large)); !handler.IsDiscard(e.err) {
		t.Errorf("error %v, want one that discards", e.err)
	}
}

func TestMembers(t *testing.T) {
	if linktest.Alone(t) {
		return
	}
	ca := linktest.NewCA(t)
	h := start(t, ca, func(c *hub.Config) { c.MaxCredits = 5 })
	m := join(t, ca, h, "worker", 1000)
	begin(t.Context(), h, task(1))
	m.takes()
	members := h.Members()
	if len(members) != 1 {
		t.Fatalf("%d members, want 1", len(members))
	}
	got := members[0]
	if got.Since.IsZero() || got.Heard.Before(got.Since) {
		t.Errorf("registered %s, heard of %s", got.Since, got.Heard)
	}
	got.Since, got.Heard = time.Time{}, time.Time{}
	want := hub.Member{Kind: kind, Address: m.Address, Identity: "CN=worker", Credits: 5, Running: 1}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// Whoever calls while members come, go and are stopped is answered.
func TestConcurrentUse(t *testing.T) {
	if linktest.Alone(t) {
		return
	}
	ca := linktest.NewCA(t)
	h := start(t, ca)
	m := join(t, ca, h, "worker", 4)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var callers sync.WaitGroup
	for i := range 32 {
		callers.Go(func() {
			if e := await(t, begin(ctx, h, task(i))); e.err == nil && string(e.result) != "done" {
				t.Errorf("result %q", e.result)
			}
			h.Members()
		})
	}
	for range 16 {
		m.reports(m.takes())
	}
	cancel()
	callers.Wait()
	h.Stop()
}

func TestConfig(t *testing.T) {
	ca := linktest.NewCA(t)
	good := func() hub.Config {
		return hub.Config{Listen: "127.0.0.1:0", TLS: ca.Issue(t, "daemon"), AllowedKinds: []string{kind}}
	}
	for name, change := range map[string]func(*hub.Config){
		"no kind":                  func(c *hub.Config) { c.AllowedKinds = nil },
		"nameless kind":            func(c *hub.Config) { c.AllowedKinds = []string{""} },
		"silence too short":        func(c *hub.Config) { c.Silence = time.Millisecond },
		"negative bound":           func(c *hub.Config) { c.MaxMembers = -1 },
		"no port":                  func(c *hub.Config) { c.Listen = "127.0.0.1" },
		"wildcard, not advertised": func(c *hub.Config) { c.Listen = "0.0.0.0:0" },
		"no TLS":                   func(c *hub.Config) { c.TLS = link.TLS{} },
		"no such CA":               func(c *hub.Config) { c.TLS.CA = "no-such-file" },
		"CA without certificate":   func(c *hub.Config) { c.TLS.CA = c.TLS.Key },
		"insecure, not loopback": func(c *hub.Config) {
			c.Insecure, c.Listen, c.Advertise = true, "127.0.0.1:0", "192.0.2.1:8090"
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := good()
			change(&c)
			h, err := hub.New(c)
			if err == nil {
				err = h.Start()
				h.Stop()
			}
			if err == nil {
				t.Error("no error")
			}
		})
	}
}
