package http_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hooktroupe/hooktroupe/http"
)

// smuggled is a second request that hides behind the first: whoever executes it was fooled about where the first ends.
const smuggled = "POST /webhooks/shop HTTP/1.1\r\nHost: x\r\nX-Token: good\r\nContent-Length: 8\r\n\r\nsmuggled"

func TestAmbiguousFramingIsRefusedAndTheConnectionClosed(t *testing.T) {
	d := start(t, http.Config{})
	start := "POST /webhooks/shop HTTP/1.1\r\nHost: x\r\nX-Token: good\r\n"
	for name, request := range map[string]string{
		"transfer-encoding identity":          start + "Transfer-Encoding: identity\r\n\r\n",
		"identity beside content-length":      start + "Transfer-Encoding: identity\r\nContent-Length: 2\r\n\r\n{}",
		"chunked beside content-length":       start + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"content-length after chunked":        start + "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n",
		"chunked twice":                       start + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"chunked in a list":                   start + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
		"chunked with a blank in the name":    start + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
		"chunked behind a vertical tab":       start + "Transfer-Encoding: \vchunked\r\n\r\n0\r\n\r\n",
		"content-length twice":                start + "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
		"content-length in a list":            start + "Content-Length: 2, 2\r\n\r\n{}",
		"content-length with a sign":          start + "Content-Length: +2\r\n\r\n{}",
		"content-length below zero":           start + "Content-Length: -2\r\n\r\n{}",
		"content-length beyond all numbers":   start + "Content-Length: 99999999999999999999\r\n\r\n{}",
		"http 1.0 with chunks":                "POST /webhooks/shop HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"folded header line":                  start + "X-A: b\r\n c\r\nContent-Length: 0\r\n\r\n",
		"folded with a tab":                   start + "X-A: b\r\n\tTransfer-Encoding: chunked\r\n\r\n",
		"bare LF between headers":             start + "X-A: b\nContent-Length: 0\r\n\r\n",
		"bare LF as the first end of a line":  "POST /webhooks/shop HTTP/1.1\r\nHost: x\nContent-Length: 0\r\n\r\n",
		"bare CR within a value":              start + "X-A: b\rContent-Length: 0\r\n\r\n",
		"NUL within a value":                  start + "X-A: b\x00c\r\nContent-Length: 0\r\n\r\n",
		"blank within a name":                 start + "X A: b\r\nContent-Length: 0\r\n\r\n",
		"no name":                             start + ": b\r\nContent-Length: 0\r\n\r\n",
		"no colon":                            start + "nonsense\r\nContent-Length: 0\r\n\r\n",
		"two hosts":                           start + "Host: y\r\nContent-Length: 0\r\n\r\n",
		"chunk of no size":                    start + "Transfer-Encoding: chunked\r\n\r\n\r\n0\r\n\r\n",
		"chunk with a signed size":            start + "Transfer-Encoding: chunked\r\n\r\n+2\r\n{}\r\n0\r\n\r\n",
		"chunk with a size in C":              start + "Transfer-Encoding: chunked\r\n\r\n0x2\r\n{}\r\n0\r\n\r\n",
		"chunk of a size beyond all numbers":  start + "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff2\r\n{}\r\n",
		"chunk that is longer than announced": start + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}}\r\n0\r\n\r\n",
		"chunk extension with a bare LF":      start + "Transfer-Encoding: chunked\r\n\r\n2;a\nb\r\n{}\r\n0\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			w := dial(t, d.Addr()).send(request + smuggled)
			resp, body := w.receive()
			if resp.StatusCode != 400 || !resp.Close || resp.Header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("got %d, close %v, %s", resp.StatusCode, resp.Close, body)
			}
			if !w.closed() {
				t.Error("the connection goes on")
			}
		})
	}
	if len(d.taken) != 0 {
		t.Errorf("%d deliveries were taken, the first of %q", len(d.taken), (<-d.taken).GetBody())
	}
}

