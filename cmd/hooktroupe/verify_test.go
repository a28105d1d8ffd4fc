package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hooktroupe/hooktroupe/config"
	"github.com/hooktroupe/hooktroupe/daemon"
	"github.com/hooktroupe/hooktroupe/source"
	"github.com/hooktroupe/hooktroupe/source/sources"
)

// captured is a delivery in files, as verify reads them.
type captured struct{ headers, body string }

func capture(t *testing.T, header source.Header, body []byte) captured {
	t.Helper()
	folder := t.TempDir()
	c := captured{filepath.Join(folder, "headers"), filepath.Join(folder, "body")}
	var text strings.Builder
	for _, f := range header {
		_, _ = fmt.Fprintf(&text, "%s: %s\r\n", f.Name, f.Value)
	}
	for name, content := range map[string][]byte{c.headers: []byte(text.String()), c.body: body} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// many are secrets of a type, and which of them signs.
func many(kind string) (secrets []string, signs int) {
	for i := range 20 {
		secret := fmt.Sprintf("%s-s3cret-%02d-%s", kind, i, strings.Repeat("x", i))
		if kind == "standard_webhooks" || kind == "gitlab_signed" {
			secret = fmt.Sprintf("whsec_%s%02dA=", strings.Repeat("QUJD", 10), i)
		}
		secrets = append(secrets, secret)
	}
	return secrets, 12
}

// TestVerifyNeverPrintsASecret has verify judge, for each type of source with many secrets, deliveries that are good, bad
// and odd in ways that put a secret into the way of what is printed.
func TestVerifyNeverPrintsASecret(t *testing.T) {
	settings := map[string]string{
		"azure_devops":  "username: hooks, ",
		"azure_header":  "type: azure_devops, header: X-Hook-Secret, ",
		"generic":       "generic: {scheme: hmac, header: X-Signature}, ",
		"generic_token": "type: generic, generic: {scheme: token, header: X-Token}, ",
		"gitlab_signed": "type: gitlab, ",
	}
	names := append(sources.Types(), "azure_header", "generic_token", "gitlab_signed")
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			secrets, signs := many(name)
			yaml, environ := "sources:\n  "+name+": {"+settings[name]+"secrets: [", []string(nil)
			for i, secret := range secrets {
				yaml += fmt.Sprintf("env:S%d, ", i)
				environ = append(environ, fmt.Sprintf("S%d=%s", i, secret))
			}
			file := filepath.Join(t.TempDir(), "hooktroupe.yaml")
			if err := os.WriteFile(file, []byte(yaml+"]}\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			good, unsigned, body, proof := sampleOf(t, file, environ, name, signs)
			tampered := append(bytes.Clone(body), ' ')
			inTheWay := unsigned.With("X-GitHub-Event", secrets[3]).With("Authorization", secrets[4]).With("X-Token", "x"+secrets[5])
			for i, c := range []captured{
				capture(t, good, body), capture(t, good, tampered), capture(t, unsigned, body), capture(t, inTheWay, body),
				capture(t, append(good, good...), body), capture(t, good.With("no colon "+secrets[6]+"\r\n", ""), body),
				capture(t, good, []byte("{]")), capture(t, good, []byte(`{"no":"event"}`)),
			} {
				for _, output := range []string{"table", "json"} {
					var out, errs bytes.Buffer
					code := run([]string{
						"verify", "--config", file, "--source", name, "--headers", c.headers, "--body", c.body, "-o", output,
					}, environ, &out, &errs)
					said := out.String() + errs.String()
					if i == 0 && (code != exitOK || !strings.Contains(said, fmt.Sprint(signs+1))) {
						t.Errorf("a good delivery: exit %d: %s", code, said)
					}
					if i == 2 && code != exitRefused {
						t.Errorf("an unsigned delivery: exit %d: %s", code, said)
					}
					for n, secret := range secrets {
						if strings.Contains(said, secret) {
							t.Errorf("delivery %d: secret %d is printed: %s", i, n, said)
						}
					}
					if len(proof) > 12 && strings.Contains(said, proof) {
						t.Errorf("delivery %d: the signature is printed: %s", i, said)
					}
				}
			}
		})
	}
}

