package gitlab_test

import (
	"errors"
	"testing"

	"github.com/hooktroupe/hooktroupe/source"
	"github.com/hooktroupe/hooktroupe/source/gitlab"
	"github.com/hooktroupe/hooktroupe/source/sourcetest"
)

// The signing tokens are base64 of 32 bytes, but for the one of the vector, which has 24.
const (
	vectorToken = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	otherToken  = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
	thirdToken  = "whsec_Hx4dHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA="
)

func tokens(t testing.TB) sourcetest.Options {
	return sourcetest.Options{
		New:      gitlab.New,
		Config:   source.Config{Name: "gl", Type: "gitlab"},
		Secrets:  [3]string{"a token of any length, with spaces", "x", "not configured"},
		Fixtures: fixtures(t),
		Proof:    "X-Gitlab-Token",
		Samples:  []string{"merge_request.open", "push", "note.create"},
	}
}

func signing(t testing.TB) sourcetest.Options {
	o := tokens(t)
	o.Secrets = [3]string{vectorToken, otherToken, thirdToken}
	o.Proof, o.SignsBody, o.SignsTime = "webhook-signature", true, true
	o.Malformed = []string{"v1", "v1,", "v1,AAAA", "v2,AAAA", "v1 AAAA", "v1a,AAAA", ","}
	for i := range o.Fixtures {
		o.Fixtures[i].Header = o.Fixtures[i].Header.With("webhook-id", o.Fixtures[i].DeliveryID)
	}
	return o
}

// fixtures sets the keys of things that are numbered apart.
func fixtures(t testing.TB) []sourcetest.Fixture {
	keys := map[string]string{
		"gitlab/merge_request.go-gitlab.json":      "gitlabhq/gitlab-test!1",
		"gitlab/issue.go-gitlab.json":              "gitlabhq/gitlab-test#23",
		"gitlab/note_issue.go-gitlab.json":         "gitlab-org/gitlab-test#17",
		"gitlab/note_merge_request.go-gitlab.json": "gitlab-org/gitlab-test!1",
		"gitlab/pipeline.go-gitlab.json":           "gitlab-org/gitlab-test!1",
		"gitlab/push.go-gitlab.json":               "mike/diaspora@refs/heads/master",
	}
	fixtures := sourcetest.Fixtures(t, "gitlab")
	for i := range fixtures {
		fixtures[i].Key = keys[fixtures[i].File]
	}
	return fixtures
}

func TestSource(t *testing.T) {
	t.Run("token", func(t *testing.T) { sourcetest.Run(t, tokens(t)) })
	t.Run("signing token", func(t *testing.T) { sourcetest.Run(t, signing(t)) })
}

func FuzzVerifyToken(f *testing.F) { sourcetest.FuzzVerify(f, tokens(f)) }

func FuzzVerify(f *testing.F) { sourcetest.FuzzVerify(f, signing(f)) }

func FuzzParse(f *testing.F) { sourcetest.FuzzParse(f, tokens(f)) }

func FuzzParseSigned(f *testing.F) { sourcetest.FuzzParse(f, signing(f)) }

// As soon as a signing token is configured, a good X-Gitlab-Token proves nothing, be it configured beside it or not.
func TestSigningTokenWantsASignature(t *testing.T) {
	for name, secrets := range map[string][]string{
		"alone": {otherToken}, "first": {otherToken, "plain"}, "last": {"plain", otherToken},
	} {
		t.Run(name, func(t *testing.T) {
			var configured []source.Secret
			for _, s := range secrets {
				configured = append(configured, source.Secret{Value: []byte(s)})
			}
			s := tokens(t).Build(t, configured...)
			f := signing(t).Fixtures[0]
			for _, token := range []string{"plain", otherToken} {
				req := sourcetest.Request(f.Header.With("X-Gitlab-Token", token), f.Body)
				err := s.Verify(req, sourcetest.Now())
				if refusal := new(source.Refusal); !errors.As(err, &refusal) || refusal.Reason != source.ReasonMissing {
					t.Errorf("Verify = %v, want %s", err, source.ReasonMissing)
				}
			}
			req := sourcetest.Sign(t, s, f.Header, f.Body, sourcetest.Now())
			if err := s.Verify(req, sourcetest.Now()); err != nil {
				t.Errorf("Verify: %v", err)
			}
		})
	}
}

