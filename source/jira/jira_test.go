package jira_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/hooktroupe/hooktroupe/source"
	"github.com/hooktroupe/hooktroupe/source/jira"
	"github.com/hooktroupe/hooktroupe/source/sourcetest"
)

func options(t testing.TB) sourcetest.Options {
	fixtures := sourcetest.Fixtures(t, "jira")
	for i := range fixtures {
		fixtures[i].Repository = "" // the key of an issue begins with that of its project
	}
	return sourcetest.Options{
		New:       jira.New,
		Config:    source.Config{Name: "jira", Type: "jira"},
		Secrets:   [3]string{"It's a Secret to Everybody", "another secret", "not configured"},
		Fixtures:  fixtures,
		Proof:     "X-Hub-Signature",
		SignsBody: true,
		Malformed: []string{"sha256=", "sha1=" + strings.Repeat("a", 40), "sha512=" + strings.Repeat("a", 128), "sha256"},
		Samples:   []string{"jira:issue_created", "comment_created"},
	}
}

func TestSource(t *testing.T) { sourcetest.Run(t, options(t)) }

func FuzzVerify(f *testing.F) { sourcetest.FuzzVerify(f, options(f)) }

func FuzzParse(f *testing.F) { sourcetest.FuzzParse(f, options(f)) }

// The vector of the sender's documentation.
func TestVector(t *testing.T) {
	header := source.Header{{Name: "X-Hub-Signature", Value: "sha256=a4771c39fbe90f317c7824e83ddef3caae9cb3d976c214ace1f2937e133263c9"}}
	s := options(t).Build(t, source.Secret{Value: []byte("It's a Secret to Everybody")})
	if err := s.Verify(sourcetest.Request(header, []byte("Hello World!")), sourcetest.Now()); err != nil {
		t.Errorf("Verify: %v", err)
	}
}

func TestMalformedDeliveries(t *testing.T) {
	s := options(t).Build(t, source.Secret{Value: []byte("s")})
	id := source.Header{{Name: "X-Atlassian-Webhook-Identifier", Value: "7"}}
	for name, test := range map[string]struct {
		header source.Header
		body   string
	}{
		"no event": {id, `{"issue":{"key":"A-1"}}`},
		"two IDs":  {id.With("x-atlassian-webhook-identifier", "8"), `{"webhookEvent":"e"}`},
	} {
		if _, err := s.Parse(sourcetest.Request(test.header, []byte(test.body))); !errors.As(err, new(*source.Malformed)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
