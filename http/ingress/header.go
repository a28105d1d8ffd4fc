package ingress

import (
	"bytes"
	"net"
	"net/netip"
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

// Prefixes are networks.
type Prefixes []netip.Prefix

// Contains says whether one of them holds the address.
func (p Prefixes) Contains(addr netip.Addr) bool {
	for _, prefix := range p {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}

// client is the peer or, when the peer is a trusted proxy, the last address in X-Forwarded-For that is none.
func (in *Ingress) client(ctx *fasthttp.RequestCtx, header source.Header) netip.Addr {
	addr := peer(ctx.RemoteAddr())
	if len(in.cfg.TrustedProxies) == 0 {
		return addr
	}
	for i := len(header) - 1; i >= 0; i-- {
		if header[i].Name != fasthttp.HeaderXForwardedFor {
			continue
		}
		hops := strings.Split(header[i].Value, ",")
		for j := len(hops) - 1; j >= 0; j-- {
			if !in.cfg.TrustedProxies.Contains(addr) {
				return addr
			}
			hop, err := netip.ParseAddr(strings.TrimSpace(hops[j]))
			if err != nil {
				return addr
			}
			addr = hop.Unmap()
		}
	}
	return addr
}

// peer is the address of the other end; the zero Addr when it has no IP address.
func peer(addr net.Addr) netip.Addr {
	if tcp, ok := addr.(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}
