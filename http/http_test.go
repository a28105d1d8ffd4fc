package http_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	nethttp "net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"

	"github.com/hooktroupe/hooktroupe/http"
	"github.com/hooktroupe/hooktroupe/http/audit"
	"github.com/hooktroupe/hooktroupe/http/ingress"
	"github.com/hooktroupe/hooktroupe/http/status"
	"github.com/hooktroupe/hooktroupe/internal/clock"
	"github.com/hooktroupe/hooktroupe/messages"
	"github.com/hooktroupe/hooktroupe/metrics"
	"github.com/hooktroupe/hooktroupe/source"
)

// tokenSource takes requests whose X-Token, in the header block, is good. Its event type is in the path of no request:
// every delivery is a push. A body of "panic" makes it panic.
type tokenSource struct{}

func (tokenSource) Verify(req *source.Request, _ time.Time) error {
	if req.Header.Get("X-Token") != "good" {
		return &source.Refusal{Reason: source.ReasonMissing, Detail: "no X-Token"}
	}
	return nil
}

func (tokenSource) Parse(req *source.Request) (source.Delivery, error) {
	if string(req.Body) == "panic" {
		panic("a source that panics")
	}
	return source.Delivery{EventType: "push", DeliveryID: "1"}, nil
}

// daemon is a Server with everything behind it made up.
type daemon struct {
	*http.Server
	metrics *metrics.Set
	clock   *clock.Fake
	log     *logtest.Hook
	trail   *audit.Trail
	// taken gets every delivery; an Accept waits until somebody receives it.
	taken chan *messages.Delivery
}

