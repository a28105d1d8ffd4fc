package http

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/hooktroupe/hooktroupe/http/clientaddr"
)

// crowd is a listener to which peers come from the addresses of its channel. No test may come from elsewhere than this
// machine, where there is no bound: that is why this one looks from within.
type crowd chan string

func (c crowd) Accept() (net.Conn, error) {
	peer, ok := <-c
	if !ok {
		return nil, net.ErrClosed
	}
	return &visitor{peer: &net.TCPAddr{IP: net.ParseIP(peer), Port: 1}}, nil
}

func (crowd) Close() error   { return nil }
func (crowd) Addr() net.Addr { return &net.TCPAddr{} }

// visitor is a connection of which only the peer's address is real.
type visitor struct {
	net.Conn
	peer net.Addr
}

func (v *visitor) RemoteAddr() net.Addr { return v.peer }
func (*visitor) Close() error           { return nil }

func TestConnectionsOfOneAddressAreBounded(t *testing.T) {
	proxies := clientaddr.Prefixes{netip.MustParsePrefix("10.0.0.0/8")}
	for name, c := range map[string]struct {
		peers string
		want  string // who gets in, while nobody leaves
	}{
		"one address":       {"192.0.2.1 192.0.2.1 192.0.2.1 192.0.2.1", "192.0.2.1 192.0.2.1"},
		"another":           {"192.0.2.1 192.0.2.1 192.0.2.1 192.0.2.2", "192.0.2.1 192.0.2.1 192.0.2.2"},
		"mapped into IPv6":  {"192.0.2.1 ::ffff:192.0.2.1 192.0.2.1", "192.0.2.1 192.0.2.1"},
		"this machine":      {"127.0.0.1 127.0.0.1 127.0.0.1 ::1", "127.0.0.1 127.0.0.1 127.0.0.1 ::1"},
		"a trusted proxy":   {"10.0.0.1 10.0.0.1 10.0.0.1", "10.0.0.1 10.0.0.1 10.0.0.1"},
		"beyond all bounds": {"10.0.0.1 10.0.0.1 10.0.0.1 10.0.0.1 192.0.2.1", "10.0.0.1 10.0.0.1 10.0.0.1 10.0.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			peers := strings.Fields(c.peers)
			arrivals := make(crowd, len(peers))
			for _, peer := range peers {
				arrivals <- peer
			}
			close(arrivals)
			listener := newBoundedListener(arrivals, 4, 2, proxies, false)
			var in []string
			var conns []net.Conn
			for {
				conn, err := listener.Accept()
				if err != nil {
					if !errors.Is(err, net.ErrClosed) {
						t.Fatal(err)
					}
					break
				}
				conns, in = append(conns, conn), append(in, clientaddr.Of(conn.RemoteAddr()).String())
			}
			if got := strings.Join(in, " "); got != c.want {
				t.Errorf("got in: %s; want %s", got, c.want)
			}
			for _, conn := range append(conns, conns...) { // twice: a second Close gives nothing back again
				_ = conn.Close()
			}
			if len(listener.open) != 0 || len(listener.byIP) != 0 {
				t.Errorf("%d connections and %d addresses are left", len(listener.open), len(listener.byIP))
			}
		})
	}
}

func TestAPlaceThatIsLeftIsTakenAgain(t *testing.T) {
	arrivals := make(crowd, 2)
	listener := newBoundedListener(arrivals, 4, 1, nil, false)
	for range 3 {
		arrivals <- "192.0.2.1"
		conn, err := listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.Close(); err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
	}
}
