// Package standardwebhooks is the source of deliveries from every sender that follows the Standard Webhooks
// specification, or Svix, whose headers have other names: id, time and body are signed, with a shared key or with
// ed25519.
//
// A delivery, as far as it is read here, or with svix- in place of webhook-:
//
//	webhook-id: msg_p5jXN8AQM9LWM0D4loKWxJek      the delivery ID, the same over retries
//	webhook-timestamp: 1614265330                 seconds, new at every retry
//	webhook-signature: v1,<base64> v1a,<base64>   one entry for each key
//
// Senders retry for up to three days, and honour Retry-After.
package standardwebhooks

import (
	"embed"

	"github.com/hooktroupe/hooktroupe/source"
	"github.com/hooktroupe/hooktroupe/source/body"
	"github.com/hooktroupe/hooktroupe/source/sample"
	"github.com/hooktroupe/hooktroupe/source/signature"
)

// defaultEvent is the event type of a body without one: the specification recommends it and demands nothing.
const defaultEvent = "event"

// files are the bodies of the samples.
//
//go:embed samples/*.json
var files embed.FS

type standard struct {
	signature.Scheme
	sample.Set
}

// New returns the source. It uses Tolerance and no other optional field. Secrets are whsec_ keys, or whpk_ public keys;
// whsk_ private keys sign as well.
func New(c source.Config) (source.Source, error) {
	if err := c.Check(source.Uses{Tolerance: true}); err != nil {
		return nil, err
	}
	if c.Insecure {
		return &standard{signature.Open{}, samples()}, nil
	}
	scheme, err := signature.NewStandard(c, families()...)
	if err != nil {
		return nil, err
	}
	return &standard{scheme, samples()}, nil
}

// families are the header families, the one that wins first.
func families() []signature.Family {
	return []signature.Family{signature.SvixFamily(), signature.WebhookFamily()}
}

// Parse reads the delivery ID from the header that was signed and the event type from the body. What the body is about
// is the sender's own, so there is no key.
func (s *standard) Parse(req *source.Request) (source.Delivery, error) {
	id, err := body.Field(req.Header, signature.FamilyOf(req.Header, families()...).ID)
	if err != nil {
		return source.Delivery{}, err
	}
	doc, err := body.FromRequest(req)
	if err != nil {
		return source.Delivery{}, err
	}
	event := doc.Text("type")
	if event == "" {
		event = defaultEvent
	}
	if id == "" {
		id = source.FallbackID("standard_webhooks", event, req.Body)
	}
	return source.Delivery{EventType: source.BoundEvent(event), DeliveryID: id}.Checked()
}

// samples are the usual event first, with the headers of a real delivery.
func samples() sample.Set {
	return sample.NewSet(files, sample.Sample{
		Event:     "contact.created",
		File:      "samples/contact.created.json",
		Header:    source.Header{{Name: "Content-Type", Value: "application/json"}},
		IDHeaders: []string{signature.WebhookFamily().ID},
	})
}
