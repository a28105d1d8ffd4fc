package handlertest

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// Bound is how long a test waits for what should happen at once. It is long, for machines are busy; nothing waits it out
// unless a test fails.
const Bound = 30 * time.Second

// Request is one request as the Recorder received it.
type Request struct {
	// Method is upper case.
	Method string
	// Path is the path of the URL with its query.
	Path string
	// Host is what the Host header said.
	Host string
	// Header is without Host, and canonical.
	Header http.Header
	// Body is all of it.
	Body []byte
	// RemoteAddr tells connections apart.
	RemoteAddr string
}

// Answer is one line of a Recorder's script.
type Answer struct {
	// Status is that of the answer; zero means 200.
	Status int
	// Header is added to the answer.
	Header map[string]string
	// Body is sent whole.
	Body []byte
	// Hold, when not nil, keeps the answer back until it is closed or the caller has gone away.
	Hold <-chan struct{}
	// HoldBody is as Hold, but keeps back the second half of Body only.
	HoldBody <-chan struct{}
}

// Recorder is a sink on loopback. It records each request before it answers, in order of arrival, and is closed when its
// test ends.
type Recorder struct {
	// URL is where it listens, such as http://127.0.0.1:40123.
	URL string
	// Server is what listens, for tests that need its certificate or to close connections.
	Server *httptest.Server

	arrived chan Request  // each request once; so large that no test fills it, for nobody need read it
	gone    chan struct{} // one for each caller that went away from a held answer; as large

	mu       sync.Mutex // guards what follows
	requests []Request
	script   []Answer // what is left of it; the last answer stays
}

// maxUnread bounds the requests that a test leaves unread. One more is never answered.
const maxUnread = 1 << 14

// NewRecorder starts a Recorder that gives the answers in turn, and the last of them from then on. Without any it
// answers 200 with an empty body.
func NewRecorder(tb testing.TB, script ...Answer) *Recorder {
	return start(tb, (*httptest.Server).Start, script)
}

// NewTLSRecorder is NewRecorder over TLS, with the certificate of Server.Certificate.
func NewTLSRecorder(tb testing.TB, script ...Answer) *Recorder {
	return start(tb, (*httptest.Server).StartTLS, script)
}

// start runs a recorder until the test ends. Connections are closed first: a handler's pool, or a caller that is still
// held, would otherwise keep the server from closing.
func start(tb testing.TB, begin func(*httptest.Server), script []Answer) *Recorder {
	tb.Helper()
	if len(script) == 0 {
		script = []Answer{{}}
	}
	r := &Recorder{
		arrived: make(chan Request, maxUnread),
		gone:    make(chan struct{}, maxUnread),
		script:  script,
	}
	r.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.serve(tb, w, req)
	}))
	// What a connection dies of is for the test to judge, not for its output.
	r.Server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	begin(r.Server)
	r.URL = r.Server.URL
	tb.Cleanup(func() {
		r.Server.CloseClientConnections()
		r.Server.Close()
	})
	return r
}

// Requests returns what has been received so far, in order of arrival.
func (r *Recorder) Requests() []Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Request(nil), r.requests...)
}

// Next waits for a request that no earlier Next has returned, and fails the test when none comes within Bound.
func (r *Recorder) Next(tb testing.TB) Request {
	tb.Helper()
	select {
	case req := <-r.arrived:
		return req
	case <-time.After(Bound):
		tb.Fatal("no request arrived at the recorder")
		return Request{}
	}
}

// AwaitAbort waits until a caller has gone away from an answer that was kept back.
func (r *Recorder) AwaitAbort(tb testing.TB) {
	tb.Helper()
	select {
	case <-r.gone:
	case <-time.After(Bound):
		tb.Fatal("no caller went away")
	}
}

// serve is the whole of one exchange: read, record, then answer as the script says. A body that breaks off is not
// recorded.
func (r *Recorder) serve(tb testing.TB, w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		tb.Logf("recorder: body of %s %s: %v", req.Method, req.URL.Path, err)
		return
	}
	answer := r.record(Request{
		Method: req.Method, Path: req.URL.RequestURI(), Host: req.Host, Header: req.Header.Clone(), Body: body,
		RemoteAddr: req.RemoteAddr,
	})
	if !r.hold(req.Context(), answer.Hold) {
		return
	}
	for name, value := range answer.Header {
		w.Header().Set(name, value)
	}
	w.WriteHeader(max(answer.Status, http.StatusOK)) // zero means 200
	half := len(answer.Body)
	if answer.HoldBody != nil {
		half /= 2
	}
	_, _ = w.Write(answer.Body[:half]) // a caller that has gone away is for the test to judge
	if answer.HoldBody != nil {
		_ = http.NewResponseController(w).Flush()
		if !r.hold(req.Context(), answer.HoldBody) {
			return
		}
		_, _ = w.Write(answer.Body[half:])
	}
}

// record takes down a request and returns the answer that is its turn.
func (r *Recorder) record(req Request) Answer {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests = append(r.requests, req)
	r.arrived <- req // never full: maxUnread
	answer := r.script[0]
	if len(r.script) > 1 {
		r.script = r.script[1:]
	}
	return answer
}

// hold waits for the gate, and says whether the caller is still there.
func (r *Recorder) hold(ctx context.Context, gate <-chan struct{}) bool {
	if gate == nil {
		return true
	}
	select {
	case <-gate:
		return true
	case <-ctx.Done():
		r.gone <- struct{}{}
		return false
	}
}
