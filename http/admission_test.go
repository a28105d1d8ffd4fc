package http_test

import (
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/pires/go-proxyproto"

	"github.com/hooktroupe/hooktroupe/http"
	"github.com/hooktroupe/hooktroupe/http/clientaddr"
	"github.com/hooktroupe/hooktroupe/http/ingress"
	"github.com/hooktroupe/hooktroupe/http/problem"
	"github.com/hooktroupe/hooktroupe/source"
	"github.com/hooktroupe/hooktroupe/source/cloudevents"
)

const (
	friend   = "203.0.113.7"
	stranger = "198.51.100.9"
)

// picky is the source shop for friend and for whoever is on this machine.
func picky(t *testing.T) ingress.Entry {
	t.Helper()
	allow, err := clientaddr.ParsePrefixes("allow", []string{friend, "2001:db8::/32", "127.0.0.0/8"})
	if err != nil {
		t.Fatal(err)
	}
	return ingress.Entry{Name: "shop", Source: tokenSource{}, Allow: allow}
}

// local trusts this machine as a proxy.
func local(scheme string) http.Config {
	return http.Config{ClientAddress: scheme, TrustedProxies: []string{"127.0.0.1"}}
}

// postFrom is post with a header line.
func postFrom(line string) string {
	return strings.Replace(post("{}"), "Host:", line+"\r\nHost:", 1)
}

func TestAllowListsSeeTheClientBehindTheProxy(t *testing.T) {
	const xff, fwd = "x-forwarded-for", "forwarded"
	for name, c := range map[string]struct {
		scheme, line string
		want         int
	}{
		"nobody is believed":        {"", "X-Forwarded-For: " + stranger, 202},
		"a friend":                  {xff, "X-Forwarded-For: " + friend, 202},
		"a friend of IPv6":          {xff, "X-Forwarded-For: 2001:db8::1", 202},
		"a stranger":                {xff, "X-Forwarded-For: " + stranger, 403},
		"a stranger who lies":       {xff, "X-Forwarded-For: " + friend + ", " + stranger, 403},
		"a stranger in two lines":   {xff, "X-Forwarded-For: " + friend + "\r\nx-forwarded-for: " + stranger, 403},
		"the proxy itself":          {xff, "X-Other: 1", 202},
		"somebody hidden":           {xff, "X-Forwarded-For: unknown", 403},
		"the header of the other":   {xff, "Forwarded: for=" + stranger, 202},
		"a friend, by Forwarded":    {fwd, "Forwarded: for=" + friend, 202},
		"a stranger, by Forwarded":  {fwd, "Forwarded: for=" + friend + ", for=" + stranger, 403},
		"somebody hidden, likewise": {fwd, "Forwarded: for=_hidden", 403},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := http.Config{}
			if c.scheme != "" {
				cfg = local(c.scheme)
			}
			d := start(t, cfg, picky(t))
			if resp, body := dial(t, d.Addr()).send(postFrom(c.line)).receive(); resp.StatusCode != c.want {
				t.Errorf("%d %s", resp.StatusCode, body)
			}
			if got := len(d.taken); got != (403-c.want)/201 {
				t.Errorf("%d were stored", got)
			}
		})
	}
}

// One connection of a proxy carries the requests of many clients.
func TestEachRequestHasItsOwnClient(t *testing.T) {
	d := start(t, local("x-forwarded-for"), picky(t))
	w := dial(t, d.Addr())
	for range 2 {
		if resp, body := w.send(postFrom("X-Forwarded-For: " + friend)).receive(); resp.StatusCode != 202 {
			t.Fatalf("the friend: %d %s", resp.StatusCode, body)
		}
	}
	if resp, _ := w.send(postFrom("X-Forwarded-For: " + stranger)).receive(); resp.StatusCode != 403 {
		t.Errorf("the stranger: %d", resp.StatusCode)
	}
}

func TestStrangersAreRefusedBeforeTheBody(t *testing.T) {
	d := start(t, local("x-forwarded-for"), picky(t))
	ahead := strings.Repeat("x", 8<<10) // what the server reads before it asks anybody
	for expect, body := range map[string]string{"": ahead, "Expect: 100-continue\r\n": ""} {
		w := dial(t, d.Addr()).send("POST /webhooks/shop HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: " + stranger + "\r\n" +
			expect + "X-Token: good\r\nContent-Length: 20000\r\n\r\n" + body)
		resp, body := w.receive()
		if resp.StatusCode != 403 || !resp.Close || expect == "" && !strings.Contains(body, problem.AddressRefused.Type()) {
			t.Errorf("%q: %d, close %t, %s", expect, resp.StatusCode, resp.Close, body)
		}
	}
	if want := `ingress_rejected_total{reason="address_refused",source="shop"} 2`; !strings.Contains(scrape(t, d), want) {
		t.Errorf("no %s in\n%s", want, scrape(t, d))
	}
	if entry := d.log.LastEntry(); entry.Data["client.address"] != stranger || entry.Data["reason"] != "address_refused" {
		t.Errorf("logged: %v", entry.Data)
	}
}

