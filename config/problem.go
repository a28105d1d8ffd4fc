package config

import (
	"fmt"
	"strings"
)

// Problem is one fault of a configuration.
type Problem struct {
	// File and Line say where; Line is zero for what no line holds.
	File string
	Line int
	// Path is the key: sources.github.secret, routes[2].handler.
	Path string
	// Message says what is wrong and, where it is known, what to do.
	Message string
}

// String is file:line: key: message.
func (p Problem) String() string {
	where := p.File
	if p.Line > 0 {
		where = fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	if where == "" {
		return p.Path + ": " + p.Message
	}
	return where + ": " + p.Path + ": " + p.Message
}

// Problems are all faults of a configuration; an error unless empty.
type Problems []Problem

// Error lists them, one a line.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}
