package importhooks

import (
	"errors"
	"fmt"
	"net/textproto"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/hooktroupe/hooktroupe/source"
)

// reference is a value of a delivery: a header, or a path into the payload.
type reference struct {
	header string   // canonical; empty for a path
	path   []string // into the payload; empty for all of it
}

// errHidden is a value that must not stand in a configuration or reach a program.
var errHidden = errors.New("a credential is known to the source only, and kept with no delivery")

// refer finds what an argument refers to, where we have it.
func (h *Hook) refer(a argument) (reference, error) {
	name := string(a.Name)
	switch a.Source {
	case "header":
		name = textproto.CanonicalMIMEHeaderKey(name)
		if isCredential(name) || source.Sensitive(name) {
			return reference{}, fmt.Errorf("header %q: %w", name, errHidden)
		}
		return reference{header: name}, nil
	case "payload":
		return h.referPayload(name)
	case "url", "query", "entire-query":
		return reference{}, errors.New("the query of a delivery is not kept")
	case "entire-payload":
		return reference{}, nil
	case "entire-headers":
		return reference{}, errors.New("headers have no form of one value each")
	case "raw-request-body":
		return reference{}, errors.New("the body is on the program's standard input")
	case "request":
		return reference{}, fmt.Errorf("the request's %q is not kept", name)
	default:
		return reference{}, fmt.Errorf("source %q is not known", a.Source)
	}
}

// referPayload splits a dotted name. What a form's field named payload holds as JSON is the payload here.
func (h *Hook) referPayload(name string) (reference, error) {
	path := strings.Split(name, ".")
	if slices.Contains(path, "") {
		return reference{}, fmt.Errorf("%q is no path", name)
	}
	if len(h.ParseAsJSON) == 0 {
		return reference{path: path}, nil
	}
	other := func(a argument) bool { return a.Source != "payload" || a.Name != "payload" }
	switch {
	case slices.ContainsFunc(h.ParseAsJSON, other):
		return reference{}, errors.New("parse-parameters-as-json: only a form's field named payload can hold JSON")
	case path[0] != "payload":
		return reference{}, errors.New("beside the form's field payload, no field is seen")
	}
	return reference{path: path[1:]}, nil
}

// isCredential says whether a header or a member is one by its name.
func isCredential(name string) bool {
	name = strings.ToLower(name)
	return slices.ContainsFunc([]string{"token", "secret", "passw", "signature", "authorization", "api-key", "apikey", "api_key"},
		func(word string) bool { return strings.Contains(name, word) })
}

var (
	plainName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	index     = regexp.MustCompile(`^(0|[1-9][0-9]{0,8})$`)
	reserved  = []string{"and", "or", "not", "in", "matches", "contains", "startsWith", "endsWith", "let", "if", "else", "true", "false", "nil"}
)

// expression is the value; nil where it is not there.
func (r reference) expression() string {
	if r.header != "" {
		return "header(" + strconv.Quote(r.header) + ")"
	}
	return fetch(r.path)
}

func fetch(path []string) string {
	var b strings.Builder
	b.WriteString("payload")
	for _, name := range path {
		switch {
		case index.MatchString(name):
			b.WriteString("[" + name + "]")
		case plainName.MatchString(name) && !slices.Contains(reserved, name):
			b.WriteString("." + name)
		default:
			b.WriteString("[" + strconv.Quote(name) + "]")
		}
	}
	return b.String()
}

// holds says that each thing on the way to the value has the form that the path needs. Below index, the way is safe to
// take.
func (r reference) holds() term {
	if r.header != "" {
		return constant(true)
	}
	way := constant(true)
	for i, name := range r.path {
		at := fetch(r.path[:i])
		if index.MatchString(name) {
			way = all(way, leaf(fmt.Sprintf("type(%s) == \"array\"", at)), leaf(fmt.Sprintf("len(%s) > %s", at, name)))
		} else {
			way = all(way, leaf(fmt.Sprintf("type(%s) == \"map\"", at)))
		}
	}
	return way
}

// present says that the value is there, once the way to it is safe.
func (r reference) present() term {
	switch {
	case r.header != "":
		return leaf(strconv.Quote(r.header) + " in headers")
	case len(r.path) == 0 || r.indexed(len(r.path)-1):
		return constant(true)
	default:
		last := len(r.path) - 1
		return leaf(strconv.Quote(r.path[last]) + " in " + fetch(r.path[:last]))
	}
}

func (r reference) indexed(i int) bool { return index.MatchString(r.path[i]) }

// argument is the value as an argument: a list that is too short has none.
func (r reference) argument() string {
	if r.header == "" && slices.ContainsFunc(r.path, index.MatchString) {
		return r.holds().String() + " ? " + r.expression() + " : nil"
	}
	return r.expression()
}
