package http_test

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	nethttp "net/http"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers/legacy"

	"github.com/hooktroupe/hooktroupe/http"
	"github.com/hooktroupe/hooktroupe/http/auth"
)

// page is a browser with one page of an origin open.
type page struct {
	t      *testing.T
	d      *daemon
	origin string // empty for a client that is no browser
	cookie string
}

// ask sends a request as the page would, holds the answer against the contract, and keeps the cookie.
func (p *page) ask(method, path, body string, headers ...string) (*nethttp.Response, string) {
	p.t.Helper()
	var more strings.Builder
	for i := 0; i < len(headers); i += 2 {
		fmt.Fprintf(&more, "%s: %s\r\n", headers[i], headers[i+1])
	}
	if p.origin != "" {
		more.WriteString("Origin: " + p.origin + "\r\n")
	}
	if p.cookie != "" {
		more.WriteString("Cookie: " + p.cookie + "\r\n")
	}
	text := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: hooks.example\r\n%sContent-Length: %d\r\n\r\n%s", method, path, more.String(), len(body), body)
	resp, content := dial(p.t, p.d.Addr()).send(text).receive()
	if strings.HasPrefix(path, "/api/v1/session") {
		hold(p.t, method, path, resp, content)
	}
	for _, c := range resp.Cookies() {
		p.cookie = c.Name + "=" + c.Value
	}
	return resp, content
}

// hold holds an answer against the contract.
func hold(t *testing.T, method, path string, resp *nethttp.Response, content string) {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromFile("status/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	router, err := legacy.NewRouter(doc)
	if err != nil {
		t.Fatal(err)
	}
	request, err := nethttp.NewRequestWithContext(t.Context(), method, "http://localhost"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	route, params, err := router.FindRoute(request)
	if err != nil {
		if method != "PUT" {
			t.Errorf("%s %s is not in the contract: %v", method, path, err)
		}
		return
	}
	err = openapi3filter.ValidateResponse(t.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: request, PathParams: params, Route: route},
		Status:                 resp.StatusCode, Header: resp.Header, Body: io.NopCloser(strings.NewReader(content)),
	})
	if err != nil {
		t.Errorf("%s %s breaks the contract: %v", method, path, err)
	}
}

const (
	retry  = "/api/v1/tasks/a/retry"
	wanted = `{"token": "operates"}`
)

func sessions(t *testing.T) *page {
	t.Helper()
	d := start(t, http.Config{Tokens: []http.Token{
		{Name: "watcher", Hash: auth.Hash("reads"), Scope: "read"}, {Name: "ci", Hash: auth.Hash("operates"), Scope: "operate"},
	}})
	return &page{t: t, d: d, origin: "http://hooks.example"}
}

func TestASessionOfABrowser(t *testing.T) {
	p := sessions(t)
	if resp, _ := p.ask("GET", "/api/v1/session", ""); resp.StatusCode != 401 || p.cookie != "" {
		t.Fatalf("before: %d, cookie %q", resp.StatusCode, p.cookie)
	}
	resp, body := p.ask("POST", "/api/v1/session", wanted)
	var who struct {
		Name, Scope string
		ExpiresAt   *time.Time `json:"expires_at"`
	}
	if err := json.Unmarshal([]byte(body), &who); err != nil || resp.StatusCode != 200 {
		t.Fatalf("login: %d %s", resp.StatusCode, body)
	}
	if who.Name != "ci" || who.Scope != "operate" || who.ExpiresAt == nil || !who.ExpiresAt.Equal(p.d.clock.Now().Add(auth.SessionLife)) {
		t.Errorf("logged in as %+v", who)
	}
	cookie := resp.Header.Get("Set-Cookie")
	for _, part := range []string{"HttpOnly", "SameSite=Strict", "path=/", "max-age=43200"} {
		if !strings.Contains(cookie, part) {
			t.Errorf("the cookie lacks %s: %s", part, cookie)
		}
	}
	if strings.Contains(cookie, "secure") || strings.Contains(cookie, "operates") || strings.Contains(body, "operates") {
		t.Errorf("the cookie is %s, the answer %s", cookie, body)
	}
	// What the browser sends by itself is enough for pages of this origin, and for reading.
	for _, c := range []struct {
		method, path, origin string
		want                 int
	}{
		{"GET", "/metrics", "", 200}, {"GET", "/api/v1/session", "", 200}, {"POST", retry, "http://hooks.example", 404},
		{"POST", retry, "", 403}, {"POST", retry, "http://evil.example", 403}, {"POST", retry, "http://hooks.example:8080", 403},
		{"POST", retry, "null", 403}, {"DELETE", "/api/v1/session", "http://evil.example", 403}, {"DELETE", "/api/v1/session", "", 403},
	} {
		other := *p
		other.origin = c.origin
		if resp, body := other.ask(c.method, c.path, ""); resp.StatusCode != c.want {
			t.Errorf("%+v: %d %s", c, resp.StatusCode, body)
		}
	}
	borne := p.cookie
	resp, _ = p.ask("DELETE", "/api/v1/session", "")
	if resp.StatusCode != 204 || !strings.HasSuffix(p.cookie, "=") {
		t.Errorf("logout: %d, the cookie is %q", resp.StatusCode, p.cookie)
	}
	p.cookie = borne
	if resp, _ := p.ask("GET", "/metrics", ""); resp.StatusCode != 401 {
		t.Errorf("the cookie still opens: %d", resp.StatusCode)
	}
	p.ask("DELETE", "/api/v1/session", "") // again, without a session
	var actions []string
	for _, r := range p.d.trail.Newest(9) {
		actions = append(actions, r.Who.Name+" "+r.Action)
	}
	if got := strings.Join(actions, ", "); got != "ci session.close, ci task.retry, ci session.open" {
		t.Errorf("the audit holds %s", got)
	}
}

