package http

import (
	"net"
	"time"

	"github.com/pires/go-proxyproto"

	"github.com/hooktroupe/hooktroupe/http/clientaddr"
)

// proxyHeaderTimeout bounds the arrival of a PROXY header. A proxy sends it with the first packet; a ReadTimeout that is
// shorter wins.
const proxyHeaderTimeout = 5 * time.Second

// proxied has the connections of trusted peers begin with a PROXY header of version 1 or 2, whose source is their
// RemoteAddr from then on. Without that header such a connection is closed, for nobody knows who speaks; with it, any
// other is, for it claims to be somebody. Either way nothing is answered. The header is read with the connection's first
// byte, on the goroutine that serves it: Accept waits for nobody. A proxy that speaks for itself, to see whether we
// live, is the client.
func proxied(inner net.Listener, trusted clientaddr.Prefixes) net.Listener {
	return &proxyproto.Listener{
		Listener:          inner,
		ReadHeaderTimeout: proxyHeaderTimeout,
		ConnPolicy: func(o proxyproto.ConnPolicyOptions) (proxyproto.Policy, error) {
			if clientaddr.Of(o.Upstream).In(trusted) {
				return proxyproto.REQUIRE, nil
			}
			return proxyproto.REJECT, nil
		},
	}
}
