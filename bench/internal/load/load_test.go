//go:build linux

package load_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hooktroupe/hooktroupe/bench/internal/load"
)

const secret = "It's a Secret to Everybody"

// receiver is a server that checks what it gets as GitHub's receivers do.
type receiver struct {
	mu     sync.Mutex // guards what follows
	ids    map[string]int
	events map[string]int
	wrong  []string
	answer func(n int) int // the status of the n-th, from 1
}

func newReceiver(t *testing.T) (*receiver, string) {
	t.Helper()
	r := &receiver{ids: make(map[string]int), events: make(map[string]int), answer: func(int) int { return http.StatusAccepted }}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	return r, strings.TrimPrefix(server.URL, "http://")
}

// ServeHTTP is called by the server, for many connections at once.
func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = mac.Write(body)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil || request.Header.Get("X-Hub-Signature-256") != "sha256="+hex.EncodeToString(mac.Sum(nil)) {
		r.wrong = append(r.wrong, "signature")
	}
	if request.Method != http.MethodPost || request.URL.Path != load.GitHubPath {
		r.wrong = append(r.wrong, request.Method+" "+request.URL.Path)
	}
	id := request.Header.Get("X-GitHub-Delivery")
	if len(id) != 36 || strings.Count(id, "-") != 4 {
		r.wrong = append(r.wrong, "delivery ID "+id)
	}
	r.ids[id]++
	r.events[request.Header.Get("X-GitHub-Event")]++
	w.WriteHeader(r.answer(len(r.ids)))
	_, _ = io.WriteString(w, `{"webhook_id":"x"}`)
}

func (r *receiver) check(t *testing.T, deliveries int) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.ids) != deliveries {
		t.Errorf("%d delivery IDs, want %d", len(r.ids), deliveries)
	}
	if len(r.wrong) > 0 {
		t.Errorf("%d wrong, the first: %s", len(r.wrong), r.wrong[0])
	}
}

func TestRunSendsEachDeliveryOnce(t *testing.T) {
	for _, c := range []struct {
		name string
		plan load.Plan
		want int
	}{
		{"one connection", load.Plan{Connections: 1, Count: 50}, 50},
		{"more connections than deliveries", load.Plan{Connections: 8, Count: 3}, 3},
		{"many connections", load.Plan{Connections: 16, Count: 1000}, 1000},
		{"open loop", load.Plan{Connections: 4, Count: 100, Rate: 10_000}, 100},
		{"open loop bounded by time", load.Plan{Connections: 4, Count: 1000, Rate: 1000, Duration: 50 * time.Millisecond}, 50},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, address := newReceiver(t)
			c.plan.Address = address
			c.plan.Requests = []load.Request{load.NewRequest(secret, "pull_request", load.Body(1024))}
			got, err := load.Run(t.Context(), c.plan)
			if err != nil {
				t.Fatal(err)
			}
			r.check(t, c.want)
			if got.Accepted != c.want || len(got.Latency) != c.want || got.PerSecond() <= 0 {
				t.Errorf("%d accepted, %d latencies, %v/s; want %d", got.Accepted, len(got.Latency), got.PerSecond(), c.want)
			}
			if got.LongestGap <= 0 || got.LongestGap > got.Elapsed || got.Latency.Percentile(100) > got.Elapsed {
				t.Errorf("gap %v and latency %v in %v", got.LongestGap, got.Latency.Percentile(100), got.Elapsed)
			}
		})
	}
}

func TestRunsDoNotRepeatDeliveries(t *testing.T) {
	r, address := newReceiver(t)
	plan := load.Plan{
		Address: address, Connections: 2, Count: 20,
		Requests: []load.Request{load.NewRequest(secret, "push", load.Body(1024))},
	}
	for range 3 {
		if _, err := load.Run(t.Context(), plan); err != nil {
			t.Fatal(err)
		}
	}
	r.check(t, 60)
}

func TestRunTakesRequestsInTurn(t *testing.T) {
	r, address := newReceiver(t)
	push := load.NewRequest(secret, "push", load.Body(1024))
	issues := load.NewRequest(secret, "issues", load.Body(2048))
	plan := load.Plan{Address: address, Connections: 4, Count: 90, Requests: []load.Request{push, push, issues}}
	if _, err := load.Run(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	r.check(t, 90)
	if r.events["push"] != 60 || r.events["issues"] != 30 {
		t.Errorf("events %v", r.events)
	}
}

func TestClosedLoopEndsAtItsDuration(t *testing.T) {
	_, address := newReceiver(t)
	got, err := load.Run(t.Context(), load.Plan{
		Address: address, Connections: 2, Count: 1 << 30, Duration: 30 * time.Millisecond,
		Requests: []load.Request{load.NewRequest(secret, "push", load.Body(1024))},
	})
	if err != nil || got.Accepted == 0 || got.Elapsed < 30*time.Millisecond {
		t.Errorf("%d accepted in %v, %v", got.Accepted, got.Elapsed, err)
	}
}

// TestOpenLoopCountsFromWhenDeliveriesWereDue holds up the only connection: the deliveries behind waited as well, and
// their latency must say so.
func TestOpenLoopCountsFromWhenDeliveriesWereDue(t *testing.T) {
	r, address := newReceiver(t)
	const hold = 100 * time.Millisecond
	r.answer = func(n int) int {
		if n == 1 {
			timer := time.NewTimer(hold)
			defer timer.Stop()
			<-timer.C
		}
		return http.StatusAccepted
	}
	got, err := load.Run(t.Context(), load.Plan{
		Address: address, Connections: 1, Count: 20, Rate: 1000,
		Requests: []load.Request{load.NewRequest(secret, "push", load.Body(1024))},
	})
	if err != nil {
		t.Fatal(err)
	}
	// The last was due after 19 ms and could not be sent before 100 ms had passed.
	if least := got.Latency.Percentile(0.1); least < hold-20*time.Millisecond {
		t.Errorf("least latency %v: the wait for the connection was not counted", least)
	}
	if got.LongestGap < hold {
		t.Errorf("longest gap %v, want at least %v", got.LongestGap, hold)
	}
}

func TestRunEndsAtTheFirstRefusal(t *testing.T) {
	r, address := newReceiver(t)
	r.answer = func(n int) int {
		if n >= 10 {
			return http.StatusServiceUnavailable
		}
		return http.StatusAccepted
	}
	_, err := load.Run(t.Context(), load.Plan{
		Address: address, Connections: 4, Count: 100_000,
		Requests: []load.Request{load.NewRequest(secret, "push", load.Body(1024))},
	})
	var refused *load.RefusedError
	if !errors.As(err, &refused) || refused.Status != 503 || !strings.Contains(refused.Error(), "webhook_id") {
		t.Errorf("error %v, want the refusal", err)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("gone")
	taken := make(chan net.Conn, 1)
	go func() { // ends with the one connection that it takes
		c, err := listener.Accept()
		if err == nil {
			_, _ = io.ReadFull(c, make([]byte, 1))
			cancel(gone)
		}
		taken <- c
	}()
	_, err = load.Run(ctx, load.Plan{
		Address: listener.Addr().String(), Connections: 1, Count: 1,
		Requests: []load.Request{load.NewRequest(secret, "push", load.Body(1024))},
	})
	if !errors.Is(err, gone) {
		t.Errorf("error %v, want the cause of the end", err)
	}
	if c := <-taken; c != nil {
		_ = c.Close()
	}
}

func TestRunWithoutAServer(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	_ = listener.Close()
	if _, err := load.Run(t.Context(), load.Plan{Address: address, Connections: 1, Count: 1}); err == nil {
		t.Error("no error")
	}
}
