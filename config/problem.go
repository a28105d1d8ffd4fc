package config

import (
	"cmp"
	"fmt"
	"strings"
)

// Problem is one fault of a configuration.
type Problem struct {
	// File, Line and Column say where, both from 1; they are zero for what no place of the file holds. Columns count
	// characters.
	File   string `json:"file,omitempty"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
	// Path is the key: sources.github.secret, routes[2].handler.
	Path string `json:"key,omitempty"`
	// Message says what is wrong and, where it is known, what to do.
	Message string `json:"message"`
}

// String is file:line:column: key: message.
func (p Problem) String() string {
	where := p.File
	if p.Line > 0 {
		where += fmt.Sprintf(":%d", p.Line)
	}
	if p.Column > 0 {
		where += fmt.Sprintf(":%d", p.Column)
	}
	if p.Path == "" {
		return where + ": " + p.Message
	}
	if where == "" {
		return p.Path + ": " + p.Message
	}
	return where + ": " + p.Path + ": " + p.Message
}

// inOrder compares by place: what has none comes last.
func inOrder(a, b Problem) int {
	if (a.Line == 0) != (b.Line == 0) {
		return cmp.Compare(b.Line, a.Line)
	}
	return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
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