func (d *daemon) Accept(ctx context.Context, m *messages.Delivery) (
	*messages.DeliveryAccepted, *messages.DeliveryRefused, error,
) {
	select {
	case d.taken <- m:
		return &messages.DeliveryAccepted{WebhookId: "id-1", Status: messages.Status_STATUS_QUEUED}, nil, nil
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
}

// noTasks is a daemon that never took a delivery.
type noTasks struct{}

func (noTasks) Get(context.Context, string) (*messages.Task, error) { return nil, nil }
func (noTasks) Delivery(context.Context, string) (*messages.Task, *messages.Delivery, error) {
	return nil, nil, nil
}
func (noTasks) List(context.Context, status.Query) ([]*messages.Task, string, error) {
	return nil, "", nil
}
func (noTasks) Counts(context.Context) (*messages.GetCountsReply, error) {
	return &messages.GetCountsReply{}, nil
}
func (noTasks) Cancel(context.Context, string, string) (*messages.Task, *messages.TaskRefused, error) {
	return nil, &messages.TaskRefused{NotFound: true}, nil
}
func (noTasks) Retry(context.Context, string) (*messages.Task, *messages.TaskRefused, error) {
	return nil, &messages.TaskRefused{NotFound: true}, nil
}

// newDaemon builds a daemon that was not started. Up to 16 deliveries are taken without anybody receiving them. Without
// entries it has the source shop.
func newDaemon(t *testing.T, cfg http.Config, entries ...ingress.Entry) *daemon {
	t.Helper()
	if cfg.Listen == "" {
		cfg.Listen = "127.0.0.1:0"
	}
	log, hook := logtest.NewNullLogger()
	log.SetLevel(logrus.DebugLevel)
	if len(entries) == 0 {
		entries = []ingress.Entry{{Name: "shop", Source: tokenSource{}, Aliases: []string{"/hook"}}}
	}
	d := &daemon{
		log:     hook,
		metrics: metrics.New(),
		clock:   clock.NewFake(time.Unix(1_700_000_000, 0)),
		taken:   make(chan *messages.Delivery, 16),
	}
	in := ingress.New(cfg.Ingress(), ingress.Dependencies{
		Acceptor: d, Router: func(*messages.Delivery) bool { return true }, Clock: d.clock, Metrics: d.metrics, Log: log,
	})
	table, err := ingress.NewTable(cfg.Ingress(), entries)
	if err != nil {
		t.Fatal(err)
	}
	in.SetTable(table)
	d.trail = audit.New(log)
	d.Server, err = http.New(cfg, http.Dependencies{
		Ingress: in, Audit: d.trail,
		Status: status.New(status.Dependencies{
			Audit:  d.trail,
			Tasks:  noTasks{},
			Health: status.Health{Ready: func() status.Readiness { return status.Readiness{Ready: true} }},
			Clock:  d.clock, Metrics: d.metrics, Log: log,
		}),
		Metrics: d.metrics, Clock: d.clock, Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// start starts a daemon that is stopped at the end of the test.
func start(t *testing.T, cfg http.Config, entries ...ingress.Entry) *daemon {
	t.Helper()
	d := newDaemon(t, cfg, entries...)
	if err := d.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // whoever is still connected is cut off
		_ = d.Shutdown(ctx)
	})
	return d
}

// wire is one raw connection.
type wire struct {
	t    *testing.T
	conn net.Conn
	*bufio.Reader
}

func dial(t *testing.T, addr net.Addr) *wire {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return &wire{t: t, conn: conn, Reader: bufio.NewReader(conn)}
}

// send writes text with every line end as CRLF already in it.
func (w *wire) send(text string) *wire {
	w.t.Helper()
	if _, err := io.WriteString(w.conn, text); err != nil {
		w.t.Fatalf("write: %v", err)
	}
	return w
}

// receive reads one response with its body.
func (w *wire) receive() (*nethttp.Response, string) {
	w.t.Helper()
	resp, err := nethttp.ReadResponse(w.Reader, nil)
	if err != nil {
		w.t.Fatalf("no response: %v", err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatalf("body: %v", err)
	}
	return resp, string(body)
}

// closed says whether the other end closes now, with nothing more to read.
func (w *wire) closed() bool {
	_, err := w.ReadByte()
	return errors.Is(err, io.EOF) || err != nil && strings.Contains(err.Error(), "reset")
}

// get makes a request without a body.
func get(target, headers string) string {
	return fmt.Sprintf("GET %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n", target, headers)
}

// post makes a delivery with a good token.
func post(body string) string {
	return fmt.Sprintf("POST /webhooks/shop HTTP/1.1\r\nHost: localhost\r\nX-Token: good\r\n"+
		"Content-Length: %d\r\n\r\n%s", len(body), body)
}

func TestOneListenerServesAll(t *testing.T) {
	d := start(t, http.Config{})
	w := dial(t, d.Addr())
	for _, c := range []struct {
		request string
		want    int
	}{
		{post("{}"), 202},
		{strings.Replace(post("{}"), "/webhooks/shop", "/hook", 1), 202},
		{get("/healthz", ""), 200},
		{get("/readyz", ""), 200},
		{get("/metrics", ""), 200},
		{get("/api/openapi.yaml", ""), 200},
		{get("/api/v1/webhook_status/none", ""), 404},
		{get("/api/v2/anything", ""), 404},
		{get("/", ""), 404},
	} {
		resp, body := w.send(c.request).receive()
		if resp.StatusCode != c.want {
			t.Errorf("%q: %d %s, want %d", c.request, resp.StatusCode, body, c.want)
		}
		if resp.Header.Get("Server") != "" || resp.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%q: headers %v", c.request, resp.Header)
		}
	}
	if d.AdminAddr().String() != d.Addr().String() {
		t.Errorf("one listener has two addresses, %s and %s", d.Addr(), d.AdminAddr())
	}
}

func TestTwoListenersShareTheWork(t *testing.T) {
	d := start(t, http.Config{AdminListen: "127.0.0.1:0"})
	in, admin := dial(t, d.Addr()), dial(t, d.AdminAddr())
	for _, c := range []struct {
		w       *wire
		request string
		want    int
	}{
		{in, post("{}"), 202}, {in, get("/healthz", ""), 200},
		{in, get("/metrics", ""), 404}, {in, get("/api/openapi.yaml", ""), 404},
		{admin, get("/metrics", ""), 200}, {admin, get("/api/openapi.yaml", ""), 200},
		{admin, get("/readyz", ""), 200}, {admin, post("{}"), 404},
	} {
		if resp, _ := c.w.send(c.request).receive(); resp.StatusCode != c.want {
			t.Errorf("%q: %d, want %d", c.request, resp.StatusCode, c.want)
		}
	}
}

func TestAPanicEndsTheRequestOnly(t *testing.T) {
	d := start(t, http.Config{})
	resp, body := dial(t, d.Addr()).send(post("panic")).receive()
	if resp.StatusCode != 500 || !strings.Contains(body, "urn:hooktroupe:problem:internal") {
		t.Errorf("got %d %s", resp.StatusCode, body)
	}
	if !resp.Close || strings.Contains(body, "a source that panics") {
		t.Errorf("the connection stays open, or the panic is told: %s", body)
	}
	resp, body = dial(t, d.Addr()).send(get("/metrics", "")).receive()
	if resp.StatusCode != 200 || !strings.Contains(body, "hooktroupe_ingress_panics_total 1\n") ||
		!strings.Contains(body, "hooktroupe_ingress_inflight_requests 0\n") {
		t.Errorf("after a panic: %d %s", resp.StatusCode, body)
	}
}

func TestStartAndShutdownInAnyOrder(t *testing.T) {
	ctx := t.Context()
	d := newDaemon(t, http.Config{})
	if d.Addr() != nil {
		t.Error("an address before Start")
	}
	for range 2 {
		if err := d.Start(ctx); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := d.Shutdown(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Start(ctx); !errors.Is(err, http.ErrStopped) {
		t.Errorf("Start after Shutdown: %v, want ErrStopped", err)
	}
	never := newDaemon(t, http.Config{})
	if err := never.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if err := never.Start(ctx); !errors.Is(err, http.ErrStopped) {
		t.Errorf("Start after Shutdown: %v, want ErrStopped", err)
	}
}

func TestStartLeavesNothingOpenAfterAnError(t *testing.T) {
	taken := start(t, http.Config{})
	d := newDaemon(t, http.Config{AdminListen: taken.Addr().String()})
	if err := d.Start(t.Context()); err == nil {
		t.Fatal("two servers on one address")
	}
	if d.Addr() != nil {
		t.Errorf("still listening on %s", d.Addr())
	}
}

func TestDrainTakesDeliveriesUntilTheDelayIsOver(t *testing.T) {
	d := start(t, http.Config{DrainDelay: time.Minute})
	w := dial(t, d.Addr())
	if resp, _ := w.send(get("/readyz", "")).receive(); resp.StatusCode != 200 || resp.Close {
		t.Fatalf("before the drain: %d, close %v", resp.StatusCode, resp.Close)
	}
	addr := d.Addr()
	done := make(chan error, 1)
	go func() { done <- d.Shutdown(context.Background()) }()
	for d.clock.Pending() == 0 { // the delay is the only timer there is
		select {
		case err := <-done:
			t.Fatalf("Shutdown did not wait: %v", err)
		default:
			runtime.Gosched()
		}
	}
	if resp, body := w.send(get("/readyz", "")).receive(); resp.StatusCode != 503 || !resp.Close ||
		!strings.Contains(body, `"reason":"draining"`) {
		t.Errorf("draining: %d, close %v, %s", resp.StatusCode, resp.Close, body)
	}
	if resp, _ := dial(t, addr).send(post("{}")).receive(); resp.StatusCode != 202 || !resp.Close {
		t.Errorf("a delivery during the delay: %d, close %v", resp.StatusCode, resp.Close)
	}
	d.clock.Advance(time.Minute)
	if err := <-done; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", addr.String()); err == nil {
		_ = conn.Close()
		t.Error("still listening after Shutdown")
	}
}

func TestShutdownWaitsForRequestsInFlight(t *testing.T) {
	d := newDaemon(t, http.Config{})
	d.taken = make(chan *messages.Delivery) // every Accept waits for the test
	if err := d.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	w := dial(t, d.Addr()).send(post("{}"))
	d.awaitInflight(t)
	done := make(chan error, 1)
	go func() { done <- d.Shutdown(context.Background()) }()
	<-d.taken
	if resp, _ := w.receive(); resp.StatusCode != 202 {
		t.Errorf("the request in flight got %d", resp.StatusCode)
	}
	if err := <-done; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

func TestShutdownCutsOffWhoDoesNotEnd(t *testing.T) {
	d := newDaemon(t, http.Config{})
	if err := d.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	w := dial(t, d.Addr()).send("POST /webhooks/shop HTTP/1.1\r\nHost: x\r\nX-Token: good\r\nContent-Length: 9000\r\n\r\n")
	w.send(strings.Repeat("x", 8999))
	d.awaitInflight(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := d.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown: %v, want the context's error", err)
	}
	if !w.closed() {
		t.Error("the connection is still open")
	}
}

// awaitInflight returns once one request is in flight, which only the gauge tells.
func (d *daemon) awaitInflight(t *testing.T) {
	t.Helper()
	for !strings.Contains(scrape(t, d), "hooktroupe_ingress_inflight_requests 1\n") {
		runtime.Gosched()
	}
}

// scrape reads the metrics without the network.
func scrape(t *testing.T, d *daemon) string {
	t.Helper()
	var text strings.Builder
	if err := d.metrics.Write(&text); err != nil {
		t.Fatal(err)
	}
	return text.String()
}
