package daemontest

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// Sink is an HTTP server that the forward handler sends to. It remembers what it got, by task.
type Sink struct {
	*httptest.Server

	mu      sync.Mutex // guards what follows
	bodies  map[string][][]byte
	headers map[string]http.Header
	respond func(taskID string, nth int) int
}

// NewSink starts a sink that answers 200.
func NewSink(t testing.TB) *Sink {
	s := &Sink{bodies: make(map[string][][]byte), headers: make(map[string]http.Header)}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.Close)
	return s
}

// Respond sets what decides about the status of each answer: by the task's ID and by how many requests it has made,
// this one included.
func (s *Sink) Respond(respond func(taskID string, nth int) int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.respond = respond
}

func (s *Sink) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the daemon was killed while it sent
	}
	id := r.Header.Get("X-Hooktroupe-Task-Id")
	s.mu.Lock()
	s.bodies[id] = append(s.bodies[id], body)
	s.headers[id] = r.Header
	status := http.StatusOK
	if s.respond != nil {
		status = s.respond(id, len(s.bodies[id]))
	}
	s.mu.Unlock()
	w.WriteHeader(status)
}

// Got says how often a task arrived, and whether each time with that body.
func (s *Sink) Got(taskID string, body []byte) (times int, same bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	same = true
	for _, b := range s.bodies[taskID] {
		same = same && bytes.Equal(b, body)
	}
	return len(s.bodies[taskID]), same
}

// Header returns the header block of the task's last request.
func (s *Sink) Header(taskID string) http.Header {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.headers[taskID]
}

// Tasks says how many tasks arrived.
func (s *Sink) Tasks() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.bodies)
}