func TestSoundRequestsShareAConnection(t *testing.T) {
	d := start(t, http.Config{})
	w := dial(t, d.Addr())
	chunked := "POST /webhooks/shop HTTP/1.1\r\nHost: x\r\nX-Token: good\r\nTransfer-Encoding: chunked\r\n\r\n" +
		"2;ext=1\r\n{\"\r\n3\r\na\":\r\n2\r\n1}\r\n0\r\n\r\n"
	w.send(chunked + post("second") + chunked) // pipelined
	for i, want := range []string{`{"a":1}`, "second", `{"a":1}`} {
		if resp, body := w.receive(); resp.StatusCode != 202 {
			t.Fatalf("request %d: %d %s", i, resp.StatusCode, body)
		}
		if got := string((<-d.taken).GetBody()); got != want {
			t.Errorf("request %d has the body %q, want %q", i, got, want)
		}
	}
}

func TestASignatureInATrailerProvesNothing(t *testing.T) {
	d := start(t, http.Config{})
	for _, announced := range []string{"", "Trailer: X-Token\r\n"} {
		resp, body := dial(t, d.Addr()).send("POST /webhooks/shop HTTP/1.1\r\nHost: x\r\n" + announced +
			"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX-Token: good\r\n\r\n").receive()
		if resp.StatusCode != 401 {
			t.Errorf("announced %q: %d %s", announced, resp.StatusCode, body)
		}
	}
}

func TestBoundsOfTheHeaderBlock(t *testing.T) {
	d := start(t, http.Config{MaxHeaderBytes: 4096})
	fits := get("/healthz", "X-A: "+strings.Repeat("a", 3000)+"\r\n")
	if resp, _ := dial(t, d.Addr()).send(fits).receive(); resp.StatusCode != 200 {
		t.Errorf("a header block within the bound: %d", resp.StatusCode)
	}
	w := dial(t, d.Addr()).send(get("/healthz", "X-A: "+strings.Repeat("a", 4200)+"\r\n"))
	resp, body := w.receive()
	if resp.StatusCode != 431 || !resp.Close || !strings.Contains(body, "header-too-large") {
		t.Errorf("a header block beyond the bound: %d %s", resp.StatusCode, body)
	}
}

func TestASlowRequestTimesOut(t *testing.T) {
	d := start(t, http.Config{ReadTimeout: 50 * time.Millisecond})
	for name, request := range map[string]string{
		"header": "POST /webhooks/shop HTTP/1.1\r\nHost:",
		"body":   "POST /webhooks/shop HTTP/1.1\r\nHost: x\r\nX-Token: good\r\nContent-Length: 9\r\n\r\n{",
		"long":   fmt.Sprintf("POST /hook HTTP/1.1\r\nHost: x\r\nContent-Length: 9000\r\n\r\n%s", strings.Repeat("x", 8500)),
	} {
		w := dial(t, d.Addr()).send(request)
		resp, body := w.receive()
		if resp.StatusCode != 408 || !resp.Close || !strings.Contains(body, "request-timeout") {
			t.Errorf("%s: got %d, close %v, %s", name, resp.StatusCode, resp.Close, body)
		}
		if !w.closed() {
			t.Errorf("%s: the connection goes on", name)
		}
	}
}

func TestExpectIsAnsweredBeforeTheBody(t *testing.T) {
	d := start(t, http.Config{MaxBodyBytes: 10})
	ask := func(path string, size int) *wire {
		return dial(t, d.Addr()).send(fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nX-Token: good\r\n"+
			"Content-Length: %d\r\nExpect: 100-continue\r\n\r\n", path, size))
	}
	w := ask("/webhooks/shop", 2)
	if resp, _ := w.receive(); resp.StatusCode != 100 {
		t.Fatalf("got %d, want 100", resp.StatusCode)
	}
	if resp, _ := w.send("{}").receive(); resp.StatusCode != 202 {
		t.Errorf("after 100 Continue: %d", resp.StatusCode)
	}
	for _, c := range []struct {
		path       string
		size, want int
	}{{"/webhooks/shop", 11, 413}, {"/webhooks/none", 2, 404}} {
		w := ask(c.path, c.size)
		if resp, _ := w.receive(); resp.StatusCode != c.want || !resp.Close {
			t.Errorf("%s with %d bytes: %d, close %v", c.path, c.size, resp.StatusCode, resp.Close)
		}
		if !w.closed() {
			t.Error("the connection goes on")
		}
	}
}
