// Package generic is the source of deliveries from senders that have no package of their own: how they prove a request,
// and where event type, delivery ID and key stand, is configuration. Nothing is guessed, and unverified requests are
// accepted only if insecure says so.
//
// Of a header and a path for the same name the header wins. Without either, the event type is "event", the delivery ID is
// the digest of type, event type and body, and there is no key. A path is names and indices joined by dots, such as
// push.changes.0.name, and leads into a JSON body only.
package generic

import (
	"crypto"

	"github.com/hooktroupe/hooktroupe/source"
	"github.com/hooktroupe/hooktroupe/source/body"
	"github.com/hooktroupe/hooktroupe/source/signature"
)

// defaultEvent is the event type of a delivery that names none.
const defaultEvent = "event"

// generic joins the configured scheme with the settings by which Parse finds its names.
type generic struct {
	signature.Scheme
	settings source.Generic
}

// New returns the source. It needs Generic, and Username for the basic scheme.
func New(c source.Config) (source.Source, error) {
	if err := c.Check(source.Uses{Username: true, Generic: true}); err != nil {
		return nil, err
	}
	if err := check(c); err != nil {
		return nil, err
	}
	return &generic{Scheme: scheme(c), settings: *c.Generic}, nil
}

// scheme makes what check found to be complete.
func scheme(c source.Config) signature.Scheme {
	if c.Insecure {
		return signature.Open{}
	}
	switch c.Generic.Scheme {
	case "token":
		return signature.NewToken(c.Generic.Header, c.Secrets)
	case "basic":
		return signature.NewBasic(c.Username, c.Secrets)
	case "bearer":
		return signature.NewBearer(c.Secrets)
	}
	form := signature.Form{
		Header: c.Generic.Header,
		Prefix: c.Generic.Prefix,
		Hash:   hashes()[c.Generic.Algorithm],
	}
	if c.Generic.Encoding == "base64" {
		form.Encoding = signature.Base64
	}
	return signature.NewHMAC(form, c.Secrets)
}

// hashes are the algorithms by their configured names.
func hashes() map[string]crypto.Hash {
	return map[string]crypto.Hash{
		"": crypto.SHA256, "sha256": crypto.SHA256,
		"sha1": crypto.SHA1, "sha384": crypto.SHA384, "sha512": crypto.SHA512,
	}
}

// SensitiveHeaders names the configured header, which holds a signature or a token.
func (g *generic) SensitiveHeaders() []string {
	if g.settings.Header == "" {
		return nil
	}
	return []string{g.settings.Header}
}

// Parse reads the configured headers and paths. A body that declares JSON must be JSON; any other is left alone, and the
// paths then lead nowhere.
func (g *generic) Parse(req *source.Request) (source.Delivery, error) {
	doc, err := read(req)
	if err != nil {
		return source.Delivery{}, err
	}
	event, err := named(req, doc, g.settings.EventHeader, g.settings.EventPath)
	if err != nil {
		return source.Delivery{}, err
	}
	if event == "" {
		event = defaultEvent
	}
	id, err := named(req, doc, g.settings.IDHeader, g.settings.IDPath)
	if err != nil {
		return source.Delivery{}, err
	}
	if id == "" {
		id = source.FallbackID("generic", event, req.Body)
	}
	d := source.Delivery{EventType: source.BoundEvent(event), DeliveryID: source.BoundID(id)}
	if g.settings.KeyPath != "" {
		d.Key = doc.Text(g.settings.KeyPath)
	}
	return d.Checked()
}

// read returns the document of a body that declares JSON or, without declaring anything, is JSON.
func read(req *source.Request) (body.Document, error) {
	media := body.Media(req.Header)
	if !body.IsJSON(media) {
		return body.Document{}, nil
	}
	doc, err := body.Read(req.Body)
	if media == "" && err != nil {
		return body.Document{}, nil //nolint:nilerr // nothing was declared: it is some other kind of body
	}
	return doc, err
}

// named returns a name from its header or else from its path; either may be empty.
func named(req *source.Request, doc body.Document, header, path string) (string, error) {
	if header != "" {
		if value, err := body.Field(req.Header, header); value != "" || err != nil {
			return value, err
		}
	}
	if path == "" {
		return "", nil
	}
	return doc.Text(path), nil
}
