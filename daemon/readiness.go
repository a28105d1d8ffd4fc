package daemon

import (
	"maps"
	"sync"

	"github.com/hooktroupe/hooktroupe/http/status"
)

// state is where the daemon stands in its own life.
type state int

const (
	stateStarting state = iota
	stateReady
	stateDraining
	stateFailed
)

// readiness is what /readyz says.
type readiness struct {
	mu      sync.Mutex // guards what follows
	state   state
	reason  string
	details map[string]any
	config  map[string]any // how the configuration stands; nil until it was read anew
}

func newReadiness() *readiness {
	return &readiness{state: stateStarting, reason: "starting", details: map[string]any{}}
}

// set moves on to another state. A failure is never taken back.
func (r *readiness) set(s state, reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.state != stateFailed {
		r.state, r.reason, r.details = s, reason, nil
	}
}

// explain adds details to the present state; the map must not be changed afterwards.
func (r *readiness) explain(reason string, details map[string]any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reason, r.details = reason, details
}

// configured notes how the configuration stands; the map must not be changed afterwards. Who asks may be anybody, so it
// holds nothing of the file but the names of keys.
func (r *readiness) configured(details map[string]any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.config = details
}

func (r *readiness) failed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state == stateFailed
}

// report is status.Health.Ready.
func (r *readiness) report() status.Readiness {
	r.mu.Lock()
	defer r.mu.Unlock()
	details := r.details
	if r.config != nil {
		details = maps.Clone(details)
		if details == nil {
			details = make(map[string]any)
		}
		details["config"] = r.config
	}
	return status.Readiness{Ready: r.state == stateReady, Reason: r.reason, Details: details}
}
