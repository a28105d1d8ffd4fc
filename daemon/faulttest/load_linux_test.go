package faulttest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/hooktroupe/hooktroupe/daemon/daemontest"
	"github.com/hooktroupe/hooktroupe/handler/forward"
)

const (
	keys  = 20
	pause = 400 * time.Millisecond // between two deliveries of a key: 50 a second in all
	work  = 50 * time.Millisecond  // that the sink takes
)

// payload is the body of a delivery: the how manieth of its key it is.
type payload struct {
	Kind string `json:"kind"`
	Key  string `json:"key"`
	Seq  int    `json:"seq"`
}

func keyName(n int) string { return fmt.Sprint("key-", n) }

// sink records what arrives.
type sink struct {
	*httptest.Server
	mu       sync.Mutex // guards arrivals
	arrivals []*arrival // in order
}

// arrival is one request.
type arrival struct {
	payload
	task         string
	attempt      int
	began, ended time.Time // ended is zero while it is not answered
}

func newSink(t testing.TB, address string) *sink {
	t.Helper()
	s := &sink{}
	listener, err := net.Listen("tcp4", address+":0")
	if err != nil {
		t.Fatal(err)
	}
	s.Server = httptest.NewUnstartedServer(s)
	_ = s.Listener.Close() // the one on loopback
	s.Listener = listener
	s.Start()
	t.Cleanup(s.Close)
	return s
}

// ServeHTTP is the work.
func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a := &arrival{task: r.Header.Get(forward.HeaderTaskID), began: time.Now()}
	a.attempt, _ = strconv.Atoi(r.Header.Get(forward.HeaderAttempt))
	if err := json.NewDecoder(r.Body).Decode(&a.payload); err != nil {
		return // the member died while it sent
	}
	s.mu.Lock()
	s.arrivals = append(s.arrivals, a)
	s.mu.Unlock()
	time.Sleep(work)
	s.mu.Lock()
	a.ended = time.Now()
	s.mu.Unlock()
	w.WriteHeader(http.StatusOK)
}

// seen is a copy of what arrived, in order.
func (s *sink) seen() []arrival {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := make([]arrival, len(s.arrivals))
	for i, a := range s.arrivals {
		seen[i] = *a
	}
	return seen
}

// load sends to the balancer until it is stopped: of each key one delivery after the other, each again until it is accepted,
// as senders do.
type load struct {
	url   string
	stop  chan struct{}
	ended sync.Once
	wait  sync.WaitGroup

	mu       sync.Mutex // guards what follows
	accepted map[string]payload
	sent     [keys]int // by key: the last that was accepted
	failures []failure
}

// failure is a request that was not answered 2xx.
type failure struct {
	payload
	began time.Time
	took  time.Duration
	what  string
}

func startLoad(url string) *load {
	l := &load{url: url, stop: make(chan struct{}), accepted: make(map[string]payload)}
	for key := range keys {
		l.wait.Go(func() { // ends with stop
			ticker := time.NewTicker(pause)
			defer ticker.Stop()
			for seq := 1; ; seq++ {
				select {
				case <-ticker.C:
					l.deliver(key, seq)
				case <-l.stop:
					return
				}
			}
		})
	}
	return l
}

// deliver sends one delivery until it is accepted, or nobody has accepted it for too long.
func (l *load) deliver(key, seq int) {
	p := payload{"made", keyName(key), seq}
	body, _ := json.Marshal(p)
	header := http.Header{}
	header.Set("X-Load-Token", token)
	header.Set("X-Load-Id", fmt.Sprintf("%s/%d", p.Key, seq))
	header.Set("Content-Type", "application/json")
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		began := time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		answer, err := send(ctx, l.url, http.MethodPost, "/webhooks/load", header, body)
		cancel()
		l.mu.Lock()
		if err == nil && answer.Code/100 == 2 {
			l.accepted[answer.Text("webhook_id")] = p
			l.sent[key] = seq
			l.mu.Unlock()
			return
		}
		what := fmt.Sprint(answer.Code, " ", string(answer.Body))
		if err != nil {
			what = err.Error()
		}
		l.failures = append(l.failures, failure{p, began, time.Since(began), what})
		l.mu.Unlock()
	}
}

// add is for a delivery that was sent another way, and accepted.
func (l *load) add(id string, p payload) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.accepted[id] = p
}

// end stops the load, and waits for what is being sent. It may be called twice.
func (l *load) end() {
	l.ended.Do(func() { close(l.stop) })
	l.wait.Wait()
}

// failed are the failures so far.
func (l *load) failed() []failure {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]failure(nil), l.failures...)
}

// lastSent says how many of each key were accepted.
func (l *load) lastSent() [keys]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sent
}

// awaitFlow waits until, of each key, something that was accepted after now has been worked.
func (l *load) awaitFlow(t *testing.T, s *sink) {
	t.Helper()
	before := l.lastSent()
	var missing []string
	eventually(t, func() string { return fmt.Sprintf("new deliveries are worked, but not of %v", missing) }, func() bool {
		worked := make(map[string]int)
		for _, a := range s.seen() {
			worked[a.Key] = max(worked[a.Key], a.Seq)
		}
		missing = nil
		for key := range keys {
			if worked[keyName(key)] < before[key]+1 {
				missing = append(missing, keyName(key))
			}
		}
		return len(missing) == 0
	})
}

// client opens a connection for each request: those that are kept would hide which member is alive.
var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// send sends one request, with the token.
func send(ctx context.Context, url, method, path string, header http.Header, body []byte) (daemontest.Answer, error) {
	request, err := http.NewRequestWithContext(ctx, method, url+path, bytes.NewReader(body))
	if err != nil {
		return daemontest.Answer{}, err
	}
	if header != nil {
		request.Header = header.Clone()
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := client.Do(request)
	if err != nil {
		return daemontest.Answer{}, err
	}
	content, err := io.ReadAll(response.Body)
	return daemontest.Answer{Code: response.StatusCode, Header: response.Header, Body: content}, errors.Join(err, response.Body.Close())
}
