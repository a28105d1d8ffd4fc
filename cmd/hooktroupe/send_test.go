package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/hooktroupe/hooktroupe/source"
	"github.com/hooktroupe/hooktroupe/source/sources"
)

// standardKey is a key in the form of Standard Webhooks; for GitLab, such a key is a signing token.
const standardKey = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="

// privateKey is an ed25519 key in the form of Standard Webhooks.
const privateKey = "whsk_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

// TestSendSignsForEveryType has send play every sender, and a stand-in daemon verify and read what arrives.
func TestSendSignsForEveryType(t *testing.T) {
	type play struct {
		kind, secret string
		flags        []string
		as           source.Config // without name, type and secret
	}
	generic := func(g source.Generic) source.Config { return source.Config{Generic: &g} }
	form := func(flags ...string) []string { return flags }
	plays := []play{
		{"gitlab", standardKey, nil, source.Config{}},
		{"standard_webhooks", privateKey, nil, source.Config{}},
		{"azure_devops", "custom", form("--secret-header", "X-Hook-Secret"), source.Config{Header: "X-Hook-Secret"}},
		{"generic", "s", form("--generic-algorithm", "sha512", "--generic-encoding", "base64", "--generic-prefix", "v1:"),
			generic(source.Generic{Scheme: "hmac", Header: "X-Signature", Algorithm: "sha512", Encoding: "base64", Prefix: "v1:"})},
		{"generic", "token", form("--generic-scheme", "token", "--generic-header", "X-Token"),
			generic(source.Generic{Scheme: "token", Header: "X-Token"})},
		{"generic", "bearer", form("--generic-scheme", "bearer"), generic(source.Generic{Scheme: "bearer"})},
		{"generic", "basic", form("--generic-scheme", "basic", "--username", "u"),
			source.Config{Username: "u", Generic: &source.Generic{Scheme: "basic"}}},
	}
	for _, kind := range sources.Types() {
		p := play{kind: kind, secret: "a plain secret"}
		switch kind {
		case "standard_webhooks":
			p.secret = standardKey
		case "azure_devops":
			p.as.Username = "hooktroupe"
		case "generic":
			p.as = generic(source.Generic{Scheme: "hmac", Header: "X-Signature"})
		}
		plays = append(plays, p)
	}
	for _, p := range plays {
		t.Run(p.kind, func(t *testing.T) {
			config := p.as
			config.Name, config.Type, config.Secrets = p.kind, p.kind, []source.Secret{{Value: []byte(p.secret)}}
			verifier, err := sources.All()[p.kind](config)
			if err != nil {
				t.Fatal(err)
			}
			verified := 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				request := &source.Request{Method: r.Method, Path: r.URL.Path, Query: r.URL.RawQuery, Body: body, ReceivedAt: time.Now()}
				for name, values := range r.Header {
					for _, value := range values {
						request.Header = append(request.Header, source.Field{Name: name, Value: value})
					}
				}
				if err := verifier.Verify(request, time.Now()); err != nil {
					t.Errorf("what send signed is refused: %v", err)
				}
				if d, err := verifier.Parse(request); err != nil || d.EventType == "" && d.Answer == nil {
					t.Errorf("the sample says %+v, %v", d, err)
				}
				request.Body = append(bytes.Clone(body), ' ')
				if verifier.Verify(request, time.Now()) != nil {
					verified++
				}
				w.WriteHeader(http.StatusAccepted)
				_, _ = io.WriteString(w, `{"webhook_id":"`+taskID+`","status":"queued"}`)
			}))
			defer server.Close()
			var out, errs bytes.Buffer
			args := append([]string{"send", "--source", p.kind, "--url", server.URL}, p.flags...)
			code := run(args, []string{"HOOKTROUPE_SECRET=" + p.secret}, &out, &errs)
			if code != exitOK || !bytes.HasPrefix(out.Bytes(), []byte("202 ")) {
				t.Fatalf("exit %d: %s%s", code, out.String(), errs.String())
			}
			provesBody := p.kind != "azure_devops" && p.kind != "cloudevents" && (p.kind != "gitlab" || p.secret == standardKey) &&
				(p.kind != "generic" || config.Generic.Scheme == "hmac")
			if provesBody != (verified == 1) {
				t.Errorf("a tampered body was refused %d times", verified)
			}
		})
	}
}

// TestWaitingOutlastsAnOwnerThatIsAway has a stand-in daemon say twice that it cannot tell, as a member of a cluster does while
// another one is taken over.
func TestWaitingOutlastsAnOwnerThatIsAway(t *testing.T) {
	const id = "01a209fd-acf3-7491-8a76-eaa489a055eb"
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			w.WriteHeader(http.StatusAccepted)
			_, _ = io.WriteString(w, `{"webhook_id":"`+id+`","status":"queued"}`)
			return
		}
		if asked++; asked <= 2 {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, `{"title":"away","status":503}`)
			return
		}
		_, _ = io.WriteString(w, `{"webhook_id":"`+id+`","status":"completed","attempts":1,"max_attempts":3}`)
	}))
	defer server.Close()
	var out, errs bytes.Buffer
	code := run([]string{"send", "--source", "github", "--wait", "--url", server.URL}, []string{"HOOKTROUPE_SECRET=s"}, &out, &errs)
	if code != exitOK || asked != 3 || !bytes.Contains(out.Bytes(), []byte(id+" completed (attempt 1 of 3)")) {
		t.Errorf("exit code %d after %d questions: %s%s", code, asked, &out, &errs)
	}
}
