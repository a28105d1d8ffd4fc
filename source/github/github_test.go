package github_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/hooktroupe/hooktroupe/source"
	"github.com/hooktroupe/hooktroupe/source/github"
	"github.com/hooktroupe/hooktroupe/source/sourcetest"
)

func options(t testing.TB) sourcetest.Options {
	return sourcetest.Options{
		New:       github.New,
		Config:    source.Config{Name: "gh", Type: "github"},
		Secrets:   [3]string{"It's a Secret to Everybody", "0123456789abcdef", "not configured"},
		Fixtures:  sourcetest.Fixtures(t, "github"),
		Proof:     "X-Hub-Signature-256",
		SignsBody: true,
		Malformed: []string{
			"sha256=", "sha256=zz", "sha1=" + strings.Repeat("a", 40), strings.Repeat("a", 64),
			"sha256=" + strings.Repeat("a", 63), "sha256=" + strings.Repeat("a", 65), " sha256=" + strings.Repeat("a", 64),
			"sha256=" + strings.Repeat("g", 64), "SHA256=" + strings.Repeat("a", 64), "sha256=sha256=",
		},
		Samples: []string{"pull_request.opened", "push", "issues.opened", "issue_comment.created", "ping"},
	}
}

func TestSource(t *testing.T) { sourcetest.Run(t, options(t)) }

func FuzzVerify(f *testing.F) { sourcetest.FuzzVerify(f, options(f)) }

func FuzzParse(f *testing.F) { sourcetest.FuzzParse(f, options(f)) }

// build returns the source with one secret.
func build(t testing.TB, secret string) source.Source {
	return options(t).Build(t, source.Secret{Value: []byte(secret)})
}

// The vectors are from the sender's documentation and from a client library's tests.
func TestVectors(t *testing.T) {
	for _, test := range []struct{ secret, body, signature string }{
		{"It's a Secret to Everybody", "Hello, World!",
			"sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"},
		{"0123456789abcdef", `{"yo":true}`,
			"sha256=b1f8020f5b4cd42042f807dd939015c4a418bc1ff7f604dd55b0a19b5d953d9b"},
	} {
		s := build(t, test.secret)
		header := source.Header{{Name: "X-Hub-Signature-256", Value: test.signature}}
		if err := s.Verify(sourcetest.Request(header, []byte(test.body)), sourcetest.Now()); err != nil {
			t.Errorf("%s: %v", test.body, err)
		}
		if got := sourcetest.Sign(t, s, nil, []byte(test.body), sourcetest.Now()).Header[0]; got.Value != test.signature {
			t.Errorf("Sign = %v, want %s", got, test.signature)
		}
	}
}

// A SHA-1 signature, good as it may be, proves nothing: not alone, and not beside a bad SHA-256 one.
func TestSHA1IsNoProof(t *testing.T) {
	s := build(t, "0123456789abcdef")
	sha1 := source.Header{{Name: "X-Hub-Signature", Value: "sha1=126f2c800419c60137ce748d7672e77b65cf16d6"}}
	for name, test := range map[string]struct {
		header source.Header
		reason source.RefusalReason
	}{
		"alone":              {sha1, source.ReasonMissing},
		"beside a bad one":   {sha1.With("X-Hub-Signature-256", "sha256="+strings.Repeat("0", 64)), source.ReasonMismatch},
		"in the other place": {source.Header{{Name: "X-Hub-Signature-256", Value: sha1[0].Value}}, source.ReasonMalformed},
	} {
		err := s.Verify(sourcetest.Request(test.header, []byte(`{"yo":true}`)), sourcetest.Now())
		if refusal := new(source.Refusal); !errors.As(err, &refusal) || refusal.Reason != test.reason {
			t.Errorf("%s: Verify = %v, want %s", name, err, test.reason)
		}
	}
}

