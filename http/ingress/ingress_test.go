package ingress_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	nethttp "net/http"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"
	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/fasthttputil"
	"google.golang.org/protobuf/proto"

	"github.com/hooktroupe/hooktroupe/http/ingress"
	"github.com/hooktroupe/hooktroupe/http/problem"
	"github.com/hooktroupe/hooktroupe/internal/clock"
	"github.com/hooktroupe/hooktroupe/messages"
	"github.com/hooktroupe/hooktroupe/metrics"
	"github.com/hooktroupe/hooktroupe/source"
)

// fakeSource takes requests whose X-Token is good, greets OPTIONS, and does what X-Do says.
type fakeSource struct{ seen chan *source.Request }

func (fakeSource) Greet(req *source.Request) (*source.Answer, bool) {
	return &source.Answer{Status: 204, Header: map[string]string{"Webhook-Allowed-Rate": "*"}}, req.Method == "OPTIONS"
}

func (fakeSource) SensitiveHeaders() []string { return []string{"x-token"} }

func (s fakeSource) Verify(req *source.Request, _ time.Time) error {
	if s.seen != nil {
		s.seen <- req
	}
	switch req.Header.Get("X-Token") {
	case "good":
		return nil
	case "":
		return &source.Refusal{Reason: source.ReasonMissing, Detail: "no X-Token\x1b[31m"}
	default:
		return errors.New("no such token")
	}
}

func (fakeSource) Parse(req *source.Request) (source.Delivery, error) {
	switch do := req.Header.Get("X-Do"); do {
	case "malformed":
		return source.Delivery{}, &source.Malformed{Detail: "not JSON"}
	case "ping":
		return source.Delivery{EventType: "ping", Answer: &source.Answer{
			Status: 200, ContentType: "text/plain", Body: []byte("pong"),
		}}, nil
	default:
		return source.Delivery{EventType: "push" + do, DeliveryID: "d-1", Key: "o/r"}, nil
	}
}

// fakeAcceptor answers what it is told to and keeps what it got.
type fakeAcceptor struct {
	accepted *messages.DeliveryAccepted
	refused  *messages.DeliveryRefused
	err      error
	got      []*messages.Delivery
	hold     chan struct{} // when set, Accept waits for it
	entered  chan struct{} // when set, gets one for each Accept that waits
}

