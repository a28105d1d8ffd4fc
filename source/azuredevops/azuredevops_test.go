package azuredevops_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/hooktroupe/hooktroupe/source"
	"github.com/hooktroupe/hooktroupe/source/azuredevops"
	"github.com/hooktroupe/hooktroupe/source/sourcetest"
)

const zeroSubscription = "00000000-0000-0000-0000-000000000000"

func options(t testing.TB) sourcetest.Options {
	return sourcetest.Options{
		New:      azuredevops.New,
		Config:   source.Config{Name: "ado", Type: "azure_devops", Username: "hooks"},
		Secrets:  [3]string{"pass:word", "größe", "not configured"},
		Fixtures: fixtures(t),
		Proof:    "Authorization",
		Malformed: []string{
			"Basic", "Basic ", "Basic !", "Bearer abc", "aG9va3M6eA==", "Basic aG9va3M6eA", "Basic  aG9va3M6eA==",
			"Basic " + base64.StdEncoding.EncodeToString([]byte("no colon")),
		},
		Samples: []string{"git.pullrequest.created", "git.push"},
	}
}

// fixtures sets the delivery IDs that are made of subscription and notification, and the key of the one build.
func fixtures(t testing.TB) []sourcetest.Fixture {
	fixtures := sourcetest.Fixtures(t, "azure_devops")
	for i := range fixtures {
		f := &fixtures[i]
		body := strings.TrimPrefix(string(f.Body), "\xef\xbb\xbf")
		subscription, notification := gjson.Get(body, "subscriptionId").Str, gjson.Get(body, "notificationId").Raw
		if subscription != "" && notification != "" {
			f.DeliveryID = subscription + ":" + notification
		}
		if subscription == zeroSubscription {
			f.DeliveryID += ":" + f.Header.Get("X-VSS-ActivityId")
		}
		if f.EventType == "build.complete" {
			f.Key = "be9b3917-87e6-42a4-a549-2bc06a7a878f/builds#2"
		}
	}
	return fixtures
}

// custom is the same sender with the secret in a header of the subscription.
func custom(t testing.TB) sourcetest.Options {
	o := options(t)
	o.Config.Username, o.Config.Header = "", "X-Hook-Secret"
	o.Proof, o.Malformed = o.Config.Header, nil
	return o
}

func TestSource(t *testing.T) {
	t.Run("basic", func(t *testing.T) { sourcetest.Run(t, options(t)) })
	t.Run("custom header", func(t *testing.T) { sourcetest.Run(t, custom(t)) })
}

func FuzzVerifyHeader(f *testing.F) { sourcetest.FuzzVerify(f, custom(f)) }

func FuzzVerify(f *testing.F) { sourcetest.FuzzVerify(f, options(f)) }

func FuzzParse(f *testing.F) { sourcetest.FuzzParse(f, options(f)) }

// Header and value are the example of RFC 7617.
func TestVector(t *testing.T) {
	o := options(t)
	o.Config.Username = "Aladdin"
	s := o.Build(t, source.Secret{Value: []byte("open sesame")})
	for _, value := range []string{"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="} {
		req := sourcetest.Request(source.Header{{Name: "Authorization", Value: value}}, nil)
		if err := s.Verify(req, sourcetest.Now()); err != nil {
			t.Errorf("Verify: %v", err)
		}
	}
}

func TestBothUserAndPasswordMustFit(t *testing.T) {
	s := options(t).Build(t, source.Secret{Value: []byte("pass:word")})
	for credentials, accepted := range map[string]bool{
		"hooks:pass:word": true, "hooks:pass": false, "Hooks:pass:word": false, ":pass:word": false,
		"hooks:": false, "hooks:pass:word ": false, "other:x": false,
	} {
		value := "Basic " + base64.StdEncoding.EncodeToString([]byte(credentials))
		req := sourcetest.Request(source.Header{{Name: "Authorization", Value: value}}, nil)
		err := s.Verify(req, sourcetest.Now())
		refusal := new(source.Refusal)
		if accepted && err != nil || !accepted && (!errors.As(err, &refusal) || refusal.Reason != source.ReasonMismatch) {
			t.Errorf("%s: Verify = %v", credentials, err)
		}
	}
}

func TestUsername(t *testing.T) {
	for _, username := range []string{"", "a:b"} {
		c := options(t).Config
		c.Username, c.Secrets = username, []source.Secret{{Value: []byte("s")}}
		if _, err := azuredevops.New(c); err == nil || !strings.Contains(err.Error(), "sources.ado.username") {
			t.Errorf("New with the user %q = %v", username, err)
		}
	}
	if _, err := azuredevops.New(source.Config{Name: "ado", Username: "u", Insecure: true}); err == nil {
		t.Error("New accepts a user that it would never ask for")
	}
}

