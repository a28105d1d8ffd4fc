//go:build linux

package target

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strconv"
	"time"
)

// later is the Retry-After of a Sink.
const later = time.Hour

// Sink is where daemons forward what is to wait: it asks to be tried again in an hour, or never answers.
type Sink struct {
	listener net.Listener
	server   *http.Server
	served   chan error // the one end of Serve
}

// OpenSink listens on loopback until Close.
func OpenSink() (*Sink, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	mux := http.NewServeMux()
	mux.HandleFunc("/later", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", strconv.Itoa(int(later.Seconds())))
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	mux.HandleFunc("/never", func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done(): // the daemon is gone
		case <-ctx.Done():
		}
	})
	s := &Sink{
		listener: listener, served: make(chan error, 1),
		server: &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute},
	}
	s.server.RegisterOnShutdown(cancel)
	go func() { s.served <- s.server.Serve(listener) }() // ends with Close
	return s, nil
}

// Address is its host:port.
func (s *Sink) Address() string { return s.listener.Addr().String() }

// Close ends it and everything that waits for it.
func (s *Sink) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), startPatience)
	defer cancel()
	err := s.server.Shutdown(ctx)
	if served := <-s.served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}
