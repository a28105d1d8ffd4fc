package http

import (
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/hooktroupe/hooktroupe/http/clientaddr"
	"github.com/hooktroupe/hooktroupe/http/problem"
)

// fullBody is the problem of a connection beyond the bound.
const fullBody = `{"type":"` + problem.TypePrefix + `overloaded","title":"Too many requests are in flight","status":503,` +
	`"detail":"too many connections are open"}`

// fullResponse is sent to such a connection before any request of it was read.
var fullResponse = []byte("HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\n" +
	"Content-Type: " + problem.ContentType + "\r\nContent-Length: " + strconv.Itoa(len(fullBody)) + "\r\n\r\n" + fullBody)

// refuseTimeout bounds the sending of fullResponse, which fits into any socket's buffer.
const refuseTimeout = 100 * time.Millisecond

// boundedListener bounds the connections that are open at once, in all and of one peer's address. Loopback addresses and
// trusted proxies have no bound of their own: a proxy speaks for many.
type boundedListener struct {
	net.Listener
	max, maxPerIP int
	proxies       clientaddr.Prefixes
	plain         bool // without TLS: a refusal can be said in words

	mu   sync.Mutex // guards what follows
	open map[*boundedConn]struct{}
	byIP map[netip.Addr]int
}

func newBoundedListener(
	inner net.Listener, limit, perIP int, proxies clientaddr.Prefixes, plain bool,
) *boundedListener {
	return &boundedListener{
		Listener: inner, max: limit, maxPerIP: perIP, proxies: proxies, plain: plain,
		open: make(map[*boundedConn]struct{}), byIP: make(map[netip.Addr]int),
	}
}

// Accept returns the next connection that is within the bounds.
func (l *boundedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if c := l.admit(conn); c != nil {
			return c, nil
		}
		l.refuse(conn)
	}
}

func (l *boundedListener) admit(conn net.Conn) net.Conn {
	c := &boundedConn{Conn: conn, listener: l, addr: clientaddr.Of(conn.RemoteAddr()).Addr}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.open) >= l.max || c.counted() && l.byIP[c.addr] >= l.maxPerIP {
		return nil
	}
	l.open[c] = struct{}{}
	if c.counted() {
		l.byIP[c.addr]++
	}
	return c
}

// refuse says that there is no room. The connection is lost either way, so no error matters.
func (l *boundedListener) refuse(conn net.Conn) {
	if l.plain && conn.SetWriteDeadline(time.Now().Add(refuseTimeout)) == nil {
		_, _ = conn.Write(fullResponse)
	}
	_ = conn.Close()
}

// closeAll ends every connection at once, whatever it is doing.
func (l *boundedListener) closeAll() {
	l.mu.Lock()
	conns := make([]*boundedConn, 0, len(l.open))
	for c := range l.open {
		conns = append(conns, c)
	}
	l.mu.Unlock()
	for _, c := range conns {
		_ = c.Close()
	}
}

// boundedConn gives its place back when it is closed.
type boundedConn struct {
	net.Conn
	listener *boundedListener
	addr     netip.Addr // the zero Addr when the peer has no IP address
}

// counted says whether the bound per address applies.
func (c *boundedConn) counted() bool {
	return c.addr.IsValid() && !c.addr.IsLoopback() && !c.listener.proxies.Contains(c.addr)
}

// Close closes the connection. It is safe to call twice.
func (c *boundedConn) Close() error {
	l := c.listener
	l.mu.Lock()
	if _, open := l.open[c]; open {
		delete(l.open, c)
		if c.counted() {
			if l.byIP[c.addr]--; l.byIP[c.addr] == 0 {
				delete(l.byIP, c.addr)
			}
		}
	}
	l.mu.Unlock()
	return c.Conn.Close()
}
