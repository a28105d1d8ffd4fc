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

// TestSendSignsForEveryType has send play every sender, and a stand-in daemon verify and read what arrives.
func TestSendSignsForEveryType(t *testing.T) {
	type play struct{ kind, secret string }
	plays := []play{{"gitlab", standardKey}}
	for _, kind := range sources.Types() {
		plays = append(plays, play{kind, map[bool]string{true: standardKey, false: "a plain secret"}[kind == "standard_webhooks"]})
	}
	for _, p := range plays {
		t.Run(p.kind, func(t *testing.T) {
			config := source.Config{Name: p.kind, Type: p.kind, Secrets: []source.Secret{{Value: []byte(p.secret)}}}
			switch p.kind {
			case "azure_devops":
				config.Username = "hooktroupe"
			case "generic":
				config.Generic = &source.Generic{Scheme: "hmac", Header: "X-Signature"}
			}
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
			code := run([]string{"send", "--source", p.kind, "--url", server.URL}, []string{"HOOKTROUPE_SECRET=" + p.secret}, &out, &errs)
			if code != exitOK || !bytes.HasPrefix(out.Bytes(), []byte("202 ")) {
				t.Fatalf("exit %d: %s%s", code, out.String(), errs.String())
			}
			provesBody := p.kind != "azure_devops" && p.kind != "cloudevents" && (p.kind != "gitlab" || p.secret == standardKey)
			if provesBody != (verified == 1) {
				t.Errorf("a tampered body was refused %d times", verified)
			}
		})
	}
}
