package main

import (
	"io"
	"os"
	"slices"
	"strings"

	"golang.org/x/term"
)

// colours are those of the words that say how something stands. The words are enough without them.
var colours = map[string]string{
	"alive": "32", "owned": "32", "silent": "31", "unowned": "31", "stuck": "31", "leaving": "33", "draining": "33", "stopping": "33",
	"completed": "32", "succeeded": "32", "healthy": "32", "closed": "32",
	"failed": "31", "suspended_likely": "31", "open": "31", "panicked": "31", "abandoned": "31", "discarded": "31",
	"retrying": "33", "warning": "33", "half-open": "33", "paused": "33", "timed_out": "33", "retry": "33",
	"queued": "36", "processing": "36", "running": "36",
}

// plain is the terminal's own colour. It is as long as the others, so that columns with and without colour stay columns.
const plain = "39"

// paint gives a word its colour, where the output is a terminal that wants any (NO_COLOR, TERM=dumb).
func (t *terminal) paint(word string) string {
	colour, known := colours[word]
	if !known {
		colour = plain
	}
	return t.dress(word, colour)
}

// head is the heading of a column of painted words.
func (t *terminal) head(word string) string { return t.dress(word, plain) }

func (t *terminal) dress(word, colour string) string {
	if !t.colourful() {
		return word
	}
	return "\x1b[" + colour + "m" + word + "\x1b[39m"
}

// colourful says whether standard output shows colours.
func (t *terminal) colourful() bool {
	unwanted := slices.ContainsFunc(t.environ, func(v string) bool {
		return strings.HasPrefix(v, "NO_COLOR=") && v != "NO_COLOR=" || v == "TERM=dumb"
	})
	return !unwanted && isTerminal(t.out)
}

// isTerminal says whether somebody looks at what is written.
func isTerminal(w io.Writer) bool {
	file, isFile := w.(*os.File)
	return isFile && term.IsTerminal(int(file.Fd()))
}
