package clientaddr

import "strings"

// tokenLetters are what a token of RFC 9110 is made of.
const tokenLetters = "!#$%&'*+-.^_`|~0123456789" +
	"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

// parseForwarded reads one line of Forwarded (RFC 7239, section 4) and returns what the parameter "for" of each element
// says, from the client on; empty for an element without it. ok is false when any part of the line is not of that form:
// a quote left open by the client would swallow what proxies append, and must not be repaired.
func parseForwarded(line string) (nodes []string, ok bool) {
	s := scanner{rest: line}
	for {
		node, ok := s.element()
		if !ok {
			return nil, false
		}
		nodes = append(nodes, node)
		if s.rest == "" {
			return nodes, true
		}
		if !s.take(',') {
			return nil, false
		}
	}
}

// scanner reads a line from its start.
type scanner struct{ rest string }

// element reads pairs up to the next comma or the end. "for" may come once.
func (s *scanner) element() (node string, ok bool) {
	found := false
	for {
		s.blanks()
		name := s.token()
		if name == "" || !s.take('=') {
			return "", false
		}
		value, ok := s.value()
		if !ok {
			return "", false
		}
		if strings.EqualFold(name, "for") {
			if found {
				return "", false
			}
			node, found = value, true
		}
		s.blanks()
		if !s.take(';') {
			return node, true
		}
	}
}

// value reads a token or a quoted string, which is returned without its quotes and backslashes.
func (s *scanner) value() (string, bool) {
	if !s.take('"') {
		token := s.token()
		return token, token != ""
	}
	var text strings.Builder
	for i := 0; i < len(s.rest); i++ {
		switch s.rest[i] {
		case '"':
			s.rest = s.rest[i+1:]
			return text.String(), true
		case '\\':
			if i++; i == len(s.rest) {
				return "", false
			}
		}
		text.WriteByte(s.rest[i])
	}
	return "", false
}

// token reads the longest token, which may be empty.
func (s *scanner) token() string {
	after := strings.TrimLeft(s.rest, tokenLetters)
	token := s.rest[:len(s.rest)-len(after)]
	s.rest = after
	return token
}

// take reads one byte if it is that one.
func (s *scanner) take(b byte) bool {
	if s.rest == "" || s.rest[0] != b {
		return false
	}
	s.rest = s.rest[1:]
	return true
}

func (s *scanner) blanks() { s.rest = strings.TrimLeft(s.rest, " \t") }
