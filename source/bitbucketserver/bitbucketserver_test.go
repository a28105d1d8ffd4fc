package bitbucketserver_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/hooktroupe/hooktroupe/source"
	"github.com/hooktroupe/hooktroupe/source/bitbucketserver"
	"github.com/hooktroupe/hooktroupe/source/sourcetest"
)

func options(t testing.TB) sourcetest.Options {
	return sourcetest.Options{
		New:       bitbucketserver.New,
		Config:    source.Config{Name: "bbs", Type: "bitbucket_server"},
		Secrets:   [3]string{"It's a Secret to Everybody", "another secret", "not configured"},
		Fixtures:  sourcetest.Fixtures(t, "bitbucket_server"),
		Proof:     "X-Hub-Signature",
		SignsBody: true,
		Malformed: []string{
			"sha256=", strings.Repeat("a", 64), "sha1=" + strings.Repeat("a", 40), "sha512=" + strings.Repeat("a", 128),
			"sha256=" + strings.Repeat("a", 62) + "zz",
		},
		Samples: []string{"pr:opened", "repo:refs_changed", "diagnostics:ping"},
	}
}

func TestSource(t *testing.T) { sourcetest.Run(t, options(t)) }

func FuzzVerify(f *testing.F) { sourcetest.FuzzVerify(f, options(f)) }

func FuzzParse(f *testing.F) { sourcetest.FuzzParse(f, options(f)) }

// FuzzGreet looks for a body that is answered without proof and is not the connection test's.
func FuzzGreet(f *testing.F) {
	greeter := build(f).(source.Greeter)
	for _, seed := range []string{`{"test": true}`, `{"test":true,"test":true}`, "{\n\t\"test\" : true}", `{"t\u0065st":true}`, `{"test":1}`, ""} {
		f.Add([]byte(seed))
	}
	ping := source.Header{{Name: "X-Event-Key", Value: "diagnostics:ping"}}
	f.Fuzz(func(t *testing.T, body []byte) {
		if _, ok := greeter.Greet(sourcetest.Request(ping, body)); !ok {
			return
		}
		if strings.Join(strings.Fields(string(body)), "") != `{"test":true}` {
			t.Fatalf("greeted %q", body)
		}
	})
}

func build(t testing.TB) source.Source {
	return options(t).Build(t, source.Secret{Value: []byte("It's a Secret to Everybody")})
}

// The vector is from the sender's documentation. The header holds SHA-256 here, and SHA-1 at GitHub.
func TestVector(t *testing.T) {
	const signature = "sha256=a4771c39fbe90f317c7824e83ddef3caae9cb3d976c214ace1f2937e133263c9"
	s, body := build(t), []byte("Hello World!")
	header := source.Header{{Name: "X-Hub-Signature", Value: signature}}
	if err := s.Verify(sourcetest.Request(header, body), sourcetest.Now()); err != nil {
		t.Errorf("Verify: %v", err)
	}
	if got := sourcetest.Sign(t, s, nil, body, sourcetest.Now()).Header[0].Value; got != signature {
		t.Errorf("Sign = %s, want %s", got, signature)
	}
}