func TestSessionsEnd(t *testing.T) {
	p := sessions(t)
	p.ask("POST", "/api/v1/session", wanted)
	for range 5 {
		p.d.clock.Advance(auth.SessionIdle - time.Second)
		if resp, _ := p.ask("GET", "/metrics", ""); resp.StatusCode != 200 {
			t.Fatalf("in use: %d", resp.StatusCode)
		}
	}
	p.d.clock.Advance(auth.SessionIdle - time.Second) // past its life, though in use
	p.ask("GET", "/metrics", "")
	p.d.clock.Advance(time.Minute)
	if resp, _ := p.ask("GET", "/metrics", ""); resp.StatusCode != 401 {
		t.Errorf("after its life: %d", resp.StatusCode)
	}
	p.ask("POST", "/api/v1/session", wanted)
	p.d.clock.Advance(auth.SessionIdle)
	if resp, _ := p.ask("GET", "/metrics", ""); resp.StatusCode != 401 {
		t.Errorf("unused: %d", resp.StatusCode)
	}
}

func TestLoginsAreRefused(t *testing.T) {
	p := sessions(t)
	for body, want := range map[string]int{
		"": 400, "{}": 400, `{"token": ""}`: 400, `{"token": "operates", "scope": "admin"}`: 400, `"operates"`: 400,
		`{"token": "` + strings.Repeat("x", 5000) + `"}`: 413, `{"token": "no such"}`: 401,
	} {
		if resp, content := p.ask("POST", "/api/v1/session", body); resp.StatusCode != want || p.cookie != "" {
			t.Errorf("%.30q: %d %s", body, resp.StatusCode, content)
		}
	}
	for _, origin := range []string{"http://evil.example", "null"} {
		evil := &page{t: t, d: p.d, origin: origin}
		if resp, _ := evil.ask("POST", "/api/v1/session", wanted); resp.StatusCode != 403 || evil.cookie != "" {
			t.Errorf("from %s: %d", origin, resp.StatusCode)
		}
	}
	if resp, _ := p.ask("PUT", "/api/v1/session", ""); resp.StatusCode != 405 || !strings.Contains(resp.Header.Get("Allow"), "DELETE") {
		t.Errorf("PUT: %d, Allow %s", resp.StatusCode, resp.Header.Get("Allow"))
	}
	for range 19 {
		p.ask("POST", "/api/v1/session", `{"token": "guess"}`)
	}
	resp, _ := p.ask("POST", "/api/v1/session", wanted)
	if resp.StatusCode != 429 || resp.Header.Get("Retry-After") == "" {
		t.Errorf("after twenty guesses: %d", resp.StatusCode)
	}
	p.cookie = "hooktroupe_session=guess" // an old cookie is no guess, and says so
	if resp, _ := p.ask("GET", "/metrics", ""); resp.StatusCode != 429 {
		t.Errorf("an old cookie of a client that guesses: %d", resp.StatusCode)
	}
}

func TestSessionsOfEncryptedPages(t *testing.T) {
	p := sessions(t)
	p.origin = "https://hooks.example" // a proxy ends TLS
	resp, _ := p.ask("POST", "/api/v1/session", wanted)
	cookie := resp.Header.Get("Set-Cookie")
	if !strings.HasPrefix(cookie, "__Host-hooktroupe_session=") || !strings.Contains(cookie, "secure") {
		t.Errorf("the cookie is %s", cookie)
	}
	if resp, _ := p.ask("POST", retry, ""); resp.StatusCode != 404 {
		t.Errorf("a command: %d", resp.StatusCode)
	}
}

