package main

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/hooktroupe/hooktroupe/source"
)

// head is what a file of headers says: the block, and what a request line before it says.
type head struct {
	method string // POST without a request line
	query  string // of the request line, without the question mark
	header source.Header
}

// parseHead reads a header block: one NAME: VALUE a line, after a request line or not. Names that begin with a colon are
// how captures of HTTP/2 write the request line, and are passed over. Errors quote nothing of the text, for it holds what
// authenticates a request.
func parseHead(text string) (head, error) {
	h := head{method: http.MethodPost}
	for i, line := range strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n") {
		if i == 0 && h.requestLine(line) || line == "" || line[0] == ':' {
			continue
		}
		if line[0] == ' ' || line[0] == '\t' {
			return head{}, fmt.Errorf("line %d of the headers goes on with the line before, which no request may do", i+1)
		}
		name, value, found := strings.Cut(line, ":")
		if name = strings.TrimSpace(name); !found || !source.IsName(name) {
			return head{}, fmt.Errorf("line %d of the headers is not NAME: VALUE", i+1)
		}
		h.header = append(h.header, source.Field{Name: http.CanonicalHeaderKey(name), Value: strings.TrimSpace(value)})
	}
	return h, nil
}

// requestLine takes up METHOD TARGET HTTP/VERSION, and says whether the line is one.
func (h *head) requestLine(line string) bool {
	words := strings.Fields(line)
	if len(words) != 3 || !source.IsName(words[0]) || !strings.HasPrefix(words[2], "HTTP/") {
		return false
	}
	h.method = words[0]
	_, h.query, _ = strings.Cut(words[1], "?")
	return true
}

// readHead is parseHead of a file, or of standard input.
func readHead(name string) (head, error) {
	text, err := readInput(name)
	if err != nil {
		return head{}, err
	}
	return parseHead(string(text))
}
