package slack_test

import (
	"errors"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hooktroupe/hooktroupe/source"
	"github.com/hooktroupe/hooktroupe/source/slack"
	"github.com/hooktroupe/hooktroupe/source/sourcetest"
)

const vectorSecret = "8f742231b10e8888abcd99yyyzzz85a5"

func options(t testing.TB) sourcetest.Options {
	fixtures := sourcetest.Fixtures(t, "slack")
	for i := range fixtures {
		f := &fixtures[i]
		switch f.File {
		case "slack/event_callback.app_mention.slack-go.json":
			f.EventType, f.Key = "app_mention", "TXXXXXXXX#UXXXXXXX1"
		case "slack/slash_command.official-vector.txt":
			f.Key = "T1DC2JH3J#G8PSS9T3V"
		}
	}
	return sourcetest.Options{
		New:       slack.New,
		Config:    source.Config{Name: "chat", Type: "slack"},
		Secrets:   [3]string{vectorSecret, "another secret", "not configured"},
		Fixtures:  fixtures,
		Proof:     "X-Slack-Signature",
		SignsBody: true,
		SignsTime: true,
		Malformed: []string{"v0=", "v1=" + strings.Repeat("a", 64), strings.Repeat("a", 64), "v0=" + strings.Repeat("a", 63)},
		Samples:   []string{"app_mention"},
	}
}

func TestSource(t *testing.T) { sourcetest.Run(t, options(t)) }

func FuzzVerify(f *testing.F) { sourcetest.FuzzVerify(f, options(f)) }

func FuzzParse(f *testing.F) { sourcetest.FuzzParse(f, options(f)) }

func build(t testing.TB) source.Source {
	return options(t).Build(t, source.Secret{Value: []byte(vectorSecret)})
}

// The vector of the sender's documentation: a form, signed as it was sent.
func TestVector(t *testing.T) {
	const at = 1531420618
	for _, f := range sourcetest.Fixtures(t, "slack") {
		header := source.Header{
			{Name: "X-Slack-Request-Timestamp", Value: strconv.Itoa(at)},
			{Name: "X-Slack-Signature", Value: "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"},
		}
		err := build(t).Verify(sourcetest.Request(header, f.Body), time.Unix(at, 0))
		if (f.File == "slack/slash_command.official-vector.txt") != (err == nil) {
			t.Errorf("%s: Verify = %v", f.File, err)
		}
	}
}

func TestTimestampHeader(t *testing.T) {
	s, body := build(t), []byte(`{}`)
	good := sourcetest.Sign(t, s, nil, body, sourcetest.Now()).Header
	stamp := good.Get("X-Slack-Request-Timestamp")
	for name, test := range map[string]struct {
		header source.Header
		want   source.RefusalReason
	}{
		"missing":  {good[1:], source.ReasonMissing},
		"repeated": {good.With("X-Slack-Request-Timestamp", stamp), source.ReasonRepeated},
		"no time":  {good[1:].With("X-Slack-Request-Timestamp", "now"), source.ReasonMalformed},
		"another":  {good[1:].With("X-Slack-Request-Timestamp", "0"+stamp), source.ReasonMismatch},
	} {
		err := s.Verify(sourcetest.Request(test.header, body), sourcetest.Now())
		if refusal := new(source.Refusal); !errors.As(err, &refusal) || refusal.Reason != test.want {
			t.Errorf("%s: Verify = %v, want %s", name, err, test.want)
		}
	}
}

// The challenge is repeated in the answer, and to nobody who is not verified.
func TestChallenge(t *testing.T) {
	s := build(t)
	if _, greets := s.(source.Greeter); greets {
		t.Error("the source answers requests without proof")
	}
	parse := func(body string) (source.Delivery, error) { return s.Parse(sourcetest.Request(nil, []byte(body))) }
	d, err := parse(`{"type":"url_verification","challenge":"3eZbrw1aBm2r"}`)
	if err != nil || d.Answer == nil || d.Answer.Status != 200 || string(d.Answer.Body) != "3eZbrw1aBm2r" ||
		!strings.HasPrefix(d.Answer.ContentType, "text/plain") {
		t.Fatalf("Parse = %+v, %v; want the challenge", d, err)
	}
	for _, challenge := range []string{"", strings.Repeat("x", 1025)} {
		_, err := parse(`{"type":"url_verification","challenge":"` + challenge + `"}`)
		if !errors.As(err, new(*source.Malformed)) {
			t.Errorf("a challenge of %d bytes: %v", len(challenge), err)
		}
	}
}

