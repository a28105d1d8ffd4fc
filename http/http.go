// Package http is the daemon's outside face: listeners with bounds, the choice between deliveries and the status API,
// who may use the latter, and a drain in two phases. It knows nothing of sources or tasks; http/ingress and http/status
// do.
//
// The one invariant: what cannot be told apart from the request that follows it is refused, and the connection closed.
package http

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"reflect"
	"sync"
	"sync/atomic"

	"github.com/sirupsen/logrus"
	"github.com/valyala/fasthttp"

	"github.com/hooktroupe/hooktroupe/http/audit"
	"github.com/hooktroupe/hooktroupe/http/auth"
	"github.com/hooktroupe/hooktroupe/http/clientaddr"
	"github.com/hooktroupe/hooktroupe/http/dashboard"
	"github.com/hooktroupe/hooktroupe/http/ingress"
	"github.com/hooktroupe/hooktroupe/http/status"
	"github.com/hooktroupe/hooktroupe/internal/clock"
	"github.com/hooktroupe/hooktroupe/internal/logfield"
	"github.com/hooktroupe/hooktroupe/metrics"
)

// Dependencies are what a Server works with; all are required.
type Dependencies struct {
	// Ingress serves deliveries.
	Ingress *ingress.Ingress
	// Status serves the status API, probes and metrics.
	Status *status.Handler
	// Dashboard serves the operators' page; nil for none.
	Dashboard *dashboard.Handler
	// Audit gets sessions that are opened and closed.
	Audit *audit.Trail
	// Metrics counts what never becomes a request.
	Metrics *metrics.Set
	// Clock times the drain.
	Clock clock.Clock
	// Log gets panics and failures of the listeners.
	Log logrus.FieldLogger
}

// Server is the listeners of one daemon. Start and Shutdown may be called in any order, and more than once.
type Server struct {
	cfg      Config
	deps     Dependencies
	draining atomic.Bool
	access   atomic.Pointer[access]
	sessions *auth.Sessions
	failed   chan error    // one slot for each of the two listeners, so that a failing one never waits
	finished chan struct{} // closed when the first Shutdown is through
	delayed  sync.Once     // DrainDelay has passed

	mu      sync.Mutex // guards what follows
	started bool
	stopped bool
	ports   []*port
}

// port is one listener and what serves it.
type port struct {
	listener *boundedListener
	proxied  bool                // connections of trusted peers begin with the PROXY header
	trusted  clientaddr.Prefixes // of proxies
	secure   *tls.Config         // nil for plain HTTP
	server   *fasthttp.Server
	done     chan struct{} // closed when serving ended
}

// ErrStopped is the error of a Start after Shutdown.
var ErrStopped = errors.New("http: server was shut down")

// New returns a Server that listens nowhere yet. An error is a fault of the configuration.
func New(cfg Config, deps Dependencies) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg.WithDefaults(), deps: deps, failed: make(chan error, 2), finished: make(chan struct{})}
	s.sessions = auth.NewSessions(deps.Clock, rand.Reader)
	return s, s.SetAccess(cfg)
}

// SetAccess lets in from now on whom the tokens, Certificates and AllowedHosts of another configuration say. Wrong guesses
// are not forgotten; where the tokens differ, all sessions end, for a token that is gone may have opened them. An error
// means that nothing has changed: the configuration as a whole is not valid.
func (s *Server) SetAccess(cfg Config) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	keys, err := cfg.keys()
	if err != nil {
		return err
	}
	certificates, err := cfg.certificates()
	if err != nil {
		return err
	}
	before := s.access.Swap(&access{keys: keys, certificates: certificates, hosts: cfg.AllowedHosts})
	if before != nil && !reflect.DeepEqual(before.keys, keys) {
		s.sessions.CloseAll()
	}
	return nil
}

// Start listens and serves until Shutdown. ctx bounds only the opening of the listeners. After an error nothing listens.
func (s *Server) Start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.stopped:
		return ErrStopped
	case s.started:
		return nil
	}
	var secure *tls.Config
	if s.cfg.TLSCert != "" {
		cert, err := loadCertificate(s.cfg.TLSCert, s.cfg.TLSKey, s.deps.Clock, s.deps.Log)
		if err != nil {
			return err
		}
		secure = cert.config()
	}
	resolver, err := s.cfg.resolver()
	if err != nil {
		return err
	}
	g := guard{access: &s.access, sessions: s.sessions, guesses: auth.NewGuesses(s.deps.Clock)}
	split := s.cfg.AdminListen != ""
	wanted := []struct {
		address string
		faces   faces
	}{{s.cfg.Listen, faces{ingress: true, admin: !split}}}
	if split {
		wanted = append(wanted, struct {
			address string
			faces   faces
		}{s.cfg.AdminListen, faces{admin: true}})
	}
	for _, w := range wanted {
		w.faces.deps, w.faces.guard, w.faces.draining, w.faces.clients = s.deps, g, &s.draining, resolver
		encrypted := secure
		if w.faces.admin && secure != nil && s.cfg.ClientCA != "" {
			if encrypted, err = askCertificates(secure, s.cfg.ClientCA); err != nil {
				s.abandon()
				return err
			}
		}
		if err := s.open(ctx, w.address, encrypted, &w.faces); err != nil {
			s.abandon()
			return err
		}
	}
	for _, p := range s.ports {
		go s.serve(p)
	}
	s.started = true
	return nil
}