// A form is signed as it was sent, and read like the JSON within it.
func TestFormBodies(t *testing.T) {
	s := build(t, "0123456789abcdef")
	for _, f := range sourcetest.Fixtures(t, "github") {
		form := []byte("payload=" + url.QueryEscape(string(f.Body)))
		req := sourcetest.Sign(t, s, withType(f.Header, "application/x-www-form-urlencoded"), form, sourcetest.Now())
		if err := s.Verify(req, sourcetest.Now()); err != nil {
			t.Fatalf("%s: Verify: %v", f.File, err)
		}
		got, err := s.Parse(req)
		if err != nil {
			t.Fatalf("%s: Parse: %v", f.File, err)
		}
		want, err := s.Parse(sourcetest.Request(f.Header, f.Body))
		if err != nil || got.EventType != want.EventType || got.Key != want.Key || got.DeliveryID != want.DeliveryID {
			t.Errorf("%s: form gives %+v, JSON gives %+v, %v", f.File, got, want, err)
		}
	}
}

func withType(header source.Header, contentType string) source.Header {
	changed := append(source.Header(nil), header...)
	for i := range changed {
		if changed[i].Name == "Content-Type" {
			changed[i].Value = contentType
		}
	}
	return changed
}

func TestParse(t *testing.T) {
	header := func(event string) source.Header {
		return source.Header{
			{Name: "X-GitHub-Event", Value: event}, {Name: "X-GitHub-Delivery", Value: "7"},
			{Name: "Content-Type", Value: "Application/JSON; Charset=UTF-8"},
		}
	}
	const fork = `{"action":"completed","check_run":{"pull_requests":[]},"repository":{"full_name":"a/b"}}`
	for name, test := range map[string]struct {
		header source.Header
		body   string
		want   source.Delivery // without an event type: malformed
	}{
		"issue":        {header("issues"), `{"action":"opened","issue":{"number":12345678901234567890},"repository":{"full_name":"a/b"}}`, source.Delivery{EventType: "issues.opened", DeliveryID: "7", Key: "a/b#12345678901234567890"}},
		"discussion":   {header("discussion"), `{"action":"created","discussion":{"number":3},"repository":{"full_name":"a/b"}}`, source.Delivery{EventType: "discussion.created", DeliveryID: "7", Key: "a/b#3"}},
		"fork's check": {header("check_run"), fork, source.Delivery{EventType: "check_run.completed", DeliveryID: "7", Key: "a/b"}},
		"organization": {header("organization"), `{"action":"renamed"}`, source.Delivery{EventType: "organization.renamed", DeliveryID: "7"}},
		"BOM":          {header("push"), "\xef\xbb\xbf{\"ref\":\"refs/heads/x\",\"repository\":{\"full_name\":\"a/b\"}}", source.Delivery{EventType: "push", DeliveryID: "7", Key: "a/b@refs/heads/x"}},
		"odd members":  {header("push"), `{"action":{},"ref":7,"repository":null}`, source.Delivery{EventType: "push", DeliveryID: "7"}},
		"no event":     {header("")[1:], `{}`, source.Delivery{}},
		"two events":   {header("push").With("x-github-event", "push"), `{}`, source.Delivery{}},
		"two IDs":      {header("push").With("x-github-delivery", "8"), `{}`, source.Delivery{}},
		"array":        {header("push"), `[]`, source.Delivery{}},
		"odd action":   {header("repository_dispatch"), `{"action":"größe"}`, source.Delivery{EventType: "repository_dispatch.gr%C3%B6%C3%9Fe", DeliveryID: "7"}},
		"long action":  {header("repository_dispatch"), `{"action":"` + strings.Repeat("a", 256) + `"}`, source.Delivery{EventType: "repository_dispatch.sha256:02d7160d77e18c6447be80c2e355c7ed4388545271702c50253b0914c65ce5fe", DeliveryID: "7"}},
		"empty form":   {withType(header("push"), "application/x-www-form-urlencoded"), `a=b`, source.Delivery{}},
		"two payloads": {withType(header("push"), "application/x-www-form-urlencoded"), `payload={}&payload={}`, source.Delivery{}},
		"bad escape":   {withType(header("push"), "application/x-www-form-urlencoded"), `payload=%zz`, source.Delivery{}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := build(t, "s").Parse(sourcetest.Request(test.header, []byte(test.body)))
			if malformed := new(source.Malformed); test.want.EventType == "" && !errors.As(err, &malformed) {
				t.Fatalf("Parse = %+v, %v; want *source.Malformed", got, err)
			}
			if test.want.EventType != "" && (err != nil || got != test.want) {
				t.Fatalf("Parse = %+v, %v; want %+v", got, err, test.want)
			}
		})
	}
}

