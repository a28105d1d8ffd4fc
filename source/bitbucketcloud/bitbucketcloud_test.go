package bitbucketcloud_test

import (
	"strings"
	"testing"

	"github.com/hooktroupe/hooktroupe/source"
	"github.com/hooktroupe/hooktroupe/source/bitbucketcloud"
	"github.com/hooktroupe/hooktroupe/source/sourcetest"
)

func options(t testing.TB) sourcetest.Options {
	return sourcetest.Options{
		New:       bitbucketcloud.New,
		Config:    source.Config{Name: "bbc", Type: "bitbucket_cloud"},
		Secrets:   [3]string{"It's a Secret to Everybody", "another secret", "not configured"},
		Fixtures:  sourcetest.Fixtures(t, "bitbucket_cloud"),
		Proof:     "X-Hub-Signature",
		SignsBody: true,
		Malformed: []string{"sha256=", strings.Repeat("a", 64), "sha1=" + strings.Repeat("a", 40)},
		Samples:   []string{"pullrequest:created", "repo:push"},
	}
}

func TestSource(t *testing.T) { sourcetest.Run(t, options(t)) }

func FuzzVerify(f *testing.F) { sourcetest.FuzzVerify(f, options(f)) }

func FuzzParse(f *testing.F) { sourcetest.FuzzParse(f, options(f)) }

// The vectors are of the sender's documentation and of a receiver's tests, over the bytes of a fixture.
func TestVectors(t *testing.T) {
	var signed []byte
	for _, f := range sourcetest.Fixtures(t, "bitbucket_cloud") {
		if f.File == "bitbucket_cloud/signed_payload.jenkins.json" {
			signed = f.Body
		}
	}
	for _, test := range []struct{ secret, body, signature string }{
		{"It's a Secret to Everybody", "Hello World!", "sha256=a4771c39fbe90f317c7824e83ddef3caae9cb3d976c214ace1f2937e133263c9"},
		{"Gkvl$k$wyNpQAF42", string(signed), "sha256=f205c729821c6954aff2afe72b965c34015b4baf96ea8ddc2cc44999c014a035"},
	} {
		s := options(t).Build(t, source.Secret{Value: []byte(test.secret)})
		header := source.Header{{Name: "X-Hub-Signature", Value: test.signature}}
		if err := s.Verify(sourcetest.Request(header, []byte(test.body)), sourcetest.Now()); err != nil {
			t.Errorf("%.20s: %v", test.body, err)
		}
	}
}

// Pull requests and issues are numbered apart.
func TestKeys(t *testing.T) {
	s := options(t).Build(t, source.Secret{Value: []byte("s")})
	header := source.Header{{Name: "X-Event-Key", Value: "e"}}
	for body, want := range map[string]string{
		`{"repository":{"full_name":"a/b"},"pullrequest":{"id":1}}`:                                  "a/b!1",
		`{"repository":{"full_name":"a/b"},"issue":{"id":1}}`:                                        "a/b#1",
		`{"repository":{"full_name":"a/b"},"push":{"changes":[{"new":null,"old":{"name":"gone"}}]}}`: "a/b@gone",
		`{"repository":{"full_name":"a/b"},"push":{"changes":[]}}`:                                   "a/b",
		`{"repository":null}`: "",
	} {
		if d, err := s.Parse(sourcetest.Request(header, []byte(body))); err != nil || d.Key != want {
			t.Errorf("Parse(%s) = %+v, %v; want the key %q", body, d, err, want)
		}
	}
}
