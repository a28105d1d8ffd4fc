// Package jira is the source of deliveries from Jira Cloud's webhooks, signed with HMAC-SHA256 over the raw body.
//
// A delivery, as far as it is read here:
//
//	X-Atlassian-Webhook-Identifier: 19850b51-…    the delivery ID
//	X-Hub-Signature: sha256=<64 hex digits>       HMAC-SHA256 of the body; other algorithms are refused
//
// The event type is the webhookEvent of the body: jira:issue_created.
package jira

import (
	"crypto"
	"embed"
	"strings"

	"github.com/hooktroupe/hooktroupe/source"
	"github.com/hooktroupe/hooktroupe/source/body"
	"github.com/hooktroupe/hooktroupe/source/sample"
	"github.com/hooktroupe/hooktroupe/source/signature"
)

// deliveryHeader holds the delivery ID, the same over retries.
const deliveryHeader = "X-Atlassian-Webhook-Identifier"

// files are the bodies of the samples.
//
//go:embed samples/*.json
var files embed.FS

type jira struct {
	signature.Scheme
	sample.Set
}

// New returns the source. It uses none of the optional fields of the configuration.
func New(c source.Config) (source.Source, error) {
	if err := c.Check(source.Uses{}); err != nil {
		return nil, err
	}
	form := signature.Form{Header: "X-Hub-Signature", Prefix: "sha256=", Hash: crypto.SHA256}
	return &jira{form.Scheme(c), samples()}, nil
}

// Parse reads the delivery ID from its header, and event and issue, which is the key, from the body.
func (j *jira) Parse(req *source.Request) (source.Delivery, error) {
	id, err := body.Field(req.Header, deliveryHeader)
	if err != nil {
		return source.Delivery{}, err
	}
	doc, err := body.FromRequest(req)
	if err != nil {
		return source.Delivery{}, err
	}
	event := doc.Text("webhookEvent")
	if id == "" {
		id = source.FallbackID("jira", event, req.Body)
	}
	return source.Delivery{EventType: event, DeliveryID: id, Key: doc.Text("issue.key")}.Checked()
}

// samples are the usual event first, with the headers of a real delivery.
func samples() sample.Set {
	of := func(event string) sample.Sample {
		return sample.Sample{
			Event: event,
			File:  "samples/" + strings.ReplaceAll(event, ":", "_") + ".json",
			Header: source.Header{
				{Name: "User-Agent", Value: "Atlassian Webhook HTTP Client"},
				{Name: "Content-Type", Value: "application/json; charset=UTF-8"},
				{Name: "X-Atlassian-Webhook-Flow", Value: "Primary"},
			},
			IDHeaders: []string{deliveryHeader},
		}
	}
	return sample.NewSet(files, of("jira:issue_created"), of("comment_created"))
}
