package ingress

import (
	"bytes"
	"strings"

	"github.com/valyala/fasthttp"

	"github.com/hooktroupe/hooktroupe/messages"
	"github.com/hooktroupe/hooktroupe/source"
)

// copyHeader copies the header block in the order it was sent, with canonical names. All names and values share one
// piece of memory.
func copyHeader(h *fasthttp.RequestHeader) source.Header {
	raw := h.RawHeaders()
	if len(raw) == 0 {
		return nil
	}
	var text strings.Builder
	text.Grow(len(raw)) // names and values are shorter than their lines: the builder never moves
	header := make(source.Header, 0, bytes.Count(raw, []byte{'\n'}))
	for name, value := range h.AllInOrder() {
		start := text.Len()
		text.Write(name)
		middle := text.Len()
		text.Write(value)
		all := text.String()
		header = append(header, source.Field{Name: all[start:middle], Value: all[middle:]})
	}
	return header
}

// keptHeaders are those of a header block that may be stored: no sensitive one, and no more than bound bytes of names
// and values; what does not fit is left out, from the first that does not.
func keptHeaders(header source.Header, sensitive []string, bound int) []*messages.Header {
	stored := make([]messages.Header, len(header))
	kept := make([]*messages.Header, 0, len(header))
	for i := range header {
		field := &header[i]
		if source.Sensitive(field.Name) || contains(sensitive, field.Name) {
			continue
		}
		if bound -= len(field.Name) + len(field.Value); bound < 0 {
			break
		}
		stored[i].Name, stored[i].Value = field.Name, field.Value
		kept = append(kept, &stored[i])
	}
	return kept
}

func contains(names []string, name string) bool {
	for _, n := range names {
		if strings.EqualFold(n, name) {
			return true
		}
	}
	return false
}