func (a *fakeAcceptor) Accept(ctx context.Context, d *messages.Delivery) (
	*messages.DeliveryAccepted, *messages.DeliveryRefused, error,
) {
	if a.hold != nil {
		a.entered <- struct{}{}
		select {
		case <-a.hold:
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
		return a.accepted, a.refused, a.err
	}
	a.got = append(a.got, d)
	return a.accepted, a.refused, a.err
}

// world is an Ingress served in memory.
type world struct {
	*ingress.Ingress
	t        *testing.T
	acceptor *fakeAcceptor
	metrics  *metrics.Set
	clock    *clock.Fake
	log      *logtest.Hook
	client   *nethttp.Client
}

var accepted = &messages.DeliveryAccepted{WebhookId: "0190-a", Status: messages.Status_STATUS_QUEUED}

func newWorld(t *testing.T, cfg ingress.Config, src source.Source) *world {
	t.Helper()
	log, hook := logtest.NewNullLogger()
	log.SetLevel(logrus.DebugLevel)
	w := &world{
		t: t, acceptor: &fakeAcceptor{accepted: accepted}, metrics: metrics.New(), log: hook,
		clock: clock.NewFake(time.Unix(1_700_000_000, 5)),
	}
	w.Ingress = ingress.New(cfg, ingress.Dependencies{
		Acceptor: w.acceptor,
		Router:   func(d *messages.Delivery) bool { return d.GetEventType() != "pushunwanted" },
		Clock:    w.clock, Metrics: w.metrics, Log: log,
	})
	w.setTable(cfg, ingress.Entry{Name: "shop", Source: src, MaxAttempts: 4, Aliases: []string{"/hook"}})
	listener := fasthttputil.NewInmemoryListener()
	server := &fasthttp.Server{
		Handler: w.Handle, ExpectHandler: w.Expect, StreamRequestBody: true, NoDefaultContentType: true,
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	transport := &nethttp.Transport{
		DialContext: func(context.Context, string, string) (net.Conn, error) { return listener.Dial() },
	}
	w.client = &nethttp.Client{Transport: transport}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		_ = listener.Close()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return w
}

func (w *world) setTable(cfg ingress.Config, entries ...ingress.Entry) {
	w.t.Helper()
	table, err := ingress.NewTable(cfg, entries)
	if err != nil {
		w.t.Fatal(err)
	}
	w.SetTable(table)
}

// request is one delivery to be; what is not set is as an honest sender would have it.
type request struct {
	method, path string
	header       []string // name, value …
	body         io.Reader
}

func (w *world) send(r request) (*nethttp.Response, string) {
	w.t.Helper()
	if r.method == "" {
		r.method = "POST"
	}
	if r.path == "" {
		r.path = "/webhooks/shop"
	}
	if r.body == nil {
		r.body = strings.NewReader(`{"a":1}`)
	}
	req, err := nethttp.NewRequestWithContext(w.t.Context(), r.method, "http://localhost"+r.path, r.body)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("X-Token", "good")
	for i := 0; i+1 < len(r.header); i += 2 {
		req.Header.Set(r.header[i], r.header[i+1])
	}
	resp, err := w.client.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return resp, string(body)
}

// count reads a counter.
func count(t *testing.T, c interface{ Write(*dto.Metric) error }) float64 {
	t.Helper()
	var m dto.Metric
	if err := c.Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetCounter().GetValue() + m.GetGauge().GetValue()
}

func TestADeliveryIsHandedOverWhole(t *testing.T) {
	w := newWorld(t, ingress.Config{}, fakeSource{seen: make(chan *source.Request, 1)})
	resp, body := w.send(request{path: "/hook?a=b%20c", header: []string{"X-Kept", " yes ", "Authorization", "secret"}})
	if resp.StatusCode != 202 || resp.Header.Get("Location") != "/api/v1/webhook_status/0190-a" ||
		body != `{"webhook_id":"0190-a","status":"queued","status_url":"/api/v1/webhook_status/0190-a"}` {
		t.Errorf("got %d %v %s", resp.StatusCode, resp.Header, body)
	}
	if len(w.acceptor.got) != 1 {
		t.Fatalf("%d deliveries were handed over", len(w.acceptor.got))
	}
	d := w.acceptor.got[0]
	stored := map[string]string{}
	for _, h := range d.GetHeaders() {
		stored[h.GetName()] = h.GetValue()
	}
	if stored["X-Kept"] != "yes" || stored["X-Token"] != "" || stored["Authorization"] != "" {
		t.Errorf("stored headers: %v", stored)
	}
	d.Headers = nil
	want := &messages.Delivery{
		Source: "shop", EventType: "push", DeliveryId: "d-1", Key: "o/r",
		ReceivedAt: 1_700_000_000*int64(time.Second) + 5, Body: []byte(`{"a":1}`), MaxAttempts: 4,
	}
	if !proto.Equal(d, want) {
		t.Errorf("got  %v\nwant %v", d, want)
	}
	if got := count(t, w.metrics.Ingress.Requests.With("shop", "202")); got != 1 {
		t.Errorf("%v requests counted", got)
	}
}

func TestASourceSeesTheRequest(t *testing.T) {
	seen := make(chan *source.Request, 1)
	w := newWorld(t, ingress.Config{}, fakeSource{seen: seen})
	w.send(request{path: "/hook?a=b%20c", header: []string{"x-some-THING", "v"}})
	req := <-seen
	if req.Method != "POST" || req.Path != "/hook" || req.Query != "a=b%20c" || string(req.Body) != `{"a":1}` {
		t.Errorf("the source sees %s %s ? %s %q", req.Method, req.Path, req.Query, req.Body)
	}
	if got := req.Header.Get("X-Some-Thing"); got != "v" || !req.ReceivedAt.Equal(w.clock.Now()) {
		t.Errorf("the source sees X-Some-Thing %q at %s", got, req.ReceivedAt)
	}
}

func TestAnswersOfTheAcceptor(t *testing.T) {
	refused := func(r messages.Refusal, after uint32) *messages.DeliveryRefused {
		return &messages.DeliveryRefused{Reason: r, RetryAfter: after, Detail: "for a reason"}
	}
	for name, c := range map[string]struct {
		accepted *messages.DeliveryAccepted
		refused  *messages.DeliveryRefused
		err      error
		status   int
		after    string
		contains string
	}{
		"duplicate": {
			accepted: &messages.DeliveryAccepted{WebhookId: "x", Status: messages.Status_STATUS_COMPLETED, Duplicate: true},
			status:   200, contains: `"status":"completed","status_url":"/api/v1/webhook_status/x","duplicate":true}`,
		},
		"redelivered": {
			accepted: &messages.DeliveryAccepted{
				WebhookId: "x", Status: messages.Status_STATUS_QUEUED, Duplicate: true, Redelivered: true,
			},
			status: 202, contains: `"status":"queued","status_url":"/api/v1/webhook_status/x","redelivered":true}`,
		},
		"backlog": {refused: refused(messages.Refusal_REFUSAL_BACKLOG_FULL, 5), status: 503, after: "5", contains: "backlog-full"},
		"budget":  {refused: refused(messages.Refusal_REFUSAL_STORAGE_BUDGET, 9), status: 503, after: "9", contains: "storage-budget"},
		"disk":    {refused: refused(messages.Refusal_REFUSAL_STORAGE_FULL, 9), status: 507, after: "9", contains: "storage-full"},
		"journal": {refused: refused(messages.Refusal_REFUSAL_STORAGE_FAILED, 0), status: 503, contains: "storage-failed"},
		"drain":   {refused: refused(messages.Refusal_REFUSAL_DRAINING, 1), status: 503, after: "1", contains: "draining"},
		"large":   {refused: refused(messages.Refusal_REFUSAL_TOO_LARGE, 0), status: 413, contains: "delivery-too-large"},
		"odd":     {refused: refused(messages.Refusal_REFUSAL_UNSPECIFIED, 0), status: 500, contains: "internal"},
		"silence": {err: context.DeadlineExceeded, status: 503, after: "1", contains: "no-answer"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, ingress.Config{}, fakeSource{})
			w.acceptor.accepted, w.acceptor.refused, w.acceptor.err = c.accepted, c.refused, c.err
			resp, body := w.send(request{})
			if resp.StatusCode != c.status || resp.Header.Get("Retry-After") != c.after || !strings.Contains(body, c.contains) {
				t.Errorf("got %d, Retry-After %q, %s", resp.StatusCode, resp.Header.Get("Retry-After"), body)
			}
			if !json.Valid([]byte(body)) {
				t.Errorf("not JSON: %s", body)
			}
		})
	}
}