// The secret is in one place, which the configuration names.
func TestHeader(t *testing.T) {
	s := custom(t).Build(t, source.Secret{Value: []byte("open sesame")})
	basic := source.Header{{Name: "Authorization", Value: "Basic " + base64.StdEncoding.EncodeToString([]byte("hooks:open sesame"))}}
	err := s.Verify(sourcetest.Request(basic, nil), sourcetest.Now())
	if refusal := new(source.Refusal); !errors.As(err, &refusal) || refusal.Reason != source.ReasonMissing {
		t.Errorf("basic authentication where a header is expected: %v", err)
	}
	for name, change := range map[string]func(*source.Config){
		"with a user":      func(c *source.Config) { c.Username = "hooks" },
		"insecure":         func(c *source.Config) { c.Secrets, c.Insecure = nil, true },
		"no header's name": func(c *source.Config) { c.Header = "X Hook" },
		"a line's end":     func(c *source.Config) { c.Header = "X-Hook\n" },
	} {
		c := custom(t).Config
		c.Secrets = []source.Secret{{Value: []byte("s")}}
		change(&c)
		if _, err := azuredevops.New(c); err == nil || !strings.Contains(err.Error(), "sources.ado.header: ") {
			t.Errorf("%s: New = %v", name, err)
		}
	}
}

// The test button repeats its IDs at every press; each press is a delivery of its own.
func TestTestButton(t *testing.T) {
	s := options(t).Build(t, source.Secret{Value: []byte("s")})
	body := []byte(`{"subscriptionId":"` + zeroSubscription + `","notificationId":1,"id":"x","eventType":"git.push"}`)
	seen := map[string]bool{}
	for _, activity := range []string{"a", "b"} {
		d, err := s.Parse(sourcetest.Request(source.Header{{Name: "x-vss-activityid", Value: activity}}, body))
		if err != nil {
			t.Fatal(err)
		}
		seen[d.DeliveryID] = true
	}
	if len(seen) != 2 {
		t.Errorf("delivery IDs %v for two presses", seen)
	}
	twice := source.Header{{Name: "X-VSS-ActivityId", Value: "a"}, {Name: "X-VSS-ActivityId", Value: "b"}}
	if _, err := s.Parse(sourcetest.Request(twice, body)); err == nil {
		t.Error("Parse takes an ID from a header that came twice")
	}
}

func TestParse(t *testing.T) {
	s := options(t).Build(t, source.Secret{Value: []byte("s")})
	for name, test := range map[string]struct {
		body string
		want source.Delivery // without an event type: malformed
	}{
		"no resource":      {`{"id":"x","eventType":"git.push"}`, source.Delivery{EventType: "git.push", DeliveryID: "x"}},
		"id alone":         {`{"id":"x","subscriptionId":"s","eventType":"git.push"}`, source.Delivery{EventType: "git.push", DeliveryID: "x"}},
		"both":             {`{"id":"x","subscriptionId":"s","notificationId":9007199254740993,"eventType":"git.push"}`, source.Delivery{EventType: "git.push", DeliveryID: "s:9007199254740993"}},
		"comment, v1":      {`{"id":"x","eventType":"ms.vss-code.git-pullrequest-comment-event","resource":{"id":1}}`, source.Delivery{EventType: "ms.vss-code.git-pullrequest-comment-event", DeliveryID: "x"}},
		"build, minimal":   {`{"id":"x","eventType":"build.complete","resource":{"id":1}}`, source.Delivery{EventType: "build.complete", DeliveryID: "x"}},
		"work item update": {`{"id":"x","eventType":"workitem.updated","resource":{"id":2,"workItemId":5},"resourceContainers":{"project":{"id":"p"}}}`, source.Delivery{EventType: "workitem.updated", DeliveryID: "x", Key: "p#5"}},
		"project":          {`{"id":"x","eventType":"message.posted","resourceContainers":{"project":{"id":"p"}}}`, source.Delivery{EventType: "message.posted", DeliveryID: "x", Key: "p"}},
		"no event":         {`{"id":"x"}`, source.Delivery{}},
		"long ID":          {`{"id":"` + strings.Repeat("x", 257) + `","eventType":"e"}`, source.Delivery{}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := s.Parse(sourcetest.Request(nil, []byte(test.body)))
			if malformed := new(source.Malformed); test.want.EventType == "" && !errors.As(err, &malformed) {
				t.Fatalf("Parse = %+v, %v; want *source.Malformed", got, err)
			}
			if test.want.EventType != "" && (err != nil || got != test.want) {
				t.Fatalf("Parse = %+v, %v; want %+v", got, err, test.want)
			}
		})
	}
}