// GitHub Enterprise Server signs and names alike, and adds headers of its own; its events of an installation, as those of
// GitHub, have no repository and no ordering key.
func TestEnterpriseServerAndInstallations(t *testing.T) {
	s := build(t, "0123456789abcdef")
	installations := 0
	for _, f := range sourcetest.Fixtures(t, "github") {
		header := f.Header.With("X-GitHub-Enterprise-Version", "3.17.2").With("X-GitHub-Enterprise-Host", "github.example.com")
		req := sourcetest.Sign(t, s, header, f.Body, sourcetest.Now())
		if err := s.Verify(req, sourcetest.Now()); err != nil {
			t.Fatalf("%s: %v", f.File, err)
		}
		d, err := s.Parse(req)
		if err != nil || d.EventType != f.EventType || d.DeliveryID != f.DeliveryID {
			t.Errorf("%s: Parse = %+v, %v", f.File, d, err)
		}
		if strings.HasPrefix(f.EventType, "installation") {
			installations++
			if d.Key != "" {
				t.Errorf("%s has the key %q", f.File, d.Key)
			}
		}
	}
	if installations != 3 {
		t.Errorf("%d deliveries about installations", installations)
	}
}

// A ping is answered at once, and only after it was verified like every other delivery.
func TestPing(t *testing.T) {
	s := build(t, "s")
	if _, greets := s.(source.Greeter); greets {
		t.Error("the source answers requests without proof")
	}
	header, body, err := s.(source.Sampler).Sample("ping", "7")
	if err != nil {
		t.Fatal(err)
	}
	d, err := s.Parse(sourcetest.Request(header, body))
	if err != nil || d.Answer == nil || d.Answer.Status != 200 || string(d.Answer.Body) != `{"status":"pong"}` {
		t.Fatalf("Parse = %+v, %v; want an answer", d, err)
	}
}

// maxAllocs bounds the allocations of one delivery: three for what Parse returns, and room for an HMAC state that the
// collector took from its pool. The race detector drops one of four from every pool, which is four allocations each.
const maxAllocs = 12

func TestAllocations(t *testing.T) {
	s, req := push8K(t)
	if got := testing.AllocsPerRun(100, func() { judge(t, s, req) }); got > maxAllocs {
		t.Errorf("%v allocations, want at most %d", got, maxAllocs)
	}
}

func BenchmarkDelivery(b *testing.B) {
	s, req := push8K(b)
	b.SetBytes(int64(len(req.Body)))
	b.ReportAllocs()
	b.Run("verify", func(b *testing.B) {
		for b.Loop() {
			if err := s.Verify(req, sourcetest.Now()); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("verify and parse", func(b *testing.B) {
		for b.Loop() {
			judge(b, s, req)
		}
	})
}

// push8K is a signed push of 8 KB.
func push8K(t testing.TB) (source.Source, *source.Request) {
	s := build(t, "It's a Secret to Everybody")
	for _, f := range sourcetest.Fixtures(t, "github") {
		if f.File == "github/push.1.json" {
			return s, sourcetest.Sign(t, s, f.Header, f.Body, sourcetest.Now())
		}
	}
	t.Fatal("no push.1.json")
	return nil, nil
}

func judge(t testing.TB, s source.Source, req *source.Request) {
	if err := s.Verify(req, sourcetest.Now()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Parse(req); err != nil {
		t.Fatal(err)
	}
}