// azure is a sender that retries after a few statuses only, and loses events after every other.
type azure struct{ fakeSource }

func (azure) Patience() source.Patience {
	return source.Patience{Failures: 9, Transient: []int{408, 502, 503, 504}}
}

// Whatever keeps the daemon from taking a delivery, such a sender is told what it retries after, and the metrics say what
// it was. What the sender itself did wrong it is told as it is.
func TestTroubleIsToldAsTheSenderBearsIt(t *testing.T) {
	for reason, told := range map[messages.Refusal]string{
		messages.Refusal_REFUSAL_BACKLOG_FULL:   "503 backlog-full 7",
		messages.Refusal_REFUSAL_STORAGE_FULL:   "503 unavailable 7",
		messages.Refusal_REFUSAL_STORAGE_FAILED: "503 storage-failed 7",
		messages.Refusal_REFUSAL_DRAINING:       "503 draining 7",
		messages.Refusal_REFUSAL_UNSPECIFIED:    "503 unavailable 7",
		messages.Refusal_REFUSAL_TOO_LARGE:      "413 delivery-too-large 7",
	} {
		w := newWorld(t, ingress.Config{}, azure{})
		w.acceptor.accepted, w.acceptor.refused = nil, &messages.DeliveryRefused{Reason: reason, RetryAfter: 7, Detail: "d"}
		resp, body := w.send(request{})
		var problem struct {
			Type   string
			Status int
		}
		if err := json.Unmarshal([]byte(body), &problem); err != nil {
			t.Fatal(err)
		}
		slug := strings.TrimPrefix(problem.Type, "urn:hooktroupe:problem:")
		if got := fmt.Sprint(resp.StatusCode, " ", slug, " ", resp.Header.Get("Retry-After")); got != told || problem.Status != resp.StatusCode {
			t.Errorf("%v is told as %s, want %s: %s", reason, got, told, body)
		}
		if reason == messages.Refusal_REFUSAL_STORAGE_FULL {
			if got := count(t, w.metrics.Ingress.Rejected.With("shop", "storage_full")); got != 1 {
				t.Errorf("%v are counted as storage_full", got)
			}
		}
	}
	w := newWorld(t, ingress.Config{}, azure{})
	if resp, body := w.send(request{header: []string{"X-Token", "wrong"}}); resp.StatusCode != 401 {
		t.Errorf("another secret: %d %s", resp.StatusCode, body)
	}
}