// TestAnswersAreNoPages: whatever a browser takes an answer for, it runs nothing of it.
func TestAnswersAreNoPages(t *testing.T) {
	d := start(t, http.Config{})
	for _, target := range []string{"/api/v1/session", "/api/v1/webhook_status/none", "/api/v9", "/api/openapi.yaml"} {
		resp, _ := dial(t, d.Addr()).send(get(target, "")).receive()
		if !strings.Contains(resp.Header.Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("%s: %v", target, resp.Header)
		}
	}
	_, body := dial(t, d.Addr()).send(get("/api/v1/session", "")).receive()
	if !bytes.Contains([]byte(body), []byte(`{"name":"loopback","scope":"admin","expires_at":null}`)) {
		t.Errorf("without tokens: %s", body)
	}
}

func TestCertificatesOpenTheAPI(t *testing.T) {
	folder := t.TempDir()
	server := newAuthority(t, "servers").issue(t, "127.0.0.1")
	ours, theirs := newAuthority(t, "ours"), newAuthority(t, "theirs")
	cfg := http.Config{
		ClientCA: ours.write(t, folder),
		Certificates: []http.Certificate{
			{Name: "watcher", Subject: "watcher.example", Scope: "read"}, {Name: "ci", Subject: "CI robot", Scope: "operate"},
		},
		Tokens: []http.Token{{Name: "token", Hash: auth.Hash("operates"), Scope: "operate"}},
	}
	cfg.TLSCert, cfg.TLSKey = writeCertificate(t, folder, server)
	d := start(t, cfg)
	ask := func(certificate *tls.Certificate, method, path string, headers ...string) int {
		t.Helper()
		secure := &tls.Config{InsecureSkipVerify: true}
		if certificate != nil {
			// Shown whatever the server asks for.
			secure.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return certificate, nil }
		}
		client := &nethttp.Client{Transport: &nethttp.Transport{TLSClientConfig: secure, DisableKeepAlives: true}}
		request, err := nethttp.NewRequestWithContext(t.Context(), method, "https://"+d.Addr().String()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(headers); i += 2 {
			request.Header.Set(headers[i], headers[i+1])
		}
		resp, err := client.Do(request)
		if err != nil {
			return 0 // the handshake failed
		}
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	watcher, ci := ours.issue(t, "watcher.example"), ours.issue(t, "CI robot")
	stranger, forged := ours.issue(t, "stranger"), theirs.issue(t, "CI robot")
	for name, c := range map[string]struct {
		certificate   *tls.Certificate
		read, command int
		headers       []string
	}{
		"reads":              {&watcher, 200, 403, nil},
		"operates":           {&ci, 200, 404, nil},
		"no certificate":     {nil, 401, 401, nil},
		"a token":            {nil, 200, 404, []string{"Authorization", "Bearer operates"}},
		"not known":          {&stranger, 401, 401, nil},
		"another authority":  {&forged, 0, 0, nil},
		"a foreign page":     {&ci, 200, 403, []string{"Origin", "https://evil.example"}},
		"a page of ours":     {&ci, 200, 404, []string{"Sec-Fetch-Site", "same-origin"}},
		"a wrong token, too": {&ci, 401, 401, []string{"Authorization", "Bearer nonsense"}},
	} {
		if read, command := ask(c.certificate, "GET", "/metrics", c.headers...), ask(c.certificate, "POST", retry, c.headers...); read != c.read || command != c.command {
			t.Errorf("%s: %d and %d, want %d and %d", name, read, command, c.read, c.command)
		}
	}
}

func TestCertificatesOfTheConfiguration(t *testing.T) {
	one := []http.Certificate{{Name: "ci", Subject: "ci", Scope: "operate"}}
	for want, cfg := range map[string]http.Config{
		"http.tls.client_ca":             {Certificates: one, TLSCert: "c", TLSKey: "k"},
		"set both or neither":            {ClientCA: "ca", TLSCert: "c", TLSKey: "k"},
		"they go with http.tls.cert":     {ClientCA: "ca", Certificates: one},
		"client_certificates[0].scope":   {ClientCA: "ca", TLSCert: "c", TLSKey: "k", Certificates: []http.Certificate{{Name: "a", Subject: "b", Scope: "root"}}},
		"client_certificates[0].subject": {ClientCA: "ca", TLSCert: "c", TLSKey: "k", Certificates: []http.Certificate{{Name: "a", Scope: "read"}}},
		"client_certificates[1].name":    {ClientCA: "ca", TLSCert: "c", TLSKey: "k", Certificates: append(one, one...)},
	} {
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	public := http.Config{Listen: "0.0.0.0:0", ClientCA: "ca", Certificates: one, TLSCert: "c", TLSKey: "k"}
	if err := public.Validate(); err != nil {
		t.Errorf("certificates are as good as tokens: %v", err)
	}
}