// The delivery ID of a signed request is the one that the signature covers.
func TestSignedDeliveryID(t *testing.T) {
	s := signing(t).Build(t, source.Secret{Value: []byte(otherToken)})
	header := source.Header{
		{Name: "X-Gitlab-Event", Value: "Push Hook"}, {Name: "Idempotency-Key", Value: "forged"},
		{Name: "webhook-id", Value: "signed"},
	}
	if d, err := s.Parse(sourcetest.Request(header, []byte("{}"))); err != nil || d.DeliveryID != "signed" {
		t.Errorf("Parse = %+v, %v; want the signed ID", d, err)
	}
}

func TestSigningTokensAreDecodedStrictly(t *testing.T) {
	for _, secret := range []string{
		"whsec_", "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8", "whsec_!", "whsec_AAEC",
	} {
		c := tokens(t).Config
		c.Secrets = []source.Secret{{Value: []byte(secret)}}
		if s, err := gitlab.New(c); err == nil || s != nil {
			t.Errorf("New accepts the signing token %q", secret)
		}
	}
}

func TestParse(t *testing.T) {
	header := func(event string) source.Header {
		return source.Header{{Name: "X-Gitlab-Event", Value: event}, {Name: "Idempotency-Key", Value: "7"}}
	}
	for name, test := range map[string]struct {
		header source.Header
		body   string
		want   source.Delivery // without an event type: malformed
	}{
		"custom body":     {header("Merge Request Hook"), `{"text":"x"}`, source.Delivery{EventType: "merge_request", DeliveryID: "7"}},
		"custom system":   {header("System Hook"), `{}`, source.Delivery{EventType: "system", DeliveryID: "7"}},
		"branch pipeline": {header("Pipeline Hook"), `{"object_kind":"pipeline","merge_request":null,"object_attributes":{"id":1,"ref":"main"},"project":{"path_with_namespace":"a/b"}}`, source.Delivery{EventType: "pipeline", DeliveryID: "7", Key: "a/b@main"}},
		"snippet":         {header("Note Hook"), `{"object_kind":"note","snippet":{"id":9},"project":{"path_with_namespace":"a/b"}}`, source.Delivery{EventType: "note", DeliveryID: "7", Key: "a/b$9"}},
		"bare note":       {header("Note Hook"), `{"object_kind":"note","project":{"path_with_namespace":"a/b"}}`, source.Delivery{EventType: "note", DeliveryID: "7", Key: "a/b"}},
		"id is not iid":   {header("Issue Hook"), `{"object_kind":"issue","object_attributes":{"id":9},"project":{"path_with_namespace":"a/b"}}`, source.Delivery{EventType: "issue", DeliveryID: "7", Key: "a/b"}},
		"no event":        {nil, `{"object_kind":"push"}`, source.Delivery{}},
		"two IDs":         {header("Push Hook").With("idempotency-key", "8"), `{}`, source.Delivery{}},
		"form":            {header("Push Hook").With("Content-Type", "application/x-www-form-urlencoded"), `{}`, source.Delivery{}},
	} {
		t.Run(name, func(t *testing.T) {
			s := tokens(t).Build(t, source.Secret{Value: []byte("s")})
			got, err := s.Parse(sourcetest.Request(test.header, []byte(test.body)))
			if malformed := new(source.Malformed); test.want.EventType == "" && !errors.As(err, &malformed) {
				t.Fatalf("Parse = %+v, %v; want *source.Malformed", got, err)
			}
			if test.want.EventType != "" && (err != nil || got != test.want) {
				t.Fatalf("Parse = %+v, %v; want %+v", got, err, test.want)
			}
		})
	}
}

// The IDs that look like one and are not are never taken for it.
func TestOtherUUIDsAreNoDeliveryID(t *testing.T) {
	s := tokens(t).Build(t, source.Secret{Value: []byte("s")})
	header := source.Header{
		{Name: "X-Gitlab-Event", Value: "Push Hook"},
		{Name: "X-Gitlab-Event-UUID", Value: "a"}, {Name: "X-Gitlab-Webhook-UUID", Value: "b"},
	}
	d, err := s.Parse(sourcetest.Request(header, []byte("{}")))
	if want := source.FallbackID("gitlab", "push", []byte("{}")); err != nil || d.DeliveryID != want {
		t.Errorf("Parse = %+v, %v; want the delivery ID %s", d, err, want)
	}
}