// endless is a body of no announced size.
type endless struct{ io.Reader }

func TestRefusalsStoreNothing(t *testing.T) {
	big := bytes.Repeat([]byte("x"), 101)
	for name, c := range map[string]struct {
		request request
		source  string
		reason  string
		kind    problem.Kind
	}{
		"unknown source":   {request{path: "/webhooks/none"}, "unknown", "unknown_source", problem.UnknownSource},
		"no path of ours":  {request{path: "/"}, "unknown", "unknown_source", problem.UnknownSource},
		"below a source":   {request{path: "/webhooks/shop/x"}, "unknown", "unknown_source", problem.UnknownSource},
		"other letters":    {request{path: "/webhooks/Shop"}, "unknown", "unknown_source", problem.UnknownSource},
		"method":           {request{method: "PUT"}, "shop", "method_not_allowed", problem.MethodNotAllowed},
		"get":              {request{method: "GET"}, "shop", "method_not_allowed", problem.MethodNotAllowed},
		"no signature":     {request{header: []string{"X-Token", ""}}, "shop", "missing_signature", problem.BadSignature},
		"wrong signature":  {request{header: []string{"X-Token", "bad"}}, "shop", "bad_signature", problem.BadSignature},
		"malformed":        {request{header: []string{"X-Do", "malformed"}}, "shop", "malformed_delivery", problem.MalformedDelivery},
		"gzip":             {request{header: []string{"Content-Encoding", "gzip"}}, "shop", "encoded_body", problem.EncodedBody},
		"announced as big": {request{body: bytes.NewReader(big)}, "shop", "body_too_large", problem.BodyTooLarge},
		"big in chunks":    {request{body: endless{bytes.NewReader(big)}}, "shop", "body_too_large", problem.BodyTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, ingress.Config{MaxBodyBytes: 100}, fakeSource{})
			resp, body := w.send(c.request)
			if resp.StatusCode != c.kind.Status() || !strings.Contains(body, c.kind.Type()+`"`) ||
				resp.Header.Get("Content-Type") != problem.ContentType {
				t.Errorf("got %d %s", resp.StatusCode, body)
			}
			if c.kind == problem.MethodNotAllowed && resp.Header.Get("Allow") != "POST" {
				t.Errorf("Allow: %q", resp.Header.Get("Allow"))
			}
			if len(w.acceptor.got) != 0 {
				t.Error("the delivery was handed over")
			}
			if got := count(t, w.metrics.Ingress.Rejected.With(c.source, c.reason)); got != 1 {
				t.Errorf("%s is counted %v times", c.reason, got)
			}
			entry := w.log.LastEntry()
			if entry == nil || entry.Level != logrus.WarnLevel || entry.Data["reason"] != c.reason ||
				entry.Data["source"] != c.source || entry.Data["http.response.status_code"] != c.kind.Status() {
				t.Errorf("logged %+v", entry)
			}
			if cause := fmt.Sprint(entry.Data["error"]); strings.ContainsAny(cause, "\x1b\n") {
				t.Errorf("logged %q unescaped", cause)
			}
			for _, gauge := range []interface{ Write(*dto.Metric) error }{
				w.metrics.Ingress.InflightBytes, w.metrics.Ingress.InflightRequests,
			} {
				if got := count(t, gauge); got != 0 {
					t.Errorf("%v is still in flight", got)
				}
			}
		})
	}
}

