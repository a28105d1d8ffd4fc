package ingress_test

import (
	"bytes"
	"io"
	"net"
	"net/netip"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/hooktroupe/hooktroupe/http/clientaddr"
	"github.com/hooktroupe/hooktroupe/http/ingress"
	"github.com/hooktroupe/hooktroupe/source"
)

func TestAllowListsAreAskedFirst(t *testing.T) {
	friend := &net.TCPAddr{IP: net.ParseIP("192.0.2.7"), Port: 1}
	stranger := &net.TCPAddr{IP: net.ParseIP("198.51.100.9"), Port: 1}
	known := netip.MustParseAddr("192.0.2.7")
	const honest, large = "Content-Length: 0\r\n", "Content-Length: 99999999\r\n"
	for name, c := range map[string]struct {
		peer           net.Addr
		method, header string
		want           int
	}{
		"a friend":                     {friend, "POST", honest, 202},
		"a friend, mapped into IPv6":   {&net.TCPAddr{IP: net.ParseIP("::ffff:192.0.2.7")}, "POST", honest, 202},
		"a friend behind a proxy":      {clientaddr.Client{Addr: known}, "POST", honest, 202},
		"a friend, with the wrong way": {friend, "PUT", honest, 405},
		"somebody hidden by a friend":  {clientaddr.Client{Addr: known, Hidden: true}, "POST", honest, 403},
		"nobody":                       {&net.UnixAddr{Name: "@", Net: "unix"}, "POST", honest, 403},
		"a stranger":                   {stranger, "POST", honest, 403},
		"a stranger, too large":        {stranger, "POST", large, 403},
		"a stranger, the wrong way":    {stranger, "PUT", honest, 403},
		"a stranger who greets":        {stranger, "OPTIONS", honest, 403},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, ingress.Config{}, fakeSource{})
			w.setTable(ingress.Config{}, ingress.Entry{
				Name: "shop", Source: &lastRequest{}, Allow: clientaddr.Prefixes{netip.MustParsePrefix("192.0.2.0/24")},
			})
			ctx := new(fasthttp.RequestCtx)
			ctx.Init(&fasthttp.Request{}, c.peer, nil)
			readHeader(t, ctx, c.method+" /webhooks/shop HTTP/1.1\r\nHost: x\r\n"+c.header+"\r\n")
			if got := w.Expect(ctx); (got == 100) != (c.want == 202) || got != 100 && got != c.want {
				t.Errorf("before the body: %d, want %d", got, c.want)
			}
			w.Handle(ctx)
			if got := ctx.Response.StatusCode(); got != c.want {
				t.Errorf("%d %s, want %d", got, ctx.Response.Body(), c.want)
			}
			if refused := c.want == 403; refused && (len(w.acceptor.got) > 0 || !ctx.Response.ConnectionClose()) {
				t.Errorf("stored %d, closes %t", len(w.acceptor.got), ctx.Response.ConnectionClose())
			}
		})
	}
}

func TestDeliveriesBeyondTheRateAreNotStored(t *testing.T) {
	w := newWorld(t, ingress.Config{}, fakeSource{})
	w.setTable(ingress.Config{}, ingress.Entry{Name: "shop", Source: fakeSource{}, Rate: 2})
	for range 5 { // they prove nothing, and take nothing of what is the sender's
		if resp, _ := w.send(request{header: []string{"X-Token", "bad"}}); resp.StatusCode != 401 {
			t.Fatalf("unverified: %d", resp.StatusCode)
		}
	}
	for i, want := range []int{202, 202, 503, 503} {
		resp, body := w.send(request{})
		if resp.StatusCode != want {
			t.Errorf("delivery %d: %d %s", i, resp.StatusCode, body)
		}
		if want == 503 && (resp.Header.Get("Retry-After") != "1" || !resp.Close || !strings.Contains(body, "rate-exceeded")) {
			t.Errorf("delivery %d: %v %s", i, resp.Header, body)
		}
	}
	w.clock.Advance(500 * time.Millisecond)
	for i, want := range []int{202, 503} {
		if resp, _ := w.send(request{}); resp.StatusCode != want {
			t.Errorf("half a second later, delivery %d: %d", i, resp.StatusCode)
		}
	}
	if got := len(w.acceptor.got); got != 3 {
		t.Errorf("%d were stored, want 3", got)
	}
	if got := count(t, w.metrics.Ingress.Rejected.With("shop", "rate_exceeded")); got != 3 {
		t.Errorf("%v were counted, want 3", got)
	}
}

