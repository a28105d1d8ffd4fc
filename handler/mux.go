package handler

import (
	"fmt"
	"strings"
	"time"
)

// Any matches every source, or every event type.
const Any = "*"

// Binding is a handler with the terms on which it is called.
type Binding struct {
	// Name is how logs, metrics and the status API call it; never empty.
	Name string
	// Handler does the work.
	Handler Handler
	// Timeout bounds one attempt. Zero means the daemon's default.
	Timeout time.Duration
	// MaxAttempts bounds automatic attempts. Zero means the daemon's default.
	MaxAttempts int
}

// Mux finds the handler of a delivery. It is filled before it is used and read-only from then on.
type Mux struct {
	bindings map[[2]string]Binding
}

// NewMux returns an empty Mux.
func NewMux() *Mux { return &Mux{bindings: make(map[[2]string]Binding)} }

// Register binds a handler to a source and an event type, either of which may be Any. Binding the same pair twice, and a
// Binding without name or handler, is an error.
func (m *Mux) Register(source, eventType string, b Binding) error {
	switch {
	case source == "" || eventType == "":
		return fmt.Errorf("handler %q: empty source or event type (use %q for any)", b.Name, Any)
	case b.Name == "" || b.Handler == nil:
		return fmt.Errorf("handler for (%s, %s): a binding needs a name and a handler", source, eventType)
	case b.Timeout < 0 || b.MaxAttempts < 0:
		return fmt.Errorf("handler %q: negative timeout or attempts", b.Name)
	}
	pair := [2]string{source, eventType}
	if other, taken := m.bindings[pair]; taken {
		return fmt.Errorf("handler %q: (%s, %s) is already bound to %q", b.Name, source, eventType, other.Name)
	}
	m.bindings[pair] = b
	return nil
}

// Lookup finds the binding for a source and an event type: the exact pair, then the event without its action
// (pull_request for pull_request.opened), then (source, Any), then (Any, Any).
func (m *Mux) Lookup(source, eventType string) (Binding, bool) {
	if b, ok := m.bindings[[2]string{source, eventType}]; ok {
		return b, true
	}
	if i := strings.LastIndexByte(eventType, '.'); i > 0 {
		if b, ok := m.bindings[[2]string{source, eventType[:i]}]; ok {
			return b, true
		}
	}
	if b, ok := m.bindings[[2]string{source, Any}]; ok {
		return b, true
	}
	b, ok := m.bindings[[2]string{Any, Any}]
	return b, ok
}
