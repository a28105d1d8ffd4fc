// Package shopify is the source of deliveries from Shopify: HMAC-SHA256 over the raw body in base64, keyed with the
// client secret of the app. The older headers begin with X-Shopify- and the newer ones with Shopify-; a delivery is read
// by one family only.
//
// A delivery, as far as it is read here:
//
//	X-Shopify-Topic: orders/create                the event type, which the body does not repeat
//	X-Shopify-Webhook-Id: f19eacb9-f03c-…         the delivery ID, the same over retries
//	X-Shopify-Shop-Domain: example.myshopify.com  the first part of the key
//	X-Shopify-Hmac-Sha256: <base64>               HMAC-SHA256 of the body
//
// X-Shopify-Triggered-At is not signed and proves nothing. After a rotation the old secret signs for up to an hour more. The
// sender waits five seconds and retries eight times over four hours, with the body as it was.
package shopify

import (
	"crypto"
	"embed"
	"strings"
	"time"

	"github.com/hooktroupe/hooktroupe/source"
	"github.com/hooktroupe/hooktroupe/source/body"
	"github.com/hooktroupe/hooktroupe/source/sample"
	"github.com/hooktroupe/hooktroupe/source/signature"
)

// The prefixes of the two header families.
const (
	olderFamily = "X-Shopify-"
	newerFamily = "Shopify-"
)

// files are the bodies of the samples.
//
//go:embed samples/*.json
var files embed.FS

type shopify struct {
	signature.Scheme
	sample.Set
}

// New returns the source. It uses none of the optional fields of the configuration.
func New(c source.Config) (source.Source, error) {
	if err := c.Check(source.Uses{}); err != nil {
		return nil, err
	}
	of := func(family string) signature.Scheme {
		form := signature.Form{Header: family + "Hmac-Sha256", Hash: crypto.SHA256, Encoding: signature.Base64}
		return form.Scheme(c)
	}
	return &shopify{families{older: of(olderFamily), newer: of(newerFamily)}, samples()}, nil
}

// families has a scheme for each family of headers.
type families struct {
	older, newer signature.Scheme
}

// Verify checks the signature of the family that names the topic.
func (f families) Verify(req *source.Request, now time.Time) error {
	return f.of(req.Header).Verify(req, now)
}

// Sign adds the signature in the family that names the topic.
func (f families) Sign(header source.Header, body []byte, now time.Time) (source.Header, error) {
	return f.of(header).Sign(header, body, now)
}

func (f families) of(header source.Header) signature.Scheme {
	if familyOf(header) == newerFamily {
		return f.newer
	}
	return f.older
}

// familyOf returns the family that has the topic, the older one if both have or neither has.
func familyOf(header source.Header) string {
	_, older, _ := header.One(olderFamily + "Topic")
	_, newer, _ := header.One(newerFamily + "Topic")
	if newer && !older {
		return newerFamily
	}
	return olderFamily
}

// Parse reads topic, delivery ID and shop from the headers. The ID of the delivery stays over its retries; the event ID
// is shared by the subscriptions of one action. The key is the shop with the object that the body describes.
func (s *shopify) Parse(req *source.Request) (source.Delivery, error) {
	family := familyOf(req.Header)
	topic, id, err := body.Names(req.Header, family+"Topic", family+"Webhook-Id")
	if err != nil {
		return source.Delivery{}, err
	}
	shop, err := body.Field(req.Header, family+"Shop-Domain")
	if err != nil {
		return source.Delivery{}, err
	}
	doc, err := body.FromRequest(req)
	if err != nil {
		return source.Delivery{}, err
	}
	if id == "" {
		id = source.FallbackID("shopify", topic, req.Body)
	}
	key := source.Key(shop, '#', doc.Text("id"))
	return source.Delivery{EventType: topic, DeliveryID: id, Key: key}.Checked()
}

// samples are the usual event first, with the headers of a real delivery.
func samples() sample.Set {
	of := func(topic string) sample.Sample {
		return sample.Sample{
			Event: topic,
			File:  "samples/" + strings.ReplaceAll(topic, "/", "_") + ".json",
			Header: source.Header{
				{Name: "User-Agent", Value: "Shopify-Captain-Hook"},
				{Name: "Content-Type", Value: "application/json"},
				{Name: "X-Shopify-Topic", Value: topic},
				{Name: "X-Shopify-Shop-Domain", Value: "example.myshopify.com"},
				{Name: "X-Shopify-API-Version", Value: "2026-07"},
				{Name: "X-Shopify-Event-Id", Value: "22e17e45-cd61-5f97-962c-dfdc702b3437"},
				{Name: "X-Shopify-Triggered-At", Value: "2026-07-01T12:00:00.000000000Z"},
			},
			IDHeaders: []string{"X-Shopify-Webhook-Id"},
		}
	}
	return sample.NewSet(files, of("customers/create"), of("app/uninstalled"))
}
