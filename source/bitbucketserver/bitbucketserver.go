// Package bitbucketserver is the source of deliveries from Bitbucket Server and Data Center. They are signed with
// HMAC-SHA256 over the raw body, in the header that elsewhere holds a SHA-1 signature. The connection test of the user
// interface is never signed, and is answered without proof.
//
// A delivery, as far as it is read here:
//
//	X-Event-Key: pr:opened                        the event type
//	X-Request-Id: 47af67e6-d095-…                 the delivery ID
//	X-Hub-Signature: sha256=<64 hex digits>       HMAC-SHA256 of the body; other algorithms are refused
//
// There is no retry and no redelivery: what is not accepted is lost.
package bitbucketserver

import (
	"bytes"
	"crypto"
	"embed"
	"encoding/json"
	"strings"

	"github.com/hooktroupe/hooktroupe/source"
	"github.com/hooktroupe/hooktroupe/source/body"
	"github.com/hooktroupe/hooktroupe/source/sample"
	"github.com/hooktroupe/hooktroupe/source/signature"
)

// The headers that identify a delivery.
const (
	eventHeader    = "X-Event-Key"
	deliveryHeader = "X-Request-Id"
)

// The connection test: its event, its body without spaces, and more than the size it has with them.
const (
	pingEvent    = "diagnostics:ping"
	pingBody     = `{"test":true}`
	maxPingBytes = 64
)

// files are the bodies of the samples.
//
//go:embed samples/*.json
var files embed.FS

// bitbucketServer joins a scheme and samples; what it adds is Parse, and Greet for the connection test.
type bitbucketServer struct {
	signature.Scheme
	sample.Set
}

// New returns the source. It uses none of the optional fields of the configuration.
func New(c source.Config) (source.Source, error) {
	if err := c.Check(source.Uses{}); err != nil {
		return nil, err
	}
	form := signature.Form{Header: "X-Hub-Signature", Prefix: "sha256=", Hash: crypto.SHA256}
	return &bitbucketServer{form.Scheme(c), samples()}, nil
}

// Greet answers the connection test: that event with that body and nothing beside it.
func (b *bitbucketServer) Greet(req *source.Request) (*source.Answer, bool) {
	event, _, single := req.Header.One(eventHeader)
	if !single || event != pingEvent || req.Method != "POST" || len(req.Body) > maxPingBytes {
		return nil, false
	}
	var compact bytes.Buffer
	if json.Compact(&compact, req.Body) != nil || compact.String() != pingBody {
		return nil, false
	}
	return pong(), true
}

func pong() *source.Answer {
	return &source.Answer{Status: 200, ContentType: "application/json", Body: []byte(`{"status":"pong"}`)}
}

// Parse reads event and delivery ID from the headers and the key from the body.
func (b *bitbucketServer) Parse(req *source.Request) (source.Delivery, error) {
	event, id, err := body.Names(req.Header, eventHeader, deliveryHeader)
	if err != nil {
		return source.Delivery{}, err
	}
	doc, err := body.FromRequest(req)
	if err != nil {
		return source.Delivery{}, err
	}
	if id == "" {
		id = source.FallbackID("bitbucket_server", event, req.Body)
	}
	d := source.Delivery{EventType: event, DeliveryID: id, Key: key(doc)}
	if event == pingEvent { // a test that is signed after all
		d.Answer = pong()
	}
	return d.Checked()
}

// key is the project and repository with the pull request, whose numbers are the repository's own, or the first ref.
func key(doc body.Document) string {
	if target := repository(doc, "pullRequest.toRef.repository"); target != "" {
		return source.Key(target, '#', doc.Text("pullRequest.id"))
	}
	if pushed := repository(doc, "repository"); pushed != "" {
		return source.Key(pushed, '@', doc.Text("changes.0.ref.id"))
	}
	return repository(doc, "new") // of repo:modified
}

func repository(doc body.Document, path string) string {
	project, slug := doc.Text(path+".project.key"), doc.Text(path+".slug")
	if project == "" || slug == "" {
		return ""
	}
	return project + "/" + slug
}

// samples are the usual event first, with the headers of a real delivery.
func samples() sample.Set {
	of := func(event string) sample.Sample {
		return sample.Sample{
			Event: event,
			File:  "samples/" + strings.ReplaceAll(event, ":", "_") + ".json",
			Header: source.Header{
				{Name: "User-Agent", Value: "Atlassian HttpClient 4.2.0 / Bitbucket-9.5.2 (9005002) / Default"},
				{Name: "Content-Type", Value: "application/json; charset=utf-8"},
				{Name: eventHeader, Value: event},
			},
			IDHeaders: []string{deliveryHeader},
		}
	}
	return sample.NewSet(files, of("pr:opened"), of("repo:refs_changed"), of(pingEvent))
}
