package route

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	// MaxAssignments bounds what one delivery can be assigned to.
	MaxAssignments = 64
	// MaxHandlers bounds the handlers of one route.
	MaxHandlers = 16
	// MaxKeyBytes bounds an ordering key. A longer one is cut, and ends in # and its SHA-256 in hex.
	MaxKeyBytes = 512
)

// Config is one route.
type Config struct {
	// Name is unique: 1 to 64 of a-z, 0-9, dot, dash and underscore.
	Name string
	// Source is a glob over the name of the source; empty means any.
	Source string
	// Events are globs over the event type, any of which may match; none means any event. One without a dot also matches the
	// event with any action: pull_request matches pull_request.opened.
	Events []string
	// Filter is an expression that must be true; empty means true.
	Filter string
	// Key is an expression for the ordering key; empty means the source's own.
	Key string
	// Continue goes on to the next routes after a match.
	Continue bool
	// Handlers are the names of those that work the delivery, each for itself: 1 to MaxHandlers.
	Handlers []string
}

// Delivery is what a route looks at.
type Delivery struct {
	Source, EventType, DeliveryID, Key string
	Headers                            []Header
	Body                               []byte
	ReceivedAt                         time.Time
}

// Header is one HTTP header.
type Header struct{ Name, Value string }

// Assignment is one handler that a delivery goes to.
type Assignment struct {
	// Name is the route's where it has one handler, else route/handler. It is what a task remembers.
	Name string
	// Route and Handler are its parts.
	Route, Handler string
	// Key is the ordering key; empty means none.
	Key string
}

// Error is what is wrong with a route.
type Error struct {
	// Route is the route's name, or its place in the list where it has none.
	Route string
	// Field is the key of the configuration: name, source, events, filter, key, handlers.
	Field string
	// Column is where in the expression, from 1; 0 where it is not about one place.
	Column int
	Err    error
}