func TestBodiesUpToTheBoundPass(t *testing.T) {
	const bound = 300_000 // more than one step of memory
	w := newWorld(t, ingress.Config{MaxBodyBytes: bound}, fakeSource{})
	for _, size := range []int{0, 1, 8191, 8192, 8193, 65535, 65536, 65537, 131073, bound - 1, bound} {
		body := bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size]
		for _, reader := range []io.Reader{bytes.NewReader(body), endless{bytes.NewReader(body)}} {
			w.acceptor.got = nil
			resp, answer := w.send(request{body: reader})
			if resp.StatusCode != 202 || len(w.acceptor.got) != 1 {
				t.Fatalf("%d bytes as %T: %d %s", size, reader, resp.StatusCode, answer)
			}
			if !bytes.Equal(w.acceptor.got[0].GetBody(), body) {
				t.Errorf("%d bytes as %T arrive as %d others", size, reader, len(w.acceptor.got[0].GetBody()))
			}
		}
	}
	if got := count(t, w.metrics.Ingress.InflightBytes); got != 0 {
		t.Errorf("%v bytes are still in flight", got)
	}
}

func TestOtherAnswers(t *testing.T) {
	w := newWorld(t, ingress.Config{}, fakeSource{})
	resp, body := w.send(request{header: []string{"X-Do", "ping"}})
	if resp.StatusCode != 200 || body != "pong" || resp.Header.Get("Content-Type") != "text/plain" {
		t.Errorf("ping: %d %s", resp.StatusCode, body)
	}
	resp, _ = w.send(request{method: "OPTIONS", header: []string{"X-Token", ""}})
	if resp.StatusCode != 204 || resp.Header.Get("Webhook-Allowed-Rate") != "*" {
		t.Errorf("handshake: %d %v", resp.StatusCode, resp.Header)
	}
	resp, body = w.send(request{header: []string{"X-Do", "unwanted"}})
	if resp.StatusCode != 200 || body != `{"status":"ignored"}` {
		t.Errorf("unwanted: %d %s", resp.StatusCode, body)
	}
	if got := count(t, w.metrics.Ingress.Ignored.With("shop")); got != 1 {
		t.Errorf("ignored is counted %v times", got)
	}
	if entry := w.log.LastEntry(); entry == nil || entry.Level != logrus.InfoLevel || entry.Data["event"] != "pushunwanted" {
		t.Errorf("logged %+v", entry)
	}
	if len(w.acceptor.got) != 0 {
		t.Error("something was handed over")
	}
}

func TestRequestsBeyondTheBoundAreRefused(t *testing.T) {
	w := newWorld(t, ingress.Config{MaxInflightRequests: 1}, fakeSource{})
	w.acceptor.hold, w.acceptor.entered = make(chan struct{}), make(chan struct{})
	first := make(chan int)
	go func() {
		resp, _ := w.send(request{})
		first <- resp.StatusCode
	}()
	<-w.acceptor.entered
	resp, body := w.send(request{})
	if resp.StatusCode != 503 || resp.Header.Get("Retry-After") != "1" || !strings.Contains(body, "overloaded") {
		t.Errorf("got %d %s", resp.StatusCode, body)
	}
	close(w.acceptor.hold)
	if got := <-first; got != 202 {
		t.Errorf("the first got %d", got)
	}
}