// sampleOf is the usual sample of a configured source, signed with one of its secrets and not signed, and the signature.
func sampleOf(t *testing.T, file string, environ []string, name string, signs int) (good, unsigned source.Header, body []byte, proof string) {
	t.Helper()
	cfg, _, err := config.Load(config.Options{File: file, Environ: environ})
	if err != nil {
		t.Fatal(err)
	}
	one := cfg.Sources[name]
	one.Resolved = one.Resolved[signs : signs+1]
	cfg.Sources[name] = one
	built, err := daemon.Source(cfg, name)
	if err != nil {
		t.Fatal(err)
	}
	unsigned, body, err = built.(source.Sampler).Sample("", "")
	if err != nil {
		t.Fatal(err)
	}
	good, err = built.(source.Signer).Sign(unsigned, body, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return good, unsigned, body, good[len(good)-1].Value
}

// Secrets that are no good are told by their place.
func TestBadSecretsAreNotPrinted(t *testing.T) {
	c := capture(t, nil, []byte("{}"))
	for _, secret := range []string{"whsec_not-base64-at-all", "whpk_QUJD", "whsk_QUJDREVG", "plain text that is no key"} {
		file := filepath.Join(t.TempDir(), "hooktroupe.yaml")
		if err := os.WriteFile(file, []byte("sources: {standard_webhooks: {secret: env:BAD}}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{
			{"verify", "--config", file, "--source", "standard_webhooks", "--headers", c.headers, "--body", c.body},
			{"config", "check", "--config", file},
			{"config", "show", "--config", file},
			{"send", "--config", file, "--name", "standard_webhooks"},
			{"send", "--source", "standard_webhooks", "--secret", "env:BAD"},
		} {
			var out, errs bytes.Buffer
			run(args, []string{"BAD=" + secret}, &out, &errs)
			if said := out.String() + errs.String(); strings.Contains(said, secret) || strings.Contains(said, secret[6:]) {
				t.Errorf("%v prints the secret: %s", args, said)
			}
		}
	}
}

func TestParseHead(t *testing.T) {
	for text, want := range map[string]string{
		"":                                     "POST  []",
		"A: b\r\nc:d\r\n\r\n":                  "POST  [{A b} {C d}]",
		"OPTIONS /x?a=b&c HTTP/1.1\nA: b: c\n": "OPTIONS a=b&c [{A b: c}]",
		"POST http://h:80/x HTTP/1.1\nA:\n":    "POST  [{A }]",
		":method: POST\n:path: /x\na: b":       "POST  [{A b}]",
		"POST : HTTP/1.1":                      "POST  []",
	} {
		h, err := parseHead(text)
		if got := fmt.Sprintf("%s %s %v", h.method, h.query, h.header); err != nil || got != want {
			t.Errorf("parseHead(%q) = %s, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"no colon", "A: b\n folded", "A b: c", "\x00: c", "A: b\nPOST / HTTP/1.1", "größe: x"} {
		if h, err := parseHead(text); err == nil || strings.Contains(err.Error(), "folded") {
			t.Errorf("parseHead(%q) = %v, %v", text, h, err)
		}
	}
}

func FuzzParseHead(f *testing.F) {
	for _, seed := range []string{"POST /webhooks/x?y HTTP/1.1\r\nA: b\r\n\r\n", ":path: /\nA:b", "A: b\n c", "\r\n\r\n", "a\x00: b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		h, err := parseHead(text)
		if err != nil {
			return
		}
		if !source.IsName(h.method) {
			t.Fatalf("method %q", h.method)
		}
		for _, field := range h.header {
			if !source.IsName(field.Name) || strings.Contains(field.Value, "\n") || strings.TrimSpace(field.Value) != field.Value {
				t.Fatalf("field %+v", field)
			}
		}
	})
}