// A trailer joins fasthttp's headers when the body was read; it names no client.
func TestATrailerNamesNoClient(t *testing.T) {
	for scheme, c := range map[string]struct {
		form string
		want int // the refusal of a friend without a token, unless fasthttp has forbidden such a trailer
	}{"x-forwarded-for": {"X-Forwarded-For: %s\r\n", 400}, "forwarded": {"Forwarded: for=%s\r\n", 401}} {
		name, _, _ := strings.Cut(c.form, ":")
		for _, announced := range []string{"", "Trailer: " + name + "\r\n"} {
			d := start(t, local(scheme), picky(t))
			resp, _ := dial(t, d.Addr()).send("POST /webhooks/shop HTTP/1.1\r\nHost: x\r\n" + announced +
				fmt.Sprintf(c.form, friend) + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n" +
				fmt.Sprintf(c.form, stranger) + "\r\n").receive()
			if resp.StatusCode != c.want {
				t.Errorf("%s, announced %q: %d, want %d", scheme, announced, resp.StatusCode, c.want)
			}
			for _, entry := range d.log.AllEntries() {
				if got, told := entry.Data["client.address"]; told && got != friend {
					t.Errorf("%s, announced %q: logged as %v", scheme, announced, got)
				}
			}
		}
	}
}

// proxyHeader is the header of a PROXY version for a client.
func proxyHeader(t *testing.T, version byte, client string) string {
	t.Helper()
	to := &net.TCPAddr{IP: net.ParseIP("192.0.2.80"), Port: 80}
	if strings.Contains(client, ":") {
		to.IP = net.ParseIP("2001:db8::80")
	}
	text, err := proxyproto.HeaderProxyFromAddrs(version, &net.TCPAddr{IP: net.ParseIP(client), Port: 4711}, to).Format()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// v2Local is a PROXY header of version 2 by which a proxy speaks for itself.
const v2Local = "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"

func TestProxyProtocolOfATrustedPeer(t *testing.T) {
	for name, c := range map[string]struct {
		header string
		want   int // 0: nothing is answered
	}{
		"a friend, version 1":         {proxyHeader(t, 1, friend), 202},
		"a friend, version 2":         {proxyHeader(t, 2, friend), 202},
		"a friend of IPv6, version 1": {proxyHeader(t, 1, "2001:db8::1"), 202},
		"a friend of IPv6, version 2": {proxyHeader(t, 2, "2001:db8::1"), 202},
		"a stranger, version 1":       {proxyHeader(t, 1, stranger), 403},
		"a stranger, version 2":       {proxyHeader(t, 2, stranger), 403},
		"the proxy, version 1":        {"PROXY UNKNOWN\r\n", 202},
		"the proxy, version 2":        {v2Local, 202},
		"no header":                   {"", 0},
		"a header that is broken":     {"PROXY TCP4 nonsense\r\n", 0},
		"a header without an end":     {"PROXY TCP4 " + strings.Repeat("1", 200), 0},
		"version 2, endless":          {v2Local[:12] + "\x21\x11\xff\xff" + strings.Repeat("x", 1<<16), 0},
	} {
		t.Run(name, func(t *testing.T) {
			d := start(t, local("proxy-protocol"), picky(t))
			w := dial(t, d.Addr())
			_, _ = w.conn.Write([]byte(c.header + post("{}"))) // the other end may be gone before all was written
			if c.want == 0 {
				if !w.closed() {
					t.Error("it is answered")
				}
				return
			}
			if resp, body := w.receive(); resp.StatusCode != c.want {
				t.Errorf("%d %s", resp.StatusCode, body)
			}
		})
	}
}

func TestProxyProtocolOfAnybodyElseIsRefused(t *testing.T) {
	d := start(t, http.Config{ClientAddress: "proxy-protocol", TrustedProxies: []string{"192.0.2.1"}}, picky(t))
	for _, version := range []byte{1, 2} {
		if w := dial(t, d.Addr()).send(proxyHeader(t, version, friend) + post("{}")); !w.closed() {
			t.Errorf("version %d is answered", version)
		}
	}
	if resp, body := dial(t, d.Addr()).send(post("{}")).receive(); resp.StatusCode != 202 {
		t.Errorf("without the header: %d %s", resp.StatusCode, body)
	}
}

func TestAProxyThatSaysNothingIsNotWaitedFor(t *testing.T) {
	cfg := local("proxy-protocol")
	cfg.ReadTimeout = 500 * time.Millisecond
	d := start(t, cfg, picky(t))
	silent := dial(t, d.Addr())
	if resp, _ := dial(t, d.Addr()).send(proxyHeader(t, 2, friend) + post("{}")).receive(); resp.StatusCode != 202 {
		t.Errorf("beside one who says nothing: %d", resp.StatusCode)
	}
	if !silent.closed() {
		t.Error("who says nothing is answered")
	}
}

func TestProxyProtocolIsForDeliveriesOnly(t *testing.T) {
	cfg := local("proxy-protocol")
	cfg.AdminListen = "127.0.0.1:0"
	d := start(t, cfg, picky(t))
	if resp, _ := dial(t, d.AdminAddr()).send(get("/healthz", "")).receive(); resp.StatusCode != 200 {
		t.Errorf("the probe of this machine: %d", resp.StatusCode)
	}
}

func TestProxyProtocolComesBeforeTLS(t *testing.T) {
	cfg := local("proxy-protocol")
	cfg.TLSCert, cfg.TLSKey = writePair(t, t.TempDir(), 1)
	d := start(t, cfg, picky(t))
	for client, want := range map[string]int{friend: 202, stranger: 403} {
		w := dial(t, d.Addr()).send(proxyHeader(t, 2, client))
		secure := tls.Client(w.conn, &tls.Config{InsecureSkipVerify: true})
		w.conn = secure
		w.Reset(secure)
		if resp, body := w.send(post("{}")).receive(); resp.StatusCode != want {
			t.Errorf("%s: %d %s", client, resp.StatusCode, body)
		}
	}
}

// An address may hold a token, of a source that takes it there or of a sender that is mistaken.
func TestQueriesAreNeverLogged(t *testing.T) {
	const hush = "hush-hush"
	d := start(t, http.Config{MaxHeaderBytes: 4096}, ingress.Entry{Name: "shop", Source: tokenSource{}, Rate: 1, Burst: 3})
	for _, request := range []string{
		post("{}"), post("panic"), strings.Replace(post("{}"), "good", "bad", 1), post("{}"), post("{}"),
		strings.Replace(post("{}"), "/shop", "/none", 1), strings.Replace(post("{}"), "POST", "PUT", 1),
		get("/webhooks/shop", ""), get("/api/v1/tasks", ""), get("/webhooks/shop", "Broken\r\n"),
		get("/webhooks/shop", "X: "+strings.Repeat("x", 5000)+"\r\n"), "POST /webhooks/shop HTP\r\n\r\n",
	} {
		target := strings.Fields(request)[1]
		dial(t, d.Addr()).send(strings.Replace(request, target, target+"?access_token="+hush, 1)).receive()
	}
	if len(d.log.AllEntries()) < 5 {
		t.Errorf("only %d entries: nothing was tried", len(d.log.AllEntries()))
	}
	for _, entry := range d.log.AllEntries() {
		if text := fmt.Sprint(entry.Message, entry.Data); strings.Contains(text, hush) {
			t.Errorf("logged: %s", text)
		}
	}
}

func TestOnlyHandshakesAreOptions(t *testing.T) {
	events, err := cloudevents.New(source.Config{Name: "events", Type: "cloudevents", Secrets: []source.Secret{{Value: []byte("x")}}})
	if err != nil {
		t.Fatal(err)
	}
	d := start(t, http.Config{},
		ingress.Entry{Name: "events", Source: events}, ingress.Entry{Name: "shop", Source: tokenSource{}})
	const ask = "WebHook-Request-Origin: sender.example\r\n"
	for name, c := range map[string]struct {
		path, header string
		want         int
	}{
		"handshake":             {"events", ask, 200},
		"nobody asks":           {"events", "", 405},
		"a browser asks":        {"events", ask + "Access-Control-Request-Method: POST\r\n", 405},
		"a source without":      {"shop", ask, 405},
		"a source there is not": {"none", ask, 404},
	} {
		resp, body := dial(t, d.Addr()).
			send("OPTIONS /webhooks/" + c.path + " HTTP/1.1\r\nHost: x\r\n" + c.header + "\r\n").receive()
		if resp.StatusCode != c.want {
			t.Errorf("%s: %d %s", name, resp.StatusCode, body)
		}
		origin, rate := resp.Header.Get("WebHook-Allowed-Origin"), resp.Header.Get("WebHook-Allowed-Rate")
		if consent := c.want == 200; consent != (origin == "sender.example") || consent != (rate == "*") {
			t.Errorf("%s: allowed origin %q, rate %q", name, origin, rate)
		}
		if c.want != 404 && resp.Header.Get("Allow") != "POST" {
			t.Errorf("%s: Allow: %q", name, resp.Header.Get("Allow"))
		}
	}
	if len(d.taken) > 0 {
		t.Error("a handshake was stored")
	}
}
