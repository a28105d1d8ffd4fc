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

func TestVerifier(t *testing.T) {
	listener := fasthttputil.NewInmemoryListener()
	served := make(chan error, 1) // the one end of Serve
	go func() { served <- ceiling.NewVerifier(secret).Serve(listener) }()
	conn, err := listener.Dial()
	if err != nil {
		t.Fatal(err)
	}
	answers := bufio.NewReader(conn)
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
		request, err := http.NewRequest(http.MethodPost, "http://x/webhooks/github", strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("X-Hub-Signature-256", c.signature)
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
		if response.StatusCode != c.want {
			t.Errorf("%s: %d, want %d", c.name, response.StatusCode, c.want)
		}
	}
	if err := errors.Join(conn.Close(), listener.Close()); err != nil {
		t.Fatal(err)
	}
	if err := <-served; err != nil {
		t.Errorf("Serve: %v", err)
	}
}
