package ingress_test

import (
	"io"
	"net"
	"net/netip"
	"testing"

	"github.com/sirupsen/logrus"
	"github.com/valyala/fasthttp"

	"github.com/hooktroupe/hooktroupe/http/ingress"
	"github.com/hooktroupe/hooktroupe/internal/clock"
	"github.com/hooktroupe/hooktroupe/messages"
	"github.com/hooktroupe/hooktroupe/metrics"
)

func TestClientAddress(t *testing.T) {
	const proxy, client, liar = "10.0.0.1", "203.0.113.7", "198.51.100.9"
	for name, c := range map[string]struct {
		peer, forwarded, want string
	}{
		"no proxy":                   {client, "", client},
		"a client that claims":       {client, "X-Forwarded-For: " + liar + "\r\n", client},
		"a proxy that says nothing":  {proxy, "", proxy},
		"a proxy":                    {proxy, "X-Forwarded-For: " + client + "\r\n", client},
		"a client that lied before":  {proxy, "X-Forwarded-For: " + liar + ", " + client + "\r\n", client},
		"lines of its own":           {proxy, "X-Forwarded-For: " + liar + "\r\nx-forwarded-for: " + client + "\r\n", client},
		"two proxies":                {proxy, "X-Forwarded-For: " + client + ", 10.0.0.2\r\n", client},
		"a hop that is no address":   {proxy, "X-Forwarded-For: " + client + ", somewhere\r\n", proxy},
		"IPv4 within IPv6":           {"::ffff:" + proxy, "X-Forwarded-For: ::ffff:" + client + "\r\n", client},
		"nothing but proxies":        {proxy, "X-Forwarded-For: 10.0.0.3, 10.0.0.2\r\n", "10.0.0.3"},
		"a proxy that is not listed": {"10.9.0.1", "X-Forwarded-For: " + client + "\r\n", "10.9.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			log := logrus.New()
			log.SetOutput(io.Discard)
			cfg := ingress.Config{TrustedProxies: ingress.Prefixes{netip.MustParsePrefix("10.0.0.0/16")}}
			in := ingress.New(cfg, ingress.Dependencies{
				Acceptor: &lastDelivery{}, Router: func(*messages.Delivery) bool { return true },
				Clock: clock.Real{}, Metrics: metrics.New(), Log: log,
			})
			src := &lastRequest{}
			table, err := ingress.NewTable(cfg, []ingress.Entry{{Name: "shop", Source: src}})
			if err != nil {
				t.Fatal(err)
			}
			in.SetTable(table)
			ctx := new(fasthttp.RequestCtx)
			ctx.Init(&fasthttp.Request{}, &net.TCPAddr{IP: net.ParseIP(c.peer), Port: 1}, nil)
			readHeader(t, ctx, "POST /webhooks/shop HTTP/1.1\r\nHost: x\r\n"+c.forwarded+"\r\n")
			in.Handle(ctx)
			if got := src.req.ClientAddr.String(); got != c.want {
				t.Errorf("the client is %s, want %s", got, c.want)
			}
		})
	}
}
