package forward_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/hooktroupe/hooktroupe/handler"
	"github.com/hooktroupe/hooktroupe/handler/forward"
	"github.com/hooktroupe/hooktroupe/handler/handlertest"
)

func TestTargetsInSoManyNumbers(t *testing.T) {
	allow := []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fd12::/16")}
	for target, want := range map[string]bool{
		"http://93.184.216.34/":          true,
		"https://[2606:4700::6810:84e5]": true,
		"http://127.0.0.1:8080/":         true,
		"http://127.9.9.9/":              true,
		"http://[::1]:8080/":             true,
		"http://[::ffff:127.0.0.1]/":     true,
		"http://localhost/":              true,
		"http://LocalHost/":              true,
		"http://10.1.2.3/":               true,
		"http://[fd12::1]/":              true,
		"http://10.2.0.1/":               false,
		"http://192.168.1.1/":            false,
		"http://172.16.0.1/":             false,
		"http://169.254.169.254/latest":  false,
		"http://100.64.0.1/":             false,
		"http://0.0.0.0/":                false,
		"http://[::]/":                   false,
		"http://[fd00:ec2::254]/":        false,
		"http://[fe80::1]/":              false,
		"http://[::ffff:10.2.0.1]/":      false,
		"http://[64:ff9b::7f00:1]/":      false,
		"http://255.255.255.255/":        false,
	} {
		t.Run(target, func(t *testing.T) {
			_, err := forward.New(forward.Config{URL: target, Allow: allow})
			if want && err != nil {
				t.Errorf("refused: %v", err)
			}
			if !want && !errors.Is(err, forward.ErrDenied) {
				t.Errorf("error %v, want ErrDenied", err)
			}
		})
	}
}

// A name that was harmless when it was configured and resolves to loopback when it is dialled.
func TestNameThatResolvesToADeniedAddress(t *testing.T) {
	for _, name := range []string{"sink.example", "localhost.sink.example", "2130706433.example"} {
		t.Run(name, func(t *testing.T) {
			sink := handlertest.NewRecorder(t)
			target := "http://" + name + ":" + port(t, sink.URL) + "/"
			h := newHandler(t, forward.Config{URL: target}, forward.WithResolver(resolverTo(t, netip.MustParseAddr("127.0.0.1"))))
			_, err := h.Handle(t.Context(), handlertest.NewTask())
			if !errors.Is(err, forward.ErrDenied) || handler.IsDiscard(err) {
				t.Errorf("error %v, want ErrDenied, to be tried again", err)
			}
			if requests := sink.Requests(); len(requests) != 0 {
				t.Errorf("%d requests reached the sink", len(requests))
			}
		})
	}
}

// A name whose owner lets it resolve to an address that may be dialled, and to another one the next time.
func TestNameThatIsReboundToADeniedAddress(t *testing.T) {
	sink := handlertest.NewRecorder(t)
	cfg := forward.Config{
		URL:   "http://sink.example:" + port(t, sink.URL) + "/",
		Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")},
	}
	for _, rebound := range []string{"127.0.0.2", "169.254.169.254", "10.0.0.1", "0.0.0.0"} {
		h := newHandler(t, cfg, forward.WithResolver(
			resolverTo(t, netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr(rebound))))
		if _, err := h.Handle(t.Context(), handlertest.NewTask()); err != nil {
			t.Fatal(err)
		}
		h.Close() // the next attempt dials anew
		if _, err := h.Handle(t.Context(), handlertest.NewTask()); !errors.Is(err, forward.ErrDenied) {
			t.Errorf("rebound to %s: %v, want ErrDenied", rebound, err)
		}
	}
	if requests := sink.Requests(); len(requests) != 4 {
		t.Errorf("%d requests reached the sink, want those before", len(requests))
	}
}

func TestNameThatResolvesToAnAllowedAddress(t *testing.T) {
	sink := handlertest.NewRecorder(t)
	cfg := forward.Config{
		URL:   "http://sink.example:" + port(t, sink.URL) + "/",
		Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
	}
	h := newHandler(t, cfg, forward.WithResolver(resolverTo(t, netip.MustParseAddr("127.0.0.1"))))
	if _, err := h.Handle(t.Context(), handlertest.NewTask()); err != nil {
		t.Fatal(err)
	}
	if host := sink.Next(t).Host; !strings.HasPrefix(host, "sink.example:") {
		t.Errorf("Host: %q, want the name in the URL", host)
	}
}

// Proxy variables never hold for loopback addresses, so the sink has a name; TestMain has set them.
func TestProxyVariablesAreIgnored(t *testing.T) {
	sink := handlertest.NewRecorder(t)
	target := "http://sink.example:" + port(t, sink.URL) + "/"
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, target, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if proxy, err := http.ProxyFromEnvironment(req); err != nil || proxy == nil || proxy.String() != deadProxy {
		t.Fatalf("the environment names the proxy %v, %v; want %s", proxy, err, deadProxy)
	}
	cfg := forward.Config{URL: target, Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}
	h := newHandler(t, cfg, forward.WithResolver(resolverTo(t, netip.MustParseAddr("127.0.0.1"))))
	if _, err := h.Handle(t.Context(), handlertest.NewTask()); err != nil {
		t.Fatal(err)
	}
	if n := len(sink.Requests()); n != 1 {
		t.Errorf("%d requests reached the sink, want 1", n)
	}
}

func port(t *testing.T, url string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// resolverTo returns a resolver whose only name server is one on loopback that answers every question with addr.
func resolverTo(t *testing.T, addrs ...netip.Addr) *net.Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{}) // closed when the name server has stopped
	go func() {
		defer close(done)
		answerQuestions(conn, addrs)
	}()
	t.Cleanup(func() {
		_ = conn.Close() // which ends the name server
		<-done
	})
	return &net.Resolver{
		PreferGo: true,
		Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var dialer net.Dialer
			return dialer.DialContext(ctx, "udp", conn.LocalAddr().String())
		},
	}
}

// answerQuestions serves until the connection is closed: one address after the other, and the last for ever.
func answerQuestions(conn net.PacketConn, addrs []netip.Addr) {
	packet := make([]byte, 512)
	for {
		n, from, err := conn.ReadFrom(packet)
		if err != nil {
			return
		}
		var message dnsmessage.Message
		if err := message.Unpack(packet[:n]); err != nil || len(message.Questions) != 1 {
			continue
		}
		question := message.Questions[0]
		answer := dnsmessage.Message{
			Header:    dnsmessage.Header{ID: message.ID, Response: true, Authoritative: true},
			Questions: message.Questions,
		}
		if question.Type == dnsmessage.TypeA {
			answer.Answers = []dnsmessage.Resource{{
				Header: dnsmessage.ResourceHeader{Name: question.Name, Class: dnsmessage.ClassINET, TTL: 0},
				Body:   &dnsmessage.AResource{A: addrs[0].As4()},
			}}
			addrs = addrs[min(1, len(addrs)-1):]
		}
		if reply, err := answer.Pack(); err == nil {
			_, _ = conn.WriteTo(reply, from)
		}
	}
}
