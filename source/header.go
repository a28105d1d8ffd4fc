package source

import "strings"

// Header is a header block in the order it was sent; a name may come more than once. Look-ups ignore case.
type Header []Field

// Field is one header line.
type Field struct {
	Name  string
	Value string
}

// Get returns the first value of a name, or nothing.
func (h Header) Get(name string) string {
	for i := range h {
		if strings.EqualFold(h[i].Name, name) {
			return h[i].Value
		}
	}
	return ""
}

// One returns the only value of a name. present says whether it came at all; single is false when it came more than
// once, which no honest sender does with what authenticates a request.
func (h Header) One(name string) (value string, present, single bool) {
	for i := range h {
		if !strings.EqualFold(h[i].Name, name) {
			continue
		}
		if present {
			return value, true, false
		}
		value, present = h[i].Value, true
	}
	return value, present, true
}

// IsName says whether text may be the name of a header: a token of RFC 9110.
func IsName(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		return !letter && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	})
}

// With returns a copy of the block with the field at its end.
func (h Header) With(name, value string) Header {
	return append(append(make(Header, 0, len(h)+1), h...), Field{Name: name, Value: value})
}
