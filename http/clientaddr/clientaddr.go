// Package clientaddr says who sent a request when proxies stand in between: from the address of the peer, the networks
// that are trusted, and what the trusted ones wrote. It is pure: it reads no connection and keeps no state.
//
// The one invariant: nothing that was written by a hop outside the trusted networks is ever believed.
package clientaddr

import (
	"fmt"
	"net"
	"net/netip"
)

// Client is who sent a request. It is a net.Addr, so that it can stand where the peer's address stood.
type Client struct {
	// Addr is the last address that somebody trusted vouches for, IPv4 never mapped into IPv6; the zero Addr when the
	// peer has no IP address.
	Addr netip.Addr
	// Hidden says that Addr is a trusted proxy's, which names the one before it by no address. Where an address is asked
	// for, such a client has none.
	Hidden bool
}

// Network is always tcp.
func (Client) Network() string { return "tcp" }

// String is the address without a port, in its usual form.
func (c Client) String() string { return c.Addr.String() }

// In says whether the client is known to come from one of the networks.
func (c Client) In(p Prefixes) bool { return !c.Hidden && p.Contains(c.Addr) }

// Of is the client at an address: itself when it is a Client, the other end of a TCP connection, or else nobody.
func Of(addr net.Addr) Client {
	switch a := addr.(type) {
	case Client:
		return a
	case *net.TCPAddr:
		return Client{Addr: a.AddrPort().Addr().Unmap().WithZone("")}
	default:
		return Client{}
	}
}

// Scheme is how trusted proxies say for whom they speak.
type Scheme uint8

// The schemes there are.
const (
	None          Scheme = iota // they do not: the peer is the client
	Forwarded                   // the header of RFC 7239
	XForwardedFor               // the header that came before it
	ProxyProtocol               // ahead of the connection's first byte, versions 1 and 2
)

// words are the schemes as the configuration has them. It never changes.
var words = [...]string{None: "none", Forwarded: "forwarded", XForwardedFor: "x-forwarded-for", ProxyProtocol: "proxy-protocol"}

// ParseScheme reads the word of a scheme; the empty word is None.
func ParseScheme(word string) (Scheme, error) {
	if word == "" {
		return None, nil
	}
	for s, w := range words {
		if w == word {
			return Scheme(s), nil
		}
	}
	return None, fmt.Errorf("%q is none of none, forwarded, x-forwarded-for, proxy-protocol", word)
}

// String is the word of the scheme.
func (s Scheme) String() string { return words[s] }

// Header is the canonical name of the header that the scheme reads; empty when it reads none.
func (s Scheme) Header() string {
	switch s {
	case Forwarded:
		return "Forwarded"
	case XForwardedFor:
		return "X-Forwarded-For"
	default:
		return ""
	}
}

// Resolver finds clients behind proxies. The zero Resolver believes nobody.
type Resolver struct {
	// Scheme is the only one that is read: a header of another is whatever the client wrote.
	Scheme Scheme
	// Trusted are the networks of the proxies.
	Trusted Prefixes
}

// Resolve returns the client of a request. The lines are the values of Scheme.Header, in the order in which they came.
// It walks from the peer towards the client, for each proxy appends the one that it heard, and stops at the first that
// is not trusted. Where a trusted one names no address it stops as well, and the client is Hidden. Hops that nobody
// walks to are not looked at.
func (r Resolver) Resolve(peer net.Addr, lines [][]byte) Client {
	client := Of(peer)
	if r.Scheme.Header() == "" {
		return client
	}
	for i := len(lines) - 1; i >= 0 && r.Trusted.Contains(client.Addr); i-- {
		hops := r.hops(string(lines[i]))
		for j := len(hops) - 1; j >= 0 && r.Trusted.Contains(client.Addr); j-- {
			addr, ok := parseNode(hops[j])
			if !ok {
				return Client{Addr: client.Addr, Hidden: true}
			}
			client.Addr = addr
		}
	}
	return client
}

// hops are the nodes that a line names, from the client on; a line that cannot be read is one node without an address.
func (r Resolver) hops(line string) []string {
	if r.Scheme == XForwardedFor {
		return splitList(line)
	}
	hops, ok := parseForwarded(line)
	if !ok {
		return []string{""}
	}
	return hops
}