func TestRetryAfterIsWhenTheNextMayCome(t *testing.T) {
	for perSecond, want := range map[float64]string{100: "1", 1: "1", 1.0 / 7: "7", 1.0 / 3600: "3600"} {
		w := newWorld(t, ingress.Config{}, fakeSource{})
		w.setTable(ingress.Config{}, ingress.Entry{Name: "shop", Source: fakeSource{}, Rate: perSecond, Burst: 1})
		w.send(request{})
		w.clock.Advance(time.Millisecond) // the part of a second that is left counts as a whole one
		resp, _ := w.send(request{})
		if got := resp.Header.Get("Retry-After"); resp.StatusCode != 503 || got != want {
			t.Errorf("%g/s: %d, Retry-After %q, want %s", perSecond, resp.StatusCode, got, want)
			continue
		}
		seconds, _ := strconv.Atoi(want)
		w.clock.Advance(time.Duration(seconds) * time.Second)
		if resp, _ := w.send(request{}); resp.StatusCode != 202 {
			t.Errorf("%g/s: %d after the wait", perSecond, resp.StatusCode)
		}
	}
}

// gate verifies nobody before all are there.
type gate struct {
	fakeSource
	missing *atomic.Int32
}

func (g gate) Verify(*source.Request, time.Time) error {
	g.missing.Add(-1)
	for g.missing.Load() > 0 {
		runtime.Gosched()
	}
	return nil
}

// Whoever saw a token while its body was on the way may find it gone.
func TestOneTokenIsTakenOnce(t *testing.T) {
	const senders = 4
	w := newWorld(t, ingress.Config{}, fakeSource{})
	source := gate{missing: new(atomic.Int32)}
	source.missing.Store(senders)
	w.setTable(ingress.Config{}, ingress.Entry{Name: "shop", Source: source, Rate: 1, Burst: 1})
	codes := make(chan int, senders)
	for range senders {
		go func() {
			resp, _ := w.send(request{})
			codes <- resp.StatusCode
		}()
	}
	counts := map[int]int{}
	for range senders {
		counts[<-codes]++
	}
	if counts[202] != 1 || counts[503] != senders-1 || len(w.acceptor.got) != 1 {
		t.Errorf("answers %v, %d stored", counts, len(w.acceptor.got))
	}
}

// What is refused for want of room is told when to come again, and leaves nothing behind.
func TestWantOfRoomStoresNothing(t *testing.T) {
	for name, c := range map[string]struct {
		cfg  ingress.Config
		body int
	}{
		"requests": {ingress.Config{MaxInflightRequests: 1}, 1},
		"bytes":    {ingress.Config{MaxBodyBytes: 66_000, MaxInflightBytes: 66_000}, 1000}, // small, so that it is sent before it is refused
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, c.cfg, fakeSource{})
			slow, pen := io.Pipe()
			first := make(chan int)
			go func() {
				resp, _ := w.send(request{body: slow})
				first <- resp.StatusCode
			}()
			if _, err := pen.Write([]byte("the first")); err != nil {
				t.Fatal(err)
			}
			for count(t, w.metrics.Ingress.InflightBytes) == 0 { // its body gets 64 KiB once it is read
				runtime.Gosched()
			}
			for range 3 {
				resp, body := w.send(request{body: bytes.NewReader(make([]byte, c.body))})
				if resp.StatusCode != 503 || resp.Header.Get("Retry-After") != "1" || !strings.Contains(body, "overloaded") {
					t.Errorf("%d %v %s", resp.StatusCode, resp.Header, body)
				}
			}
			_ = pen.Close()
			if got := <-first; got != 202 {
				t.Errorf("the first: %d", got)
			}
			if got := w.acceptor.got; len(got) != 1 || string(got[0].GetBody()) != "the first" {
				t.Errorf("%d were stored, want the first only", len(got))
			}
			if got := count(t, w.metrics.Ingress.Rejected.With("shop", "overloaded")); got != 3 {
				t.Errorf("%v were counted, want 3", got)
			}
			if left := count(t, w.metrics.Ingress.InflightBytes); left != 0 {
				t.Errorf("%v bytes are still taken", left)
			}
		})
	}
}

func TestNewTableJudgesTheRate(t *testing.T) {
	for _, c := range []struct {
		rate  float64
		burst int
		ok    bool
	}{
		{0, 0, true}, {1, 0, true}, {1, 1, true}, {ingress.MaxRate, ingress.MaxRate, true}, {0.001, 5, true},
		{-1, 0, false}, {ingress.MaxRate + 1, 0, false}, {1, -1, false}, {1, ingress.MaxRate + 1, false}, {0, 1, false},
	} {
		_, err := ingress.NewTable(ingress.Config{}, []ingress.Entry{
			{Name: "shop", Source: fakeSource{}, Rate: c.rate, Burst: c.burst},
		})
		if (err == nil) != c.ok || err != nil && !strings.Contains(err.Error(), "rate:") {
			t.Errorf("%g with a burst of %d: %v", c.rate, c.burst, err)
		}
	}
}
