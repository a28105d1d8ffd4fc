//go:build linux

package ceiling_test

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/valyala/fasthttp/fasthttputil"

	"github.com/hooktroupe/hooktroupe/bench/internal/ceiling"
)

// The vector that GitHub documents.
const (
	secret    = "It's a Secret to Everybody"
	body      = "Hello, World!"
	signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
)

// serving runs a server for as long as the test, and returns what sends it a delivery and reads the status of its answer.
func serving(t *testing.T, v *ceiling.Verifier) func(signature, body string) int {
	t.Helper()
	listener := fasthttputil.NewInmemoryListener()
	served := make(chan error, 1) // the one end of Serve
	go func() { served <- v.Serve(listener) }()
	conn, err := listener.Dial()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(conn.Close(), listener.Close()); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	answers := bufio.NewReader(conn)
	return func(signature, body string) int {
		t.Helper()
		request, err := http.NewRequest(http.MethodPost, "http://x/webhooks/github", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("X-Hub-Signature-256", signature)
		request.Header.Set("X-GitHub-Delivery", "one")
		request.Header.Set("X-GitHub-Event", "push")
		if err := request.Write(conn); err != nil {
			t.Fatal(err)
		}
		response, err := http.ReadResponse(answers, request)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, response.Body); err != nil {
			t.Fatal(err)
		}
		return response.StatusCode
	}
}

func TestVerifier(t *testing.T) {
	send := serving(t, ceiling.NewVerifier(secret))
	for _, c := range []struct {
		name, signature, body string
		want                  int
	}{
		{"proven", signature, body, http.StatusAccepted},
		{"another body", signature, body + "!", http.StatusUnauthorized},
		{"proven again, by the state that was used before", signature, body, http.StatusAccepted},
		{"no signature", "", body, http.StatusUnauthorized},
		{"another hash", "sha1=" + signature[7:47], body, http.StatusUnauthorized},
		{"another prefix", "sha255" + signature[6:], body, http.StatusUnauthorized},
		{"no hex", signature[:70] + "z", body, http.StatusUnauthorized},
	} {
		if got := send(c.signature, c.body); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

// A receiver passes on what is proven and nothing else, and accepts what was kept.
func TestReceiver(t *testing.T) {
	var kept []string // by the one connection's goroutine, before its answer
	var fail error
	send := serving(t, ceiling.NewReceiver(secret, func(d ceiling.Delivery) error {
		kept = append(kept, d.ID+" "+d.Event+" "+string(d.Body))
		return fail
	}))
	if got := send("", body); got != http.StatusUnauthorized || len(kept) > 0 {
		t.Errorf("not proven: %d, %q", got, kept)
	}
	if got := send(signature, body); got != http.StatusAccepted || len(kept) != 1 || kept[0] != "one push "+body {
		t.Errorf("proven: %d, %q", got, kept)
	}
	fail = errors.New("full")
	if got := send(signature, body); got != http.StatusServiceUnavailable || len(kept) != 2 {
		t.Errorf("not kept: %d, %q", got, kept)
	}
}
