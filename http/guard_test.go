package http_test

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/hooktroupe/hooktroupe/http"
	"github.com/hooktroupe/hooktroupe/http/auth"
)

func digest(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// command is a POST to the API.
func command(host, headers string) string {
	return "POST /api/v1/tasks/a/retry HTTP/1.1\r\nHost: " + host + "\r\n" + headers + "Content-Length: 0\r\n\r\n"
}

func TestTokensOpenTheAPI(t *testing.T) {
	d := start(t, http.Config{AdminTokens: []string{digest("first"), digest("second")}})
	for header, want := range map[string]int{
		"":                                     401,
		"Authorization: Bearer \r\n":           401,
		"Authorization: Bearer third\r\n":      401,
		"Authorization: Bearer firs\r\n":       401,
		"Authorization: Basic first\r\n":       401,
		"Authorization: " + "first" + "\r\n":   401,
		"Authorization: Bearer first\r\n":      200,
		"Authorization: bearer second\r\n":     200,
		"X-A: b\r\nAuthorization: Bearer \r\n": 401,
	} {
		resp, body := dial(t, d.Addr()).send(get("/metrics", header)).receive()
		if resp.StatusCode != want {
			t.Errorf("%q: %d %s, want %d", header, resp.StatusCode, body, want)
		}
		if want == 401 && (resp.Header.Get("WWW-Authenticate") != "Bearer" || !strings.Contains(body, ":unauthorized")) {
			t.Errorf("%q: %v %s", header, resp.Header, body)
		}
	}
	for request, want := range map[string]int{
		get("/healthz", ""): 200, get("/readyz", ""): 200, post("{}"): 202,
		command("rebound.example", "Authorization: Bearer first\r\nOrigin: https://a\r\n"): 404, // a token is enough
		command("localhost", ""): 401,
	} {
		if resp, _ := dial(t, d.Addr()).send(request).receive(); resp.StatusCode != want {
			t.Errorf("%q: %d, want %d", request, resp.StatusCode, want)
		}
	}
}

func TestBrowsersAreKeptOutWithoutTokens(t *testing.T) {
	d := start(t, http.Config{AllowedHosts: []string{"hooks.internal"}})
	for _, c := range []struct {
		host, headers string
		foreign       bool
	}{
		{"localhost", "", false},
		{"localhost:8080", "", false},
		{"127.0.0.1:8080", "", false},
		{"127.9.9.9", "", false},
		{"[::1]:8080", "", false},
		{"[::1]", "", false},
		{"Hooks.Internal:1", "", false},
		{"rebound.example", "", true},
		{"localhost.rebound.example", "", true},
		{"10.0.0.1", "", true},
		{"localhost", "Sec-Fetch-Site: same-origin\r\n", false},
		{"localhost", "Sec-Fetch-Site: none\r\n", false},
		{"localhost", "Sec-Fetch-Site: cross-site\r\n", true},
		{"localhost", "Sec-Fetch-Site: same-site\r\n", true},
		{"localhost:1", "Origin: http://localhost:1\r\n", false},
		{"localhost:1", "Origin: http://localhost:2\r\n", true},
		{"localhost", "Origin: null\r\n", true},
	} {
		want := 404 // the guard lets it through to a task that is not there
		if c.foreign {
			want = 403
		}
		if resp, body := dial(t, d.Addr()).send(command(c.host, c.headers)).receive(); resp.StatusCode != want {
			t.Errorf("Host %s %q: %d %s, want %d", c.host, c.headers, resp.StatusCode, body, want)
		}
	}
	// Reading is for pages of this origin alone too, which the Host decides.
	read := "GET /api/v1/webhook_statuses HTTP/1.1\r\nHost: rebound.example\r\n\r\n"
	if resp, _ := dial(t, d.Addr()).send(read).receive(); resp.StatusCode != 403 {
		t.Errorf("a rebound name reads: %d", resp.StatusCode)
	}
}

func TestHashedTokensHaveScopes(t *testing.T) {
	d := start(t, http.Config{
		AdminTokens: []string{digest("plain")},
		Tokens: []http.Token{
			{Name: "watcher", Hash: auth.Hash("reads"), Scope: "read"}, {Name: "ci", Hash: auth.Hash("operates"), Scope: "operate"},
		},
	})
	for token, want := range map[string][2]int{
		"reads": {200, 403}, "operates": {200, 404}, "plain": {200, 404}, auth.Hash("reads"): {401, 401},
	} {
		bearer := "Authorization: Bearer " + token + "\r\n"
		for i, request := range []string{get("/metrics", bearer), command("localhost", bearer)} {
			if resp, body := dial(t, d.Addr()).send(request).receive(); resp.StatusCode != want[i] {
				t.Errorf("%s, request %d: %d %s, want %d", token, i, resp.StatusCode, body, want[i])
			}
		}
	}
}

func TestGuessesAreRefusedBeforeTheyAreLookedAt(t *testing.T) {
	d := start(t, http.Config{AdminTokens: []string{digest("right")}})
	ask := func(token string) int {
		t.Helper()
		header := ""
		if token != "" {
			header = "Authorization: Bearer " + token + "\r\n"
		}
		resp, _ := dial(t, d.Addr()).send(get("/metrics", header)).receive()
		if wait := resp.Header.Get("Retry-After"); (resp.StatusCode == 429) != (wait != "") {
			t.Errorf("%d says Retry-After: %q", resp.StatusCode, wait)
		}
		return resp.StatusCode
	}
	for range 50 {
		if code := ask(""); code != 401 {
			t.Fatalf("no token at all: %d", code)
		}
	}
	for range 20 {
		if code := ask("wrong"); code != 401 {
			t.Fatalf("a guess: %d", code)
		}
	}
	if guess, right := ask("wrong"), ask("right"); guess != 429 || right != 429 {
		t.Errorf("after too many: a guess %d, the token %d", guess, right)
	}
	if resp, _ := dial(t, d.Addr()).send(get("/readyz", "")).receive(); resp.StatusCode != 200 {
		t.Errorf("probes: %d", resp.StatusCode)
	}
}