// Error names the place.
func (e *Error) Error() string {
	if e.Column > 0 {
		return fmt.Sprintf("route %s: %s: column %d: %v", e.Route, e.Field, e.Column, e.Err)
	}
	return fmt.Sprintf("route %s: %s: %v", e.Route, e.Field, e.Err)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// failed says where an expression failed on a delivery.
func (r *compiled) failed(field string, err error) *Error {
	e := &Error{Route: r.Name, Field: field, Err: err}
	var at *failure
	if errors.As(err, &at) {
		e.Column, e.Err = at.column, at.error
	}
	return e
}

// Table is a list of routes, compiled. It is safe for concurrent use.
type Table struct{ routes []compiled }

// compiled is one route.
type compiled struct {
	Config
	source, events *glob
	filter, key    *expression // nil where there is none
}

var namePattern = regexp.MustCompile(`^[a-z0-9._-]{1,64}$`)

// New compiles routes. The error joins an *Error for everything that is wrong.
func New(routes []Config) (*Table, error) {
	t := &Table{}
	var errs []error
	names := make(map[string]bool)
	for i, c := range routes {
		r := compiled{Config: c}
		label := c.Name
		if label == "" {
			label = fmt.Sprintf("%d", i+1)
		}
		fail := func(field string, column int, err error) {
			if err != nil {
				errs = append(errs, &Error{Route: label, Field: field, Column: column, Err: err})
			}
		}
		fail("name", 0, checkName(c.Name, names))
		names[c.Name] = true
		fail("handlers", 0, checkHandlers(c.Handlers))
		var err error
		r.source, err = newGlob(c.Source)
		fail("source", 0, err)
		r.events, err = newEventGlob(c.Events)
		fail("events", 0, err)
		var column int
		r.filter, column, err = compileExpression(c.Filter, wantsBool)
		fail("filter", column, err)
		r.key, column, err = compileExpression(c.Key, wantsText)
		fail("key", column, err)
		t.routes = append(t.routes, r)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return t, nil
}

func checkName(name string, taken map[string]bool) error {
	switch {
	case !namePattern.MatchString(name):
		return fmt.Errorf("%.80q is not 1 to 64 of a-z, 0-9, dot, dash and underscore", name)
	case taken[name]:
		return errors.New("another route has that name")
	default:
		return nil
	}
}

func checkHandlers(handlers []string) error {
	if len(handlers) == 0 || len(handlers) > MaxHandlers {
		return fmt.Errorf("%d handlers are not within 1 and %d", len(handlers), MaxHandlers)
	}
	seen := make(map[string]bool)
	for _, h := range handlers {
		if h == "" || seen[h] {
			return fmt.Errorf("handler %q is empty or comes twice", h)
		}
		seen[h] = true
	}
	return nil
}

// Route returns what a delivery is assigned to, and what went wrong: an *Error for each expression that failed on this
// delivery. A route whose expression fails does not match.
func (t *Table) Route(d *Delivery) ([]Assignment, []error) {
	var assignments []Assignment
	var errs []error
	t.search(d, func(r *compiled, v verdict) {
		if v.err != nil {
			errs = append(errs, v.err)
		}
		if v.matches {
			assignments = append(assignments, r.assignments(v.key)[:v.handlers]...)
		}
	})
	return assignments, errs
}

// search visits one route after the other, up to the one that ends the search.
func (t *Table) search(d *Delivery, visit func(*compiled, verdict)) {
	facts := newFacts(d)
	room := MaxAssignments
	for i := range t.routes {
		r := &t.routes[i]
		v := r.judge(facts)
		if v.matches {
			v.handlers = min(len(r.Handlers), room)
			room -= v.handlers
			v.ends = !r.Continue || room == 0
		}
		visit(r, v)
		if v.ends {
			return
		}
	}
}

// Names returns the name of every assignment that there can be.
func (t *Table) Names() []string {
	var names []string
	for i := range t.routes {
		for _, a := range t.routes[i].assignments("") {
			names = append(names, a.Name)
		}
	}
	return names
}

// Fallback returns the first assignment of the first route without a filter that matches source and event type: where a
// task goes whose own route is gone.
func (t *Table) Fallback(source, eventType string) (name string, ok bool) {
	for i := range t.routes {
		r := &t.routes[i]
		if r.filter == nil && r.source.match(source) && r.events.match(eventType) {
			return r.assignments("")[0].Name, true
		}
	}
	return "", false
}

// verdict is what a route makes of a delivery.
type verdict struct {
	source, event, filter, matches bool
	key                            string
	err                            error
	handlers                       int  // how many of the route's handlers there is room for
	ends                           bool // whether the search ends here
}

func (r *compiled) judge(f *facts) (v verdict) {
	if v.source = r.source.match(f.delivery.Source); !v.source {
		return v
	}
	if v.event = r.events.match(f.delivery.EventType); !v.event {
		return v
	}
	v.filter = true
	if r.filter != nil {
		result, err := r.filter.run(f)
		if err != nil {
			v.filter, v.err = false, r.failed("filter", err)
			return v
		}
		if v.filter = result == true; !v.filter {
			return v
		}
	}
	v.key = f.delivery.Key
	if r.key != nil {
		result, err := r.key.run(f)
		if err == nil {
			v.key, err = keyText(result)
		}
		if err != nil {
			v.err = r.failed("key", err)
			return v
		}
	}
	v.key = clipKey(v.key)
	v.matches = true
	return v
}

func (r *compiled) assignments(key string) []Assignment {
	list := make([]Assignment, len(r.Handlers))
	for i, h := range r.Handlers {
		list[i] = Assignment{Name: Name(r.Name, h, len(r.Handlers)), Route: r.Name, Handler: h, Key: key}
	}
	return list
}

// Name is the name of an assignment of a route with so many handlers.
func Name(route, handler string, handlers int) string {
	if handlers == 1 {
		return route
	}
	return route + "/" + handler
}

// keyText is a key as text: a number or a truth value as it is written, nothing for nil.
func keyText(v any) (string, error) {
	switch v := v.(type) {
	case nil:
		return "", nil
	case string:
		return v, nil
	case bool, int, int64, float64:
		return fmt.Sprint(v), nil
	default:
		return "", fmt.Errorf("a key is text, not %T", v)
	}
}

// clipKey makes a key valid UTF-8 of at most MaxKeyBytes. One that is cut ends in its hash, so that it stays unique.
func clipKey(key string) string {
	key = strings.ToValidUTF8(key, "\uFFFD")
	if len(key) <= MaxKeyBytes {
		return key
	}
	sum := sha256.Sum256([]byte(key))
	suffix := "#" + hex.EncodeToString(sum[:])
	end := MaxKeyBytes - len(suffix)
	for !utf8.RuneStart(key[end]) {
		end--
	}
	return key[:end] + suffix
}
