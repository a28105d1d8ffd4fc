package gitea_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/hooktroupe/hooktroupe/source"
	"github.com/hooktroupe/hooktroupe/source/gitea"
	"github.com/hooktroupe/hooktroupe/source/sourcetest"
)

func options(t testing.TB) sourcetest.Options {
	return sourcetest.Options{
		New:       gitea.New,
		Config:    source.Config{Name: "tea", Type: "gitea"},
		Secrets:   [3]string{"first secret", "second secret", "not configured"},
		Fixtures:  sourcetest.Fixtures(t, "gitea"),
		Proof:     "X-Gitea-Signature",
		SignsBody: true,
		Malformed: []string{"sha256=" + strings.Repeat("a", 64), strings.Repeat("a", 63), strings.Repeat("g", 64), "sha256="},
		Samples:   []string{"pull_request.opened", "push", "issues.opened", "issue_comment.created"},
	}
}

func forgejo(t testing.TB) sourcetest.Options {
	o := options(t)
	o.New, o.Config.Type = gitea.NewForgejo, "forgejo"
	o.Fixtures, o.Proof = sourcetest.Fixtures(t, "forgejo"), "X-Forgejo-Signature"
	return o
}

func TestSource(t *testing.T) {
	t.Run("gitea", func(t *testing.T) { sourcetest.Run(t, options(t)) })
	t.Run("forgejo", func(t *testing.T) { sourcetest.Run(t, forgejo(t)) })
}

func FuzzVerify(f *testing.F) { sourcetest.FuzzVerify(f, options(f)) }

func FuzzParse(f *testing.F) { sourcetest.FuzzParse(f, options(f)) }

func FuzzVerifyForgejo(f *testing.F) { sourcetest.FuzzVerify(f, forgejo(f)) }

func FuzzParseForgejo(f *testing.F) { sourcetest.FuzzParse(f, forgejo(f)) }

// FuzzForm looks for a form that is accepted without holding exactly the JSON that was signed.
func FuzzForm(f *testing.F) {
	s, signed := build(f), []byte(`{"action":"x"}`)
	signature := sourcetest.Sign(f, s, nil, signed, sourcetest.Now()).Header[0]
	form := source.Header{{Name: "Content-Type", Value: "application/x-www-form-urlencoded"}, signature}
	for _, seed := range []string{
		"payload=" + url.QueryEscape(string(signed)), "payload={}&payload={}", "a=b&payload=x", "payload=%7B%zz", "payload", string(signed),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if s.Verify(sourcetest.Request(form, body), sourcetest.Now()) != nil {
			return
		}
		values, err := url.ParseQuery(string(body))
		whole := err == nil && len(values) == 1 && len(values["payload"]) == 1 && values.Get("payload") == string(signed)
		if !whole && string(body) != string(signed) {
			t.Fatalf("accepted %q", body)
		}
	})
}

func build(t testing.TB) source.Source {
	return options(t).Build(t, source.Secret{Value: []byte("It's a Secret to Everybody")})
}

// GitHub's vector, which is of the same algorithm, without the prefix.
func TestVector(t *testing.T) {
	const signature = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
	header := source.Header{{Name: "X-Gitea-Signature", Value: signature}}
	if err := build(t).Verify(sourcetest.Request(header, []byte("Hello, World!")), sourcetest.Now()); err != nil {
		t.Errorf("Verify: %v", err)
	}
}

// The headers that it sends in the manner of GitHub prove nothing, good as they may be.
func TestOtherSignaturesAreNoProof(t *testing.T) {
	s, body := build(t), []byte("Hello, World!")
	signature := sourcetest.Sign(t, s, nil, body, sourcetest.Now()).Header[0].Value
	header := source.Header{
		{Name: "X-Gogs-Signature", Value: signature}, {Name: "X-Hub-Signature-256", Value: "sha256=" + signature},
	}
	for _, h := range []source.Header{header, header.With("X-Gitea-Signature", "")} {
		err := s.Verify(sourcetest.Request(h, body), sourcetest.Now())
		if refusal := new(source.Refusal); !errors.As(err, &refusal) || refusal.Reason != source.ReasonMissing {
			t.Errorf("Verify = %v, want %s", err, source.ReasonMissing)
		}
	}
}

// In a form the JSON is signed, not the form, and a form that holds more than the JSON is not the sender's.
func TestFormBodies(t *testing.T) {
	s := build(t)
	for _, f := range sourcetest.Fixtures(t, "gitea") {
		plain := sourcetest.Sign(t, s, f.Header, f.Body, sourcetest.Now())
		header := append(source.Header(nil), plain.Header...)
		for i := range header {
			if header[i].Name == "Content-Type" {
				header[i].Value = "application/x-www-form-urlencoded"
			}
		}
		form := "payload=" + url.QueryEscape(string(f.Body))
		req := sourcetest.Request(header, []byte(form))
		if err := s.Verify(req, sourcetest.Now()); err != nil {
			t.Fatalf("%s: Verify: %v", f.File, err)
		}
		d, err := s.Parse(req)
		if err != nil || d.EventType != f.EventType || d.DeliveryID != f.DeliveryID {
			t.Errorf("%s: Parse = %+v, %v", f.File, d, err)
		}
		for _, other := range []string{form + "&payload=x", form + "&a=b", "a=b&" + form, form + "x", "a" + form, string(f.Body), "payload=%"} {
			err := s.Verify(sourcetest.Request(header, []byte(other)), sourcetest.Now())
			refusal := new(source.Refusal)
			if accepted := err == nil; accepted && other != string(f.Body) {
				t.Errorf("%s: accepted %.40q", f.File, other)
			} else if !accepted && !errors.As(err, &refusal) {
				t.Errorf("%s: Verify = %v", f.File, err)
			}
		}
		if _, err := s.Parse(sourcetest.Request(header, f.Body)); err == nil {
			t.Errorf("%s: JSON that claims to be a form was parsed", f.File)
		}
		signed := sourcetest.Sign(t, s, header[:len(header)-1], []byte(form), sourcetest.Now()) // as the sender signs it
		if got, want := signed.Header.Get("X-Gitea-Signature"), plain.Header.Get("X-Gitea-Signature"); got != want {
			t.Errorf("%s: Sign of the form = %s, want %s", f.File, got, want)
		}
	}
}

// A replay has an ID of its own; without any, equal bodies are one delivery.
func TestDeliveryID(t *testing.T) {
	header := source.Header{{Name: "X-Gitea-Event", Value: "push"}, {Name: "X-GitHub-Delivery", Value: "not ours"}}
	d, err := build(t).Parse(sourcetest.Request(header, []byte("{}")))
	if want := source.FallbackID("gitea", "push", []byte("{}")); err != nil || d.DeliveryID != want {
		t.Errorf("Parse = %+v, %v; want %s", d, err, want)
	}
}