func TestBytesBeyondTheBoundAreRefused(t *testing.T) {
	cfg := ingress.Config{MaxBodyBytes: 1000, MaxInflightBytes: 1000}
	w := newWorld(t, cfg, fakeSource{})
	w.acceptor.hold, w.acceptor.entered = make(chan struct{}), make(chan struct{})
	first := make(chan int)
	go func() {
		resp, _ := w.send(request{body: bytes.NewReader(make([]byte, 900))})
		first <- resp.StatusCode
	}()
	<-w.acceptor.entered
	for _, body := range []io.Reader{bytes.NewReader(make([]byte, 101)), endless{bytes.NewReader(make([]byte, 101))}} {
		if resp, text := w.send(request{body: body}); resp.StatusCode != 503 || !strings.Contains(text, "overloaded") {
			t.Errorf("%T: got %d %s", body, resp.StatusCode, text)
		}
	}
	for size, want := range map[int]int{100: 100, 101: 503} { // before any of it is sent
		ctx := new(fasthttp.RequestCtx)
		ctx.Init(&fasthttp.Request{}, nil, nil)
		readHeader(t, ctx, fmt.Sprintf("POST /webhooks/shop HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", size))
		if got := w.Expect(ctx); got != want {
			t.Errorf("%d bytes are announced: %d, want %d", size, got, want)
		}
	}
	close(w.acceptor.hold)
	if got := <-first; got != 202 {
		t.Errorf("the first got %d", got)
	}
}

func TestWarningsAreBounded(t *testing.T) {
	w := newWorld(t, ingress.Config{WarningsPerSecond: 2}, fakeSource{})
	for range 5 {
		w.send(request{header: []string{"X-Token", "bad"}})
	}
	if got := len(w.log.AllEntries()); got != 2 {
		t.Errorf("%d warnings in one second, want 2", got)
	}
	w.clock.Advance(time.Second)
	w.send(request{header: []string{"X-Token", "bad"}})
	if got := w.log.LastEntry().Data["suppressed"]; got != int64(3) {
		t.Errorf("%v were suppressed, want 3", got)
	}
	if got := count(t, w.metrics.Ingress.Rejected.With("shop", "bad_signature")); got != 6 {
		t.Errorf("%v counted, want 6", got)
	}
}

func TestSetTableTakesTheNextRequest(t *testing.T) {
	w := newWorld(t, ingress.Config{}, fakeSource{})
	w.setTable(ingress.Config{}, ingress.Entry{Name: "other", Source: fakeSource{}, MaxBodyBytes: 10})
	for path, want := range map[string]int{"/webhooks/shop": 404, "/hook": 404, "/webhooks/other": 202} {
		if resp, _ := w.send(request{path: path}); resp.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, resp.StatusCode, want)
		}
	}
	if resp, _ := w.send(request{path: "/webhooks/other", body: strings.NewReader("12345678901")}); resp.StatusCode != 413 {
		t.Errorf("beyond the source's own bound: %d", resp.StatusCode)
	}
}

func TestStoredHeadersAreBounded(t *testing.T) {
	w := newWorld(t, ingress.Config{MaxStoredHeaderBytes: 64}, fakeSource{})
	w.send(request{header: []string{"X-Large", strings.Repeat("x", 64)}})
	total := 0
	for _, h := range w.acceptor.got[0].GetHeaders() {
		total += len(h.GetName()) + len(h.GetValue())
	}
	if total == 0 || total > 64 {
		t.Errorf("%d bytes of headers are stored", total)
	}
}

