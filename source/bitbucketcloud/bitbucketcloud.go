// Package bitbucketcloud is the source of deliveries from Bitbucket Cloud's webhooks, signed with HMAC-SHA256 over the
// raw body. Deliveries to Connect apps, which carry a token of another kind, are not for this source.
//
// A delivery, as far as it is read here:
//
//	X-Event-Key: pullrequest:created              the event type, which the body does not repeat
//	X-Request-UUID: 290ec386-d7af-…               the delivery ID, the same over the attempts
//	X-Hub-Signature: sha256=<64 hex digits>       HMAC-SHA256 of the body
//
// An answer that takes over ten seconds, or 5xx, is followed by up to two more attempts, so duplicates are usual.
package bitbucketcloud

import (
	"crypto"
	"embed"
	"strings"

	"github.com/hooktroupe/hooktroupe/source"
	"github.com/hooktroupe/hooktroupe/source/body"
	"github.com/hooktroupe/hooktroupe/source/sample"
	"github.com/hooktroupe/hooktroupe/source/signature"
)

// The headers that identify a delivery. X-Hook-UUID names the hook, and X-Attempt-Number counts attempts of one ID.
const (
	eventHeader    = "X-Event-Key"
	deliveryHeader = "X-Request-UUID"
)

// files are the bodies of the samples.
//
//go:embed samples/*.json
var files embed.FS

type bitbucketCloud struct {
	signature.Scheme
	sample.Set
}

// New returns the source. It uses none of the optional fields of the configuration.
func New(c source.Config) (source.Source, error) {
	if err := c.Check(source.Uses{}); err != nil {
		return nil, err
	}
	form := signature.Form{Header: "X-Hub-Signature", Prefix: "sha256=", Hash: crypto.SHA256}
	return &bitbucketCloud{form.Scheme(c), samples()}, nil
}

// Parse reads event and delivery ID from the headers and the key from the body.
func (b *bitbucketCloud) Parse(req *source.Request) (source.Delivery, error) {
	event, id, err := body.Names(req.Header, eventHeader, deliveryHeader)
	if err != nil {
		return source.Delivery{}, err
	}
	doc, err := body.FromRequest(req)
	if err != nil {
		return source.Delivery{}, err
	}
	if id == "" {
		id = source.FallbackID("bitbucket_cloud", event, req.Body)
	}
	return source.Delivery{EventType: event, DeliveryID: id, Key: key(doc)}.Checked()
}

// key is the repository with the pull request or the issue, which are numbered apart, or with the first ref of a push:
// its old name when it was deleted.
func key(doc body.Document) string {
	repository := doc.Text("repository.full_name")
	if number := doc.Text("pullrequest.id"); number != "" {
		return source.Key(repository, '!', number)
	}
	if number := doc.Text("issue.id"); number != "" {
		return source.Key(repository, '#', number)
	}
	return source.Key(repository, '@', doc.First("push.changes.0.new.name", "push.changes.0.old.name"))
}

// samples are the usual event first, with the headers of a real delivery.
func samples() sample.Set {
	of := func(event string) sample.Sample {
		return sample.Sample{
			Event: event,
			File:  "samples/" + strings.ReplaceAll(event, ":", "_") + ".json",
			Header: source.Header{
				{Name: "User-Agent", Value: "Bitbucket-Webhooks/2.0"},
				{Name: "Content-Type", Value: "application/json"},
				{Name: eventHeader, Value: event},
				{Name: "X-Hook-UUID", Value: "b8523236-bf0b-5113-88bb-0c09e43b206f"},
				{Name: "X-Attempt-Number", Value: "1"},
			},
			IDHeaders: []string{deliveryHeader},
		}
	}
	return sample.NewSet(files, of("pullrequest:created"), of("repo:push"))
}
