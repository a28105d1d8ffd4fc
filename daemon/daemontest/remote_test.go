package daemontest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/hooktroupe/hooktroupe/daemon/daemontest"
	"github.com/hooktroupe/hooktroupe/handler"
	"github.com/hooktroupe/hooktroupe/handler/remote"
)

// freeAddress is a loopback address that nobody listens on at the moment.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// member is a remote handler in the test's own process; the daemon is another.
type member struct {
	stop    context.CancelFunc
	done    chan error
	mu      sync.Mutex
	got     []string
	stopped chan time.Time // told when a hanging attempt's context has ended
}

func (m *member) handle(ctx context.Context, t *handler.Task) ([]byte, error) {
	m.mu.Lock()
	m.got = append(m.got, t.DeliveryID)
	m.mu.Unlock()
	switch string(t.Body) {
	case `{"hang": true}`:
		<-ctx.Done()
		m.stopped <- time.Now()
		return nil, context.Cause(ctx)
	case `{"discard": true}`:
		return nil, handler.Discard(errors.New("not for me"))
	}
	return fmt.Appendf(nil, "%s by a member, attempt %d, route %s", t.EventType, t.Attempt, t.Route), nil
}

func enlist(t *testing.T, daemon string) *member {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	quiet := logrus.New()
	quiet.SetOutput(io.Discard)
	m := &member{stop: stop, done: make(chan error, 1), stopped: make(chan time.Time, 10)}
	go func() {
		m.done <- remote.Serve(ctx, remote.Config{
			Daemon: daemon, Listen: "127.0.0.1:0", Kind: "review", Credits: 2, Insecure: true, Handler: handler.Func(m.handle), Log: quiet,
		})
	}()
	t.Cleanup(func() {
		stop()
		if err := <-m.done; err != nil {
			t.Errorf("the member ended with %v", err)
		}
	})
	return m
}

func TestRemoteHandlersWorkAreCancelledAndComeBack(t *testing.T) {
	hub := freeAddress(t)
	d := start(t, fmt.Sprintf(`
tasks: {backoff_base: 20ms, backoff_cap: 50ms}
remote: {listen: %q, insecure: true}
sources: {github: {secret: env:TEST_SECRET}}
handlers: {review: {type: remote, timeout: 1h}}
routes: [{name: reviews, source: github, event: "*", handler: review, timeout: 1h}]
`, hub))
	first := sendGitHub(t, d, "push", "before", `{"n": 1}`).Text("webhook_id") // there is no member yet
	m := enlist(t, hub)
	d.AwaitStatus(first, "completed")
	if got := d.Status(first).Text("result"); got != "push by a member, attempt 1, route reviews" {
		t.Errorf("result %q", got)
	}
	discarded := sendGitHub(t, d, "push", "discard", `{"discard": true}`).Text("webhook_id")
	d.AwaitStatus(discarded, "failed")
	if answer := d.Status(discarded); answer.JSON()["attempts"] != 1.0 || answer.Text("error") != "not for me" {
		t.Errorf("discarded: %s", answer.Body)
	}
	hanging := sendGitHub(t, d, "push", "hang", `{"hang": true}`).Text("webhook_id")
	d.AwaitStatus(hanging, "processing")
	daemontest.Eventually(t, "the member has the attempt", func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.got[len(m.got)-1] == "hang"
	})
	began := time.Now()
	d.Must(http.MethodPost, "/api/v1/tasks/"+hanging+"/cancel", nil, nil)
	took := (<-m.stopped).Sub(began)
	t.Logf("a cancellation reached the member within %v", took)
	if took > 5*time.Second {
		t.Errorf("a cancellation took %v", took)
	}
	d.AwaitStatus(hanging, "cancelled")
	// The daemon dies and comes back; the member finds it by itself.
	d.Kill()
	d.Start()
	again := sendGitHub(t, d, "push", "after", `{"n": 2}`).Text("webhook_id")
	d.AwaitStatus(again, "completed")
}
