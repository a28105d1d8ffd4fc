package auth

import (
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/hooktroupe/hooktroupe/internal/clock"
)

const (
	// maxGuesses is how many tokens that are none a client may offer within guessWindow.
	maxGuesses  = 20
	guessWindow = time.Minute
	// maxClients bounds the clients whose guesses are counted. Where there are more, one of them is forgotten.
	maxClients = 10_000
	// networkBits is the part of an IPv6 address that tells clients apart: one client has all of its network.
	networkBits = 64
)

// Guesses counts, for each client, the tokens that were none. It is safe for use by many goroutines.
type Guesses struct {
	clock clock.Clock

	mu      sync.Mutex // guards clients
	clients map[netip.Addr]guesses
}

// guesses are those of one client since a time.
type guesses struct {
	count int
	since time.Time
}

// NewGuesses returns a Guesses that has seen none.
func NewGuesses(c clock.Clock) *Guesses {
	return &Guesses{clock: c, clients: make(map[netip.Addr]guesses)}
}

// Wait says how long a client has to wait before a token of it is looked at, valid or not; zero for not at all.
func (g *Guesses) Wait(client net.Addr) time.Duration {
	who := identity(client)
	g.mu.Lock()
	defer g.mu.Unlock()
	made, known := g.clients[who]
	if !known || made.count < maxGuesses {
		return 0
	}
	return max(0, guessWindow-g.clock.Now().Sub(made.since))
}

// Wrong counts a token that was none.
func (g *Guesses) Wrong(client net.Addr) {
	who, now := identity(client), g.clock.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	made, known := g.clients[who]
	if !known && len(g.clients) >= maxClients {
		g.makeRoom(now)
	}
	if !known || now.Sub(made.since) >= guessWindow {
		made = guesses{since: now}
	}
	made.count++
	g.clients[who] = made
}

// makeRoom forgets whose window has passed; where that is nobody, anybody.
func (g *Guesses) makeRoom(now time.Time) {
	for who, made := range g.clients {
		if now.Sub(made.since) >= guessWindow {
			delete(g.clients, who)
		}
	}
	for who := range g.clients {
		if len(g.clients) < maxClients {
			return
		}
		delete(g.clients, who)
	}
}

// identity is what one client cannot change at will. Addresses that are no IP addresses are one client.
func identity(client net.Addr) netip.Addr {
	if client == nil {
		return netip.Addr{}
	}
	at, err := netip.ParseAddrPort(client.String())
	if err != nil {
		return netip.Addr{}
	}
	addr := at.Addr().Unmap().WithZone("")
	if addr.Is6() {
		if network, err := addr.Prefix(networkBits); err == nil {
			return network.Addr()
		}
	}
	return addr
}
