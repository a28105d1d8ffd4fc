package forward

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/hooktroupe/hooktroupe/handler"
	"github.com/hooktroupe/hooktroupe/internal/tracing"
)

// The headers that tell the sink about the task.
const (
	HeaderTaskID     = "X-Hooktroupe-Task-Id"
	HeaderAttempt    = "X-Hooktroupe-Attempt"
	HeaderSource     = "X-Hooktroupe-Source"
	HeaderEvent      = "X-Hooktroupe-Event"
	HeaderDeliveryID = "X-Hooktroupe-Delivery-Id"
)

// canonical is the one spelling under which a header name is compared and sent.
func canonical(name string) string { return http.CanonicalHeaderKey(name) }

// checkHeader refuses what would break out of its line. It does not quote the value, which may be a credential.
func checkHeader(name, value string) error {
	switch {
	case !httpguts.ValidHeaderFieldName(name):
		return fmt.Errorf("%.64q is not a header name", name)
	case !httpguts.ValidHeaderFieldValue(value):
		return fmt.Errorf("value of %s holds a line break or a control byte", canonical(name))
	}
	return nil
}

// ownAffair says whether a header is about one hop, or ours to write: neither the sender nor the operator sets it.
func ownAffair(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
		"Host", "Content-Length", "Expect", "Accept-Encoding":
		return true
	}
	return strings.HasPrefix(name, "X-Hooktroupe-")
}

// passes says whether a sender's header may reach the sink at all.
func passes(name string) bool {
	switch name {
	case "User-Agent", // ours is sent
		"Authorization", "Cookie", "Set-Cookie", "X-Gitlab-Token", "X-Api-Key", "X-Auth-Token", // credentials
		"Traceparent", "Tracestate", // ours is sent, if any
		"Forwarded", "Via", "X-Real-Ip", "X-Client-Ip", "True-Client-Ip", "Cf-Connecting-Ip": // origin
		return false
	}
	return !ownAffair(name) && !strings.HasPrefix(name, "X-Forwarded-") && !strings.HasPrefix(name, "Proxy-") &&
		!strings.Contains(name, "_")
}

// headerBlock is a header block under construction. One array backs the values of all names that come once.
type headerBlock struct {
	header http.Header
	values []string
}

// newHeaderBlock returns an empty block with room for so many names; more are not wrong, only slower.
func newHeaderBlock(names int) *headerBlock {
	return &headerBlock{header: make(http.Header, names), values: make([]string, 0, names)}
}

// set replaces every value of a canonical name.
func (b *headerBlock) set(name, value string) {
	b.values = append(b.values, value)
	n := len(b.values)
	b.header[name] = b.values[n-1 : n : n]
}

// add keeps the values that a canonical name already has.
func (b *headerBlock) add(name, value string) {
	if earlier, ok := b.header[name]; ok {
		b.header[name] = append(earlier, value)
		return
	}
	b.set(name, value)
}

// ownHeaders bounds how many names Handle adds to those of the sender and of the operator.
const ownHeaders = 11

// header builds the header block of a request. Who comes later wins: the sender, the trace, the operator, then what tells of
// the task, then the signature. An error is about this delivery and no later attempt mends it.
func (h *Handler) header(ctx context.Context, t *handler.Task) (http.Header, error) {
	block := newHeaderBlock(len(t.Headers) + len(h.static) + ownHeaders)
	hop := t.Get("Connection")
	for _, field := range t.Headers {
		name := canonical(field.Name)
		if !passes(name) || !h.wanted(name) || hop != "" && nominated(hop, name) {
			continue
		}
		if err := checkHeader(field.Name, field.Value); err != nil {
			return nil, err
		}
		block.add(name, field.Value)
	}
	block.set("User-Agent", h.userAgent)
	if parent, state := tracing.Headers(ctx); parent != "" {
		block.set(tracing.HeaderParent, parent)
		if state != "" {
			block.set(tracing.HeaderState, state)
		}
	}
	for _, field := range h.static {
		block.set(field.Name, field.Value)
	}
	own := [...]handler.Header{
		{Name: HeaderTaskID, Value: t.ID},
		{Name: HeaderAttempt, Value: strconv.Itoa(t.Attempt)},
		{Name: HeaderSource, Value: t.Source},
		{Name: HeaderEvent, Value: t.EventType},
		{Name: HeaderDeliveryID, Value: t.DeliveryID},
	}
	for _, field := range own {
		if field.Value == "" { // only the delivery ID may be
			continue
		}
		if err := checkHeader(field.Name, field.Value); err != nil {
			return nil, err
		}
		block.set(field.Name, field.Value)
	}
	h.sign(block, t)
	if err := h.signAs(block, t); err != nil {
		return nil, err
	}
	return block.header, nil
}

// wanted says whether a sender's header is on the operator's list, if there is one.
func (h *Handler) wanted(name string) bool {
	if h.pass == nil {
		return true
	}
	_, ok := h.pass[name]
	return ok
}

// nominated says whether a Connection header makes a name one of its own hop.
func nominated(connection, name string) bool {
	for token := range strings.SplitSeq(connection, ",") {
		if strings.EqualFold(strings.TrimSpace(token), name) {
			return true
		}
	}
	return false
}
