// Package stripe is the source of deliveries from Stripe: time and body are signed with HMAC-SHA256 under the secret as
// text, its whsec_ included.
//
// A delivery, as far as it is read here:
//
//	Stripe-Signature: t=1614265330,v1=<64 hex digits>,v0=<64 hex digits>
//
// The signed text is the time as it is written, a full stop, and the body. A rolled secret stays valid for a day, in which
// there are two v1 entries; v0 belongs to tests. The sender's own libraries refuse old times only; here a time in the
// future is refused as well. Retries, over three days, keep the "id" of the body and are signed anew. There is no order.
package stripe

import (
	"crypto"
	"crypto/sha256"
	"embed"
	"strconv"
	"strings"
	"time"

	"github.com/hooktroupe/hooktroupe/source"
	"github.com/hooktroupe/hooktroupe/source/body"
	"github.com/hooktroupe/hooktroupe/source/sample"
	"github.com/hooktroupe/hooktroupe/source/signature"
)

const signatureHeader = "Stripe-Signature"

// maxSums bounds the v1 entries that are looked at: one for each secret that is valid during a rotation.
const maxSums = 16

// files are the bodies of the samples.
//
//go:embed samples/*.json
var files embed.FS

type stripe struct {
	signature.Scheme
	sample.Set
}

// New returns the source. It uses Tolerance and no other optional field.
func New(c source.Config) (source.Source, error) {
	if err := c.Check(source.Uses{Tolerance: true}); err != nil {
		return nil, err
	}
	if c.Insecure {
		return &stripe{signature.Open{}, samples()}, nil
	}
	keys := signature.NewKeys(crypto.SHA256, c.Secrets)
	return &stripe{&scheme{keys: keys, tolerance: c.Window()}, samples()}, nil
}

// scheme is the signature header of this sender: t=TIME,v1=HEX, with any number of v1 and of other entries.
type scheme struct {
	keys      *signature.Keys
	tolerance time.Duration
}

// Verify checks the time and then the signatures. One that fits suffices.
func (s *scheme) Verify(req *source.Request, now time.Time) error {
	value, err := signature.Only(req.Header, signatureHeader)
	if err != nil {
		return err
	}
	stamp, sums, ok := entries(value)
	if !ok {
		return signature.Malformed(signatureHeader, "t and v1 entries")
	}
	if err := signature.Fresh(signatureHeader, stamp, now, s.tolerance); err != nil {
		return err
	}
	if !s.keys.Match(now, []byte(stamp+"."), req.Body, sums...) {
		return signature.Mismatch(signatureHeader)
	}
	return nil
}

// entries returns the one time and the v1 sums of a header. Entries of other schemes are passed over.
func entries(value string) (stamp string, sums [][]byte, ok bool) {
	for entry := range strings.SplitSeq(value, ",") {
		name, text, _ := strings.Cut(strings.TrimSpace(entry), "=")
		switch {
		case name == "t" && stamp != "":
			return "", nil, false
		case name == "t":
			stamp = text
		case name == "v1" && len(sums) < maxSums:
			if sum := make([]byte, sha256.Size); signature.Hex.Decode(sum, text) {
				sums = append(sums, sum)
			}
		}
	}
	return stamp, sums, stamp != "" && len(sums) > 0
}

// Sign adds the header under the first secret.
func (s *scheme) Sign(header source.Header, body []byte, now time.Time) (source.Header, error) {
	stamp := strconv.FormatInt(now.Unix(), 10)
	sum := s.keys.Sum([]byte(stamp+"."), body)
	return header.With(signatureHeader, "t="+stamp+",v1="+signature.Hex.Encode(sum)), nil
}

// Parse reads everything from the body. The key is the object, of the connected account if there is one.
func (s *stripe) Parse(req *source.Request) (source.Delivery, error) {
	doc, err := body.FromRequest(req)
	if err != nil {
		return source.Delivery{}, err
	}
	d := source.Delivery{EventType: doc.Text("type"), DeliveryID: doc.Text("id")}
	if d.DeliveryID == "" {
		d.DeliveryID = source.FallbackID("stripe", d.EventType, req.Body)
	}
	object := doc.First("data.object.id", "related_object.id") // the second in events of the thin form
	if account := doc.Text("account"); account != "" {
		object = source.Key(account, '#', object)
	}
	d.Key = object
	return d.Checked()
}

// samples are the usual event first, with the headers of a real delivery.
func samples() sample.Set {
	of := func(event string) sample.Sample {
		return sample.Sample{
			Event: event,
			File:  "samples/" + event + ".json",
			Header: source.Header{
				{Name: "User-Agent", Value: "Stripe/1.0 (+https://stripe.com/docs/webhooks)"},
				{Name: "Accept", Value: "*/*; q=0.5, application/xml"},
				{Name: "Content-Type", Value: "application/json; charset=utf-8"},
			},
			IDPath: "id",
		}
	}
	return sample.NewSet(files, of("customer.created"), of("checkout.session.completed"))
}