// open adds a port that listens but does not serve yet.
func (s *Server) open(ctx context.Context, address string, secure *tls.Config, f *faces) error {
	inner, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("http: %w", err)
	}
	bounded := newBoundedListener(inner, s.cfg.MaxConnections, s.cfg.MaxConnectionsPerIP, f.clients.Trusted, secure == nil)
	s.ports = append(s.ports, &port{
		listener: bounded,
		proxied:  f.ingress && f.clients.Scheme == clientaddr.ProxyProtocol,
		trusted:  f.clients.Trusted,
		secure:   secure,
		server:   newServer(s.cfg, f),
		done:     make(chan struct{}),
	})
	return nil
}

// abandon closes listeners that nobody serves.
func (s *Server) abandon() {
	for _, p := range s.ports {
		_ = p.listener.Close()
	}
	s.ports = nil
}

// newServer sets every bound that fasthttp leaves open by default, and keeps it from logging what requests say.
func newServer(cfg Config, f *faces) *fasthttp.Server {
	return &fasthttp.Server{
		Handler:                      f.serve,
		ErrorHandler:                 f.fail,
		ExpectHandler:                f.expect,
		Logger:                       quiet{f.deps.Log},
		Concurrency:                  cfg.MaxConnections + 1, // boundedListener refuses first, and in better words
		ReadBufferSize:               cfg.MaxHeaderBytes,
		ReadTimeout:                  cfg.ReadTimeout,
		WriteTimeout:                 cfg.WriteTimeout,
		IdleTimeout:                  cfg.IdleTimeout,
		MaxRequestBodySize:           streamAhead,
		StreamRequestBody:            true,
		CloseOnShutdown:              true,
		DisablePreParseMultipartForm: true,
		NoDefaultServerHeader:        true,
		NoDefaultContentType:         true,
		SecureErrorLogMessage:        true,
	}
}

// streamAhead is how much of a body fasthttp reads before it calls the handler, in bytes. With streaming it bounds
// nothing else: the ingress has bounds of its own.
const streamAhead = 8 << 10

// serve runs until the listener is closed by Shutdown; what it has in hand then is Shutdown's to wait for.
func (s *Server) serve(p *port) {
	defer close(p.done)
	var listener net.Listener = p.listener
	if p.proxied {
		listener = proxied(listener, p.trusted)
	}
	if p.secure != nil {
		listener = tls.NewListener(listener, p.secure)
	}
	err := p.server.Serve(listener)
	if err != nil {
		s.failed <- fmt.Errorf("http: serving %s: %w", p.listener.Addr(), err)
	}
}

// Failed gives the error of a listener that ended without Shutdown. The daemon should then stop.
func (s *Server) Failed() <-chan error { return s.failed }

// Addr is where deliveries enter, with the real port; nil unless the server runs.
func (s *Server) Addr() net.Addr { return s.addr(0) }

// AdminAddr is where the status API is, with the real port; Addr when one listener serves all, nil unless the server
// runs.
func (s *Server) AdminAddr() net.Addr { return s.addr(1) }

func (s *Server) addr(i int) net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.started || s.stopped {
		return nil
	}
	return s.ports[min(i, len(s.ports)-1)].listener.Addr()
}

// Shutdown drains in two phases. First /readyz says no and every response closes its connection, while deliveries are
// still taken, for DrainDelay. Then the listeners close and requests in flight are waited for. When ctx is done first,
// what is still open is cut off and ctx's error returned. A later call waits for the first, up to its own ctx.
func (s *Server) Shutdown(ctx context.Context) error {
	s.beginDrain()
	s.mu.Lock()
	again, ports := s.stopped, s.ports
	s.stopped = true
	s.mu.Unlock()
	if again {
		select {
		case <-s.finished:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	defer close(s.finished)
	if len(ports) > 0 {
		s.Drain(ctx)
	}
	var faults []error
	for _, p := range ports {
		if err := p.server.ShutdownWithContext(ctx); err != nil {
			faults = append(faults, fmt.Errorf("http: draining %s: %w", p.listener.Addr(), err))
			p.listener.closeAll()
		}
		_ = p.listener.Close() // fasthttp closes it only if it was serving already
		<-p.done
	}
	return errors.Join(faults...)
}

// Drain is the first phase alone, for those who have more to end before the listeners: it returns when DrainDelay has passed, or
// ctx has ended. It may be called more than once; the delay passes once, and not again in Shutdown.
func (s *Server) Drain(ctx context.Context) {
	s.beginDrain()
	s.delayed.Do(func() { s.wait(ctx) })
}

func (s *Server) beginDrain() {
	s.draining.Store(true)
	s.deps.Status.Drain()
}

// wait lets DrainDelay pass, or ctx end.
func (s *Server) wait(ctx context.Context) {
	if s.cfg.DrainDelay <= 0 {
		return
	}
	passed := make(chan struct{})
	timer := s.deps.Clock.AfterFunc(s.cfg.DrainDelay, func() { close(passed) })
	defer timer.Stop()
	select {
	case <-passed:
	case <-ctx.Done():
	}
}

// quiet is fasthttp's log: about connections, not requests, and at debug.
type quiet struct{ log logrus.FieldLogger }

// Printf logs one line.
func (q quiet) Printf(format string, args ...any) {
	q.log.WithField(logfield.Component, "fasthttp").Debugf(format, args...)
}
