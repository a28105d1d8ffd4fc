// Package slack is the source of deliveries from Slack: events, slash commands and interactions. Time and raw body are
// signed, of forms as well. The challenge by which the sender checks an address is answered, once it is verified.
//
// A delivery, as far as it is read here:
//
//	X-Slack-Request-Timestamp: 1531420618         seconds, new at every retry
//	X-Slack-Signature: v0=<64 hex digits>         HMAC-SHA256 of v0:1531420618:<body>
//
// The sender waits three seconds and retries three times under the same event_id. A retry must not be thrown away for
// being one: the first copy may not have arrived.
package slack

import (
	"crypto"
	"embed"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/hooktroupe/hooktroupe/source"
	"github.com/hooktroupe/hooktroupe/source/body"
	"github.com/hooktroupe/hooktroupe/source/sample"
	"github.com/hooktroupe/hooktroupe/source/signature"
)

// The headers that authenticate a delivery.
const (
	signatureHeader = "X-Slack-Signature"
	timestampHeader = "X-Slack-Request-Timestamp"
)

// The events that are read in a way of their own.
const (
	challengeEvent   = "url_verification"
	rateLimitedEvent = "app_rate_limited"
	slashEvent       = "slash_command" // the sender has no name for it
	sslCheckEvent    = "ssl_check"     // now and then, to see whether the certificate of a command's address is good
)

// maxChallengeBytes bounds what a challenge may have the daemon repeat.
const maxChallengeBytes = 1 << 10

// files are the bodies of the samples.
//
//go:embed samples/*.json
var files embed.FS

type slack struct {
	signature.Scheme
	sample.Set
}

// New returns the source. It uses Tolerance and no other optional field.
func New(c source.Config) (source.Source, error) {
	if err := c.Check(source.Uses{Tolerance: true}); err != nil {
		return nil, err
	}
	if c.Insecure {
		return &slack{signature.Open{}, samples()}, nil
	}
	keys := signature.NewKeys(crypto.SHA256, c.Secrets)
	return &slack{&scheme{keys: keys, tolerance: c.Window()}, samples()}, nil
}

// scheme signs v0:TIME:BODY, with the time in a header of its own.
type scheme struct {
	keys      *signature.Keys
	tolerance time.Duration
}

// Verify checks the time and then the signature.
func (s *scheme) Verify(req *source.Request, now time.Time) error {
	value, err := signature.Only(req.Header, signatureHeader)
	if err != nil {
		return err
	}
	stamp, err := signature.Only(req.Header, timestampHeader)
	if err != nil {
		return err
	}
	encoded, ok := strings.CutPrefix(value, "v0=")
	sum := make([]byte, s.keys.Size())
	if !ok || !signature.Hex.Decode(sum, encoded) {
		return signature.Malformed(signatureHeader, "v0= and 32 bytes in hex")
	}
	if err := signature.Fresh(timestampHeader, stamp, now, s.tolerance); err != nil {
		return err
	}
	if !s.keys.Match(now, []byte("v0:"+stamp+":"), req.Body, sum) {
		return signature.Mismatch(signatureHeader)
	}
	return nil
}

// Sign adds time and signature under the first secret.
func (s *scheme) Sign(header source.Header, body []byte, now time.Time) (source.Header, error) {
	stamp := strconv.FormatInt(now.Unix(), 10)
	sum := s.keys.Sum([]byte("v0:"+stamp+":"), body)
	return header.With(timestampHeader, stamp).With(signatureHeader, "v0="+signature.Hex.Encode(sum)), nil
}

// Parse reads a JSON body as an event, and a form as an interaction or a slash command. A challenge is answered and
// makes no task.
func (s *slack) Parse(req *source.Request) (source.Delivery, error) {
	d, err := read(req)
	if err != nil {
		return source.Delivery{}, err
	}
	if d.DeliveryID == "" {
		d.DeliveryID = source.FallbackID("slack", d.EventType, req.Body)
	}
	return d.Checked()
}

func read(req *source.Request) (source.Delivery, error) {
	if body.IsForm(body.Media(req.Header)) {
		return readForm(req.Body)
	}
	doc, err := body.FromRequest(req)
	if err != nil {
		return source.Delivery{}, err
	}
	team := doc.Text("team_id")
	d := source.Delivery{
		EventType:  doc.First("event.type", "type"),
		DeliveryID: doc.Text("event_id"),
		Key:        source.Key(team, '#', doc.First("event.channel", "event.item.channel", "event.user")),
	}
	switch d.EventType {
	case challengeEvent:
		d.Answer, err = answer(doc.Text("challenge"))
	case rateLimitedEvent: // the one without an ID
		d.DeliveryID = source.BoundID(rateLimitedEvent + ":" + team + ":" + doc.Text("minute_rate_limited"))
	}
	return d, err
}

// answer repeats a challenge.
func answer(challenge string) (*source.Answer, error) {
	if challenge == "" || len(challenge) > maxChallengeBytes {
		return nil, &source.Malformed{Detail: "challenge is not 1 to 1024 bytes"}
	}
	return &source.Answer{Status: 200, ContentType: "text/plain; charset=utf-8", Body: []byte(challenge)}, nil
}

// readForm reads an interaction, whose form has JSON in a field, or a slash command, whose form has one for each value.
func readForm(raw []byte) (source.Delivery, error) {
	form, err := url.ParseQuery(string(raw))
	if err != nil {
		return source.Delivery{}, &source.Malformed{Detail: "body is not a form"}
	}
	if !form.Has("payload") {
		if form.Get("ssl_check") == "1" {
			return source.Delivery{EventType: sslCheckEvent, Answer: &source.Answer{Status: 200}}, nil
		}
		if !form.Has("command") {
			return source.Delivery{}, &source.Malformed{Detail: "form has neither payload nor command"}
		}
		key := source.Key(form.Get("team_id"), '#', form.Get("channel_id"))
		return source.Delivery{EventType: slashEvent, Key: key}, nil
	}
	doc, err := body.ReadObject([]byte(form.Get("payload")))
	if err != nil {
		return source.Delivery{}, err
	}
	key := source.Key(doc.Text("team.id"), '#', doc.First("channel.id", "user.id"))
	return source.Delivery{EventType: doc.Text("type"), Key: key}, nil
}

// samples are the usual event first, with the headers of a real delivery.
func samples() sample.Set {
	header := source.Header{
		{Name: "User-Agent", Value: "Slackbot 1.0 (+https://api.slack.com/robots)"},
		{Name: "Accept", Value: "*/*"},
		{Name: "Content-Type", Value: "application/json"},
	}
	return sample.NewSet(files,
		sample.Sample{Event: "app_mention", File: "samples/app_mention.json", Header: header, IDPath: "event_id"},
		sample.Sample{Event: challengeEvent, File: "samples/url_verification.json", Header: header, IDPath: "challenge"})
}
