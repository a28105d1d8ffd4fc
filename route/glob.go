package route

import (
	"fmt"
	"regexp"
	"strings"
)

// maxGlobBytes bounds a pattern.
const maxGlobBytes = 256

// glob is one pattern, or several any of which may match. It takes time in proportion to the text.
type glob struct{ pattern *regexp.Regexp } // nil matches everything

func (g *glob) match(text string) bool { return g.pattern == nil || g.pattern.MatchString(text) }

// newGlob compiles a pattern in which * stands for any text, ? for one character, and {a,b} for a or b. Empty matches
// everything.
func newGlob(pattern string) (*glob, error) {
	if pattern == "" || pattern == "*" {
		return &glob{}, nil
	}
	text, err := translate(pattern)
	if err != nil {
		return nil, err
	}
	return compileGlob(text)
}

// newEventGlob compiles patterns of event types: one without a dot also stands for the event with any action.
func newEventGlob(patterns []string) (*glob, error) {
	var alternatives []string
	for _, p := range patterns {
		if p == "" || p == "*" {
			return &glob{}, nil
		}
		text, err := translate(p)
		if err != nil {
			return nil, err
		}
		if !strings.Contains(p, ".") {
			text += `(?:\..*)?`
		}
		alternatives = append(alternatives, text)
	}
	if len(alternatives) == 0 {
		return &glob{}, nil
	}
	return compileGlob(strings.Join(alternatives, "|"))
}

func compileGlob(text string) (*glob, error) {
	re, err := regexp.Compile(`^(?s:` + text + `)$`)
	if err != nil {
		return nil, err
	}
	return &glob{pattern: re}, nil
}

// translate writes a glob as a regular expression.
func translate(pattern string) (string, error) {
	if len(pattern) > maxGlobBytes {
		return "", fmt.Errorf("a pattern of more than %d bytes", maxGlobBytes)
	}
	var text strings.Builder
	inside := false
	for _, c := range pattern {
		switch {
		case c == '*':
			text.WriteString(".*")
		case c == '?':
			text.WriteString(".")
		case c == '{' && !inside:
			inside = true
			text.WriteString("(?:")
		case c == '}' && inside:
			inside = false
			text.WriteString(")")
		case c == ',' && inside:
			text.WriteString("|")
		case c == '{' || c == '}':
			return "", fmt.Errorf("%q: braces do not nest and come in pairs", pattern)
		default:
			text.WriteString(regexp.QuoteMeta(string(c)))
		}
	}
	if inside {
		return "", fmt.Errorf("%q: a brace is not closed", pattern)
	}
	return text.String(), nil
}

// Matches says whether a glob such as a route's over sources matches a text. An error is that it does not compile.
func Matches(pattern, text string) (bool, error) {
	g, err := newGlob(pattern)
	if err != nil {
		return false, err
	}
	return g.match(text), nil
}
