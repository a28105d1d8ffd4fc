package clientaddr

import (
	"net/netip"
	"strings"
)

// splitList cuts a line of X-Forwarded-For at its commas.
func splitList(line string) []string {
	hops := strings.Split(line, ",")
	for i := range hops {
		hops[i] = strings.Trim(hops[i], " \t")
	}
	return hops
}

// parseNode reads an address, with or without brackets, with or without a port:
//
//	192.0.2.1    192.0.2.1:4711    2001:db8::1    [2001:db8::1]    [2001:db8::1]:4711
//
// ok is false for everything else: unknown, obfuscated identifiers, names, zones, nothing.
func parseNode(text string) (addr netip.Addr, ok bool) {
	if inner, bracketed := strings.CutPrefix(text, "["); bracketed {
		host, rest, closed := strings.Cut(inner, "]")
		addr, err := netip.ParseAddr(host)
		return addr.Unmap(), closed && err == nil && addr.Is6() && addr.Zone() == "" && (rest == "" || isPort(rest))
	}
	if host, _, ported := strings.Cut(text, ":"); ported && isPort(text[len(host):]) {
		if addr, err := netip.ParseAddr(host); err == nil {
			return addr, true // of IPv4: no IPv6 address ends before its first colon
		}
	}
	addr, err := netip.ParseAddr(text)
	return addr.Unmap(), err == nil && addr.Zone() == ""
}

// isPort says whether text is a colon and a port: up to five digits, or an underscore and what hides it.
func isPort(text string) bool {
	port := strings.TrimPrefix(text, ":")
	if port == "" || port == text {
		return false
	}
	if port[0] == '_' {
		return len(port) > 1 && strings.Trim(port, tokenLetters) == ""
	}
	return len(port) <= 5 && strings.Trim(port, "0123456789") == ""
}
