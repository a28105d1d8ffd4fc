// Package gitea is the source of deliveries from Gitea and from Forgejo, which names the headers after itself and is
// otherwise the same. What is signed is the JSON, also when it arrives within a form; the signature has no prefix. The
// headers of other senders, which these two send as well, count for nothing.
//
// A delivery, as far as it is read here:
//
//	X-Gitea-Event: pull_request                   the event type, with the action of the body
//	X-Gitea-Delivery: b25b2c46-d53e-…             the delivery ID; a replay has a new one and the same body
//	X-Gitea-Signature: <64 hex digits>            HMAC-SHA256 of the JSON; empty when the sender has no secret
//
// Neither sender retries.
package gitea

import (
	"bytes"
	"crypto"
	"embed"
	"strings"
	"time"

	"github.com/hooktroupe/hooktroupe/source"
	"github.com/hooktroupe/hooktroupe/source/body"
	"github.com/hooktroupe/hooktroupe/source/sample"
	"github.com/hooktroupe/hooktroupe/source/signature"
)

// payloadField holds the JSON of a form.
const payloadField = "payload"

// files are the bodies of the samples.
//
//go:embed samples/*.json
var files embed.FS

// gitea is either of the two senders.
type gitea struct {
	textScheme
	sample.Set
	sourceType, prefix string // the prefix of its headers: X-Gitea- or X-Forgejo-
}

// textScheme verifies and signs another text than the body.
type textScheme struct {
	*signature.HMAC // nil when the source is insecure
}

// New returns the source of type gitea. It uses none of the optional fields of the configuration.
func New(c source.Config) (source.Source, error) { return build(c, "gitea", giteaPrefix) }

// NewForgejo returns the source of type forgejo, in the same way.
func NewForgejo(c source.Config) (source.Source, error) { return build(c, "forgejo", "X-Forgejo-") }

func build(c source.Config, sourceType, prefix string) (source.Source, error) {
	if err := c.Check(source.Uses{}); err != nil {
		return nil, err
	}
	g := &gitea{Set: samples(prefix), sourceType: sourceType, prefix: prefix}
	if !c.Insecure {
		form := signature.Form{Header: prefix + "Signature", Hash: crypto.SHA256}
		g.HMAC = signature.NewHMAC(form, c.Secrets)
	}
	return g, nil
}

// Verify checks the signature of the JSON.
func (s textScheme) Verify(req *source.Request, now time.Time) error {
	if s.HMAC == nil {
		return nil
	}
	return s.VerifyText(req.Header, signedText(req.Header, req.Body), now)
}

// Sign adds the signature of the JSON under the first secret.
func (s textScheme) Sign(header source.Header, body []byte, now time.Time) (source.Header, error) {
	if s.HMAC == nil {
		return header, nil
	}
	return s.HMAC.Sign(header, signedText(header, body), now)
}

// signedText is the JSON of a form that holds nothing else, and of all other requests the body. A form with more in it
// is not the sender's, and its body as a whole was never signed.
func signedText(header source.Header, raw []byte) []byte {
	if !body.IsForm(body.Media(header)) || bytes.IndexByte(raw, '&') >= 0 {
		return raw
	}
	payload, err := body.FormField(raw, payloadField)
	if err != nil {
		return raw
	}
	return payload
}

// Parse reads event and delivery ID from the headers, and action and key from the JSON.
func (g *gitea) Parse(req *source.Request) (source.Delivery, error) {
	event, id, err := body.Names(req.Header, g.prefix+"Event", g.prefix+"Delivery")
	if err != nil {
		return source.Delivery{}, err
	}
	doc, err := read(req)
	if err != nil {
		return source.Delivery{}, err
	}
	d := source.Delivery{EventType: source.EventType(event, doc.Text("action")), DeliveryID: id, Key: key(doc)}
	if id == "" {
		d.DeliveryID = source.FallbackID(g.sourceType, d.EventType, req.Body)
	}
	return d.Checked()
}

func read(req *source.Request) (body.Document, error) {
	if !body.IsForm(body.Media(req.Header)) {
		return body.FromRequest(req)
	}
	payload, err := body.FormField(req.Body, payloadField)
	if err != nil {
		return body.Document{}, err
	}
	return body.ReadObject(payload)
}

// key is the repository with the number of the pull request or issue, which share one number space, or with a ref.
func key(doc body.Document) string {
	repository := doc.Text("repository.full_name")
	if number := doc.First("pull_request.number", "issue.number"); number != "" {
		return source.Key(repository, '#', number)
	}
	return source.Key(repository, '@', doc.First("ref", "release.tag_name"))
}

// giteaPrefix begins the headers that both senders set.
const giteaPrefix = "X-Gitea-"

// samples carry the headers of the sender itself and of those that it imitates.
func samples(prefix string) sample.Set {
	families := []string{giteaPrefix, "X-Gogs-", "X-GitHub-"}
	if prefix != giteaPrefix {
		families = append([]string{prefix}, families...)
	}
	of := func(event string) sample.Sample {
		name, _, _ := strings.Cut(event, ".")
		header := source.Header{
			{Name: "User-Agent", Value: "Go-http-client/1.1"},
			{Name: "Content-Type", Value: "application/json"},
		}
		var ids []string
		for _, family := range families {
			header = header.With(family+"Event", name).With(family+"Event-Type", name)
			ids = append(ids, family+"Delivery")
		}
		return sample.Sample{Event: event, File: "samples/" + event + ".json", Header: header, IDHeaders: ids}
	}
	return sample.NewSet(files, of("pull_request.opened"), of("push"), of("issues.opened"), of("issue_comment.created"))
}