// The connection test is the one unsigned request that is answered, and nothing that only resembles it is.
func TestGreet(t *testing.T) {
	ping := source.Header{{Name: "x-event-key", Value: "diagnostics:ping"}}
	for name, test := range map[string]struct {
		method string
		header source.Header
		body   string
		want   bool
	}{
		"on the wire":    {"POST", ping, `{"test": true}`, true},
		"compact":        {"POST", ping, `{"test":true}`, true},
		"indented":       {"POST", ping, "{\n    \"test\": true\n}", true},
		"another event":  {"POST", source.Header{{Name: "X-Event-Key", Value: "pr:opened"}}, `{"test": true}`, false},
		"no event":       {"POST", nil, `{"test": true}`, false},
		"two events":     {"POST", ping.With("X-Event-Key", "diagnostics:ping"), `{"test": true}`, false},
		"letter case":    {"POST", source.Header{{Name: "X-Event-Key", Value: "Diagnostics:Ping"}}, `{"test": true}`, false},
		"false":          {"POST", ping, `{"test": false}`, false},
		"one more":       {"POST", ping, `{"test": true, "pullRequest": {}}`, false},
		"said twice":     {"POST", ping, `{"test":true,"test":true}`, false},
		"another name":   {"POST", ping, `{"tess":true}`, false},
		"another value":  {"POST", ping, `{"test":"ab"}`, false},
		"spaced name":    {"POST", ping, `{"te st":true}`, false},
		"followed":       {"POST", ping, `{"test": true}{}`, false},
		"padded":         {"POST", ping, `{"test": true}` + strings.Repeat(" ", 60), false},
		"empty":          {"POST", ping, ``, false},
		"another method": {"PUT", ping, `{"test": true}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			req := sourcetest.Request(test.header, []byte(test.body))
			req.Method = test.method
			answer, got := build(t).(source.Greeter).Greet(req)
			if got != test.want || got != (answer != nil) {
				t.Fatalf("Greet = %+v, %t", answer, got)
			}
			if got && (answer.Status != 200 || string(answer.Body) != `{"status":"pong"}`) {
				t.Fatalf("Greet = %+v", answer)
			}
		})
	}
}

func TestParse(t *testing.T) {
	header := func(event string) source.Header {
		return source.Header{{Name: "X-Event-Key", Value: event}, {Name: "X-Request-Id", Value: "7"}}
	}
	const repository = `"repository":{"slug":"r","project":{"key":"~user"}}`
	for name, test := range map[string]struct {
		header source.Header
		body   string
		want   source.Delivery // without an event type: malformed
	}{
		"no changes":    {header("repo:refs_changed"), `{"changes":[],` + repository + `}`, source.Delivery{EventType: "repo:refs_changed", DeliveryID: "7", Key: "~user/r"}},
		"several refs":  {header("repo:refs_changed"), `{"changes":[{"ref":{"id":"refs/heads/a"}},{"ref":{"id":"refs/heads/b"}}],` + repository + `}`, source.Delivery{EventType: "repo:refs_changed", DeliveryID: "7", Key: "~user/r@refs/heads/a"}},
		"modified":      {header("repo:modified"), `{"old":{},"new":{"slug":"r","project":{"key":"P"}}}`, source.Delivery{EventType: "repo:modified", DeliveryID: "7", Key: "P/r"}},
		"project":       {header("project:modified"), `{"old":{},"new":{"key":"P"}}`, source.Delivery{EventType: "project:modified", DeliveryID: "7"}},
		"no ID":         {header("pr:opened")[:1], `{}`, source.Delivery{EventType: "pr:opened", DeliveryID: source.FallbackID("bitbucket_server", "pr:opened", []byte(`{}`))}},
		"no event":      {header("")[1:], `{}`, source.Delivery{}},
		"two events":    {header("pr:opened").With("x-event-key", "pr:opened"), `{}`, source.Delivery{}},
		"two IDs":       {header("pr:opened").With("x-request-id", "8"), `{}`, source.Delivery{}},
		"odd event":     {header("pr:\x01"), `{}`, source.Delivery{}},
		"array instead": {header("pr:opened"), `[]`, source.Delivery{}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := build(t).Parse(sourcetest.Request(test.header, []byte(test.body)))
			if malformed := new(source.Malformed); test.want.EventType == "" && !errors.As(err, &malformed) {
				t.Fatalf("Parse = %+v, %v; want *source.Malformed", got, err)
			}
			if test.want.EventType != "" && (err != nil || got != test.want) {
				t.Fatalf("Parse = %+v, %v; want %+v", got, err, test.want)
			}
		})
	}
}

// A test that is signed after all is answered too, whatever else its body says.
func TestSignedPing(t *testing.T) {
	header := source.Header{{Name: "X-Event-Key", Value: "diagnostics:ping"}}
	d, err := build(t).Parse(sourcetest.Request(header, []byte(`{"test":true,"more":1}`)))
	if err != nil || d.Answer == nil || d.Answer.Status != 200 {
		t.Errorf("Parse = %+v, %v; want an answer", d, err)
	}
}