func TestNewTableNamesEveryFault(t *testing.T) {
	src := fakeSource{}
	for name, c := range map[string]struct {
		entries []ingress.Entry
		want    string
	}{
		"no name":        {[]ingress.Entry{{Source: src}}, `source ""`},
		"slash":          {[]ingress.Entry{{Name: "a/b", Source: src}}, `source "a/b"`},
		"reserved":       {[]ingress.Entry{{Name: "unknown", Source: src}}, "reserved"},
		"long":           {[]ingress.Entry{{Name: strings.Repeat("a", 65), Source: src}}, "64"},
		"no source":      {[]ingress.Entry{{Name: "a"}}, "no source"},
		"twice":          {[]ingress.Entry{{Name: "a", Source: src}, {Name: "a", Source: src}}, "already"},
		"alias twice":    {[]ingress.Entry{{Name: "a", Source: src, Aliases: []string{"/x", "/x"}}}, "already"},
		"alias of api":   {[]ingress.Entry{{Name: "a", Source: src, Aliases: []string{"/api/v1"}}}, "reserved"},
		"alias of other": {[]ingress.Entry{{Name: "a", Source: src, Aliases: []string{"/webhooks/b"}}}, "reserved"},
		"no path":        {[]ingress.Entry{{Name: "a", Source: src, Aliases: []string{"x"}}}, "plain path"},
		"query":          {[]ingress.Entry{{Name: "a", Source: src, Aliases: []string{"/x?y"}}}, "plain path"},
		"below zero":     {[]ingress.Entry{{Name: "a", Source: src, MaxBodyBytes: -1}}, "max_body_bytes"},
		"beyond bounds":  {[]ingress.Entry{{Name: "a", Source: src, MaxBodyBytes: ingress.LargestBody + 1}}, "max_body_bytes"},
	} {
		if _, err := ingress.NewTable(ingress.Config{}, c.entries); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want it to say %s", name, err, c.want)
		}
	}
	_, err := ingress.NewTable(ingress.Config{}, []ingress.Entry{{Name: "one"}, {Name: "two"}})
	if err == nil || !strings.Contains(err.Error(), "one") || !strings.Contains(err.Error(), "two") {
		t.Errorf("two faults are reported as %v", err)
	}
}

func TestConfig(t *testing.T) {
	defaults := ingress.Config{}.WithDefaults()
	if err := defaults.Validate(); err != nil {
		t.Errorf("the defaults are at fault: %v", err)
	}
	if !reflect.DeepEqual(defaults.WithDefaults(), defaults) {
		t.Error("defaults of the defaults differ")
	}
	for key, change := range map[string]func(*ingress.Config){
		"max_body_bytes":          func(c *ingress.Config) { c.MaxBodyBytes = ingress.LargestBody + 1 },
		"max_inflight_requests":   func(c *ingress.Config) { c.MaxInflightRequests = -1 },
		"max_inflight_bytes":      func(c *ingress.Config) { c.MaxInflightBytes = 1 },
		"max_stored_header_bytes": func(c *ingress.Config) { c.MaxStoredHeaderBytes = -1 },
		"answer_timeout":          func(c *ingress.Config) { c.AnswerTimeout = -1 },
		"warnings_per_second":     func(c *ingress.Config) { c.WarningsPerSecond = -1 },
	} {
		cfg := defaults
		change(&cfg)
		if err := cfg.Validate(); err == nil || !strings.HasPrefix(err.Error(), key) {
			t.Errorf("%s: %v", key, err)
		}
	}
}

func TestEveryCodeIsCountedAsItIs(t *testing.T) {
	w := newWorld(t, ingress.Config{}, fakeSource{})
	for _, r := range []request{{}, {header: []string{"X-Do", "ping"}}, {method: "PUT"}, {header: []string{"X-Token", ""}}} {
		resp, _ := w.send(r)
		if got := count(t, w.metrics.Ingress.Requests.With("shop", strconv.Itoa(resp.StatusCode))); got != 1 {
			t.Errorf("%d is counted %v times", resp.StatusCode, got)
		}
	}
}
