package forward

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/hooktroupe/hooktroupe/handler"
	"github.com/hooktroupe/hooktroupe/internal/clock"
	"github.com/hooktroupe/hooktroupe/internal/tracing"
)

// Handler forwards to one sink. It is safe for use by several goroutines.
type Handler struct {
	target    *url.URL
	host      string // what errors call the sink
	timeout   time.Duration
	timedOut  error               // the cause when timeout ends an exchange
	static    []handler.Header    // the operator's, canonical
	pass      map[string]struct{} // canonical; nil for all
	userAgent string
	keys      []SigningKey
	signer    Signer // nil for none
	maxBody   int
	discard   []int // statuses
	transport *http.Transport

	clock    clock.Clock
	resolver *net.Resolver
}

// Option changes how a Handler meets its surroundings; none is for the operator.
type Option func(*Handler)

// WithVersion sets the version in the User-Agent. Without it there is none.
func WithVersion(version string) Option {
	return func(h *Handler) { h.userAgent = "Hooktroupe/" + version }
}

// WithSigner has every request signed as another sender would, for a sink that verifies that sender's signatures itself.
func WithSigner(s Signer) Option { return func(h *Handler) { h.signer = s } }

// WithClock sets what tells the time to signatures and to Retry-After dates. The default is the clock of the machine.
func WithClock(c clock.Clock) Option { return func(h *Handler) { h.clock = c } }

// WithResolver sets what resolves the host of the URL. The default is that of the machine.
func WithResolver(r *net.Resolver) Option { return func(h *Handler) { h.resolver = r } }

// New makes a Handler from its configuration, and reads the files that it names. It does not dial. Every error names the
// key at fault and quotes no value that may be secret.
func New(cfg Config, options ...Option) (*Handler, error) {
	cfg = cfg.WithDefaults()
	target, err := cfg.validate()
	if err != nil {
		return nil, err
	}
	dial, err := newGuard(target, cfg.Allow)
	if err != nil {
		return nil, err
	}
	h := &Handler{
		target:    target,
		host:      target.Host,
		timeout:   cfg.Timeout,
		timedOut:  fmt.Errorf("no complete answer within %s: %w", cfg.Timeout, context.DeadlineExceeded),
		userAgent: "Hooktroupe",
		keys:      cfg.SigningKeys,
		maxBody:   cfg.MaxResponseBytes,
		discard:   slices.Clone(cfg.DiscardStatuses),
		clock:     clock.Real{},
	}
	for name, value := range cfg.Headers {
		h.static = append(h.static, handler.Header{Name: canonical(name), Value: value})
	}
	if len(cfg.PassHeaders) > 0 {
		h.pass = make(map[string]struct{}, len(cfg.PassHeaders))
		for _, name := range cfg.PassHeaders {
			h.pass[canonical(name)] = struct{}{}
		}
	}
	for _, option := range options {
		option(h)
	}
	if h.transport, err = newTransport(cfg, dial, h.resolver); err != nil {
		return nil, err
	}
	return h, nil
}

// Close closes the idle connections. Exchanges under way go on, and a later Handle dials anew.
func (h *Handler) Close() { h.transport.CloseIdleConnections() }

// Handle makes one exchange with the sink; the package comment says which answer is which outcome. When ctx ends, the
// connection is closed and the error wraps the cause of that end. No error names more of the URL than its host.
func (h *Handler) Handle(ctx context.Context, t *handler.Task) ([]byte, error) {
	ctx, ended := tracing.Call(ctx, h.host)
	code := 0
	defer func() { ended(code) }()
	header, err := h.header(ctx, t)
	if err != nil {
		return nil, handler.Discard(err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, h.timeout, h.timedOut)
	defer cancel()
	// The transport rather than a client: it follows no redirect, keeps no cookie, and names no URL in its errors.
	resp, err := h.transport.RoundTrip(h.request(ctx, header, t.Body))
	if err != nil {
		return nil, h.failure(ctx, err)
	}
	code = resp.StatusCode
	defer func() { _ = resp.Body.Close() }() // nothing is written, so nothing can be lost
	// A refusal stands however much of its body arrives. A 2xx that breaks off was perhaps never meant: servers send the
	// status before the work is done.
	body, err := h.read(resp)
	if resp.StatusCode/100 != 2 {
		return nil, h.refusal(resp, body)
	}
	if err != nil {
		return nil, h.failure(ctx, err)
	}
	return body, nil
}

// request puts a request together without parsing the URL again. GetBody lets the transport start over on a fresh
// connection when a kept-alive one turns out closed before a byte of the request was written.
func (h *Handler) request(ctx context.Context, header http.Header, body []byte) *http.Request {
	req := &http.Request{
		Method:     http.MethodPost,
		URL:        h.target,
		Host:       h.host,
		Proto:      "HTTP/1.1",
		ProtoMajor: 1,
		ProtoMinor: 1,
		Header:     header,
		Body:       http.NoBody,
	}
	if len(body) > 0 {
		req.ContentLength = int64(len(body))
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
		req.Body, _ = req.GetBody()
	}
	return req.WithContext(ctx)
}

// read returns the start of the answer's body. It asks for one byte more than it keeps: an answer that ends within the
// bound is thereby read to its end, and its connection can be used again.
func (h *Handler) read(resp *http.Response) ([]byte, error) {
	if resp.ContentLength == 0 {
		return nil, nil
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, int64(h.maxBody)+1))
	return body[:min(len(body), h.maxBody)], err
}

// failure is the error of an exchange that came to no complete answer. Where the context ended it, that is the reason,
// whatever the connection says it died of.
func (h *Handler) failure(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return fmt.Errorf("forward to %s: %w", h.host, err)
}