func TestParse(t *testing.T) {
	form := source.Header{{Name: "Content-Type", Value: "application/x-www-form-urlencoded"}}
	payload := func(json string) string { return "payload=" + url.QueryEscape(json) }
	for name, test := range map[string]struct {
		header source.Header
		body   string
		want   source.Delivery // without an event type: malformed; without an ID: a digest
	}{
		"message":      {nil, `{"type":"event_callback","team_id":"T","event_id":"Ev1","event":{"type":"message","channel":"C","user":"U"}}`, source.Delivery{EventType: "message", DeliveryID: "Ev1", Key: "T#C"}},
		"reaction":     {nil, `{"type":"event_callback","team_id":"T","event_id":"Ev1","event":{"type":"reaction_added","item":{"channel":"C"},"user":"U"}}`, source.Delivery{EventType: "reaction_added", DeliveryID: "Ev1", Key: "T#C"}},
		"rate limited": {nil, `{"type":"app_rate_limited","team_id":"T","minute_rate_limited":1518467820}`, source.Delivery{EventType: "app_rate_limited", DeliveryID: "app_rate_limited:T:1518467820", Key: "T"}},
		"interaction":  {form, payload(`{"type":"block_actions","team":{"id":"T"},"channel":{"id":"C"}}`), source.Delivery{EventType: "block_actions", Key: "T#C"}},
		"modal":        {form, payload(`{"type":"view_submission","team":{"id":"T"},"user":{"id":"U"}}`), source.Delivery{EventType: "view_submission", Key: "T#U"}},
		"other form":   {form, "a=b", source.Delivery{}},
		"bad form":     {form, "%", source.Delivery{}},
		"bad payload":  {form, payload(`{`), source.Delivery{}},
		"no type":      {nil, `{"event_id":"Ev1"}`, source.Delivery{}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := build(t).Parse(sourcetest.Request(test.header, []byte(test.body)))
			if test.want.EventType == "" {
				if !errors.As(err, new(*source.Malformed)) {
					t.Fatalf("Parse = %+v, %v; want *source.Malformed", got, err)
				}
				return
			}
			if test.want.DeliveryID == "" {
				test.want.DeliveryID = source.FallbackID("slack", test.want.EventType, []byte(test.body))
			}
			if err != nil || got != test.want {
				t.Fatalf("Parse = %+v, %v; want %+v", got, err, test.want)
			}
		})
	}
}

// The sample of a challenge carries what it is asked with, in place of a delivery ID.
func TestChallengeSample(t *testing.T) {
	s := build(t)
	header, body, err := s.(source.Sampler).Sample("url_verification", "asked")
	if err != nil {
		t.Fatal(err)
	}
	d, err := s.Parse(sourcetest.Sign(t, s, header, body, sourcetest.Now()))
	if err != nil || d.Answer == nil || string(d.Answer.Body) != "asked" {
		t.Errorf("Parse = %+v, %v; want the challenge", d, err)
	}
}

// The check of a command's certificate is answered and makes no task.
func TestCertificateCheck(t *testing.T) {
	form := source.Header{{Name: "Content-Type", Value: "application/x-www-form-urlencoded"}}
	d, err := build(t).Parse(sourcetest.Request(form, []byte("token=deprecated&ssl_check=1")))
	if err != nil || d.Answer == nil || d.Answer.Status != 200 || len(d.Answer.Body) != 0 {
		t.Errorf("Parse = %+v, %v; want an answer", d, err)
	}
}

// A retry is the same delivery, not one to be thrown away for saying that it is a retry.
func TestRetry(t *testing.T) {
	header := source.Header{{Name: "X-Slack-Retry-Num", Value: "1"}, {Name: "X-Slack-Retry-Reason", Value: "http_timeout"}}
	d, err := build(t).Parse(sourcetest.Request(header, []byte(`{"event_id":"Ev1","event":{"type":"message"}}`)))
	if err != nil || d.DeliveryID != "Ev1" {
		t.Errorf("Parse = %+v, %v", d, err)
	}
}
