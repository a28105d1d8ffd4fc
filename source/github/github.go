// Package github is the source of deliveries from GitHub and GitHub Enterprise Server. They are signed with HMAC-SHA256
// over the raw body, form-encoded or not; a SHA-1 signature proves nothing here, alone or beside a bad SHA-256 one.
//
// A delivery, as far as it is read here:
//
//	X-GitHub-Event: pull_request                  the event type, with the action of the body: pull_request.opened
//	X-GitHub-Delivery: 6c43fcf3-a81b-…            the delivery ID, the same when the delivery is sent again
//	X-Hub-Signature-256: sha256=<64 hex digits>   HMAC-SHA256 of the body
//
// GitHub retries nothing by itself: a delivery that is not accepted is lost until a person sends it again, under its old
// ID. It promises no order, and the push and the synchronize of one change arrive in either.
package github

import (
	"crypto"
	"embed"
	"strings"

	"github.com/hooktroupe/hooktroupe/source"
	"github.com/hooktroupe/hooktroupe/source/body"
	"github.com/hooktroupe/hooktroupe/source/sample"
	"github.com/hooktroupe/hooktroupe/source/signature"
)

// The headers that identify a delivery.
const (
	eventHeader    = "X-GitHub-Event"
	deliveryHeader = "X-GitHub-Delivery"
)

// files are the bodies of the samples.
//
//go:embed samples/*.json
var files embed.FS

// github joins the scheme, which verifies and signs, and the samples; what it adds is Parse.
type github struct {
	signature.Scheme
	sample.Set
}

// New returns the source. It uses none of the optional fields of the configuration.
func New(c source.Config) (source.Source, error) {
	if err := c.Check(source.Uses{}); err != nil {
		return nil, err
	}
	form := signature.Form{Header: "X-Hub-Signature-256", Prefix: "sha256=", Hash: crypto.SHA256}
	return &github{Scheme: form.Scheme(c), Set: samples()}, nil
}

// Parse reads event and delivery ID from the headers, and action and key from the body. A ping is answered and makes no
// task.
func (g *github) Parse(req *source.Request) (source.Delivery, error) {
	event, id, err := body.Names(req.Header, eventHeader, deliveryHeader)
	if err != nil {
		return source.Delivery{}, err
	}
	doc, err := read(req)
	if err != nil {
		return source.Delivery{}, err
	}
	found := find(doc)
	d := source.Delivery{EventType: source.EventType(event, found.action), DeliveryID: id, Key: found.key(event)}
	if event == "ping" {
		d.Answer = &source.Answer{Status: 200, ContentType: "application/json", Body: []byte(`{"status":"pong"}`)}
	}
	if id == "" {
		d.DeliveryID = source.FallbackID("github", d.EventType, req.Body)
	}
	return d.Checked()
}

// read returns the JSON of the body, or of the payload field of a form: the content type is a setting of the hook.
func read(req *source.Request) (body.Document, error) {
	if !body.IsForm(body.Media(req.Header)) {
		return body.FromRequest(req)
	}
	payload, err := body.FormField(req.Body, "payload")
	if err != nil {
		return body.Document{}, err
	}
	return body.ReadObject(payload)
}

// names are the members from which event type and key are made, each empty if absent.
type names struct {
	action, repository, ref                 string
	pullRequest, issue, discussion, checked string
}

// find collects the names in one pass over the members of the body.
func find(doc body.Document) names {
	var n names
	doc.Members(func(name string, value body.Value) {
		switch name {
		case "action":
			n.action = value.Text()
		case "repository":
			n.repository = value.At("full_name").Text()
		case "ref":
			n.ref = value.Text()
		case "pull_request":
			n.pullRequest = value.At("number").Text()
		case "issue":
			n.issue = value.At("number").Text()
		case "discussion":
			n.discussion = value.At("number").Text()
		case "check_run", "check_suite", "workflow_run":
			n.checked = value.At("pull_requests.0.number").Text() // none when it comes from a fork
		}
	})
	return n
}

// key is the repository with the ref of a push, or with the number of a pull request, issue or discussion: they share
// one number space. Events of an installation or an organization have no repository and no key.
func (n names) key(event string) string {
	switch event {
	case "push", "create", "delete":
		return source.Key(n.repository, '@', n.ref)
	}
	for _, number := range [...]string{n.pullRequest, n.issue, n.discussion, n.checked} {
		if number != "" {
			return source.Key(n.repository, '#', number)
		}
	}
	return n.repository
}

// samples are the usual event first, with the headers of a real delivery.
func samples() sample.Set {
	of := func(event string) sample.Sample {
		name, _, _ := strings.Cut(event, ".")
		return sample.Sample{
			Event: event,
			File:  "samples/" + event + ".json",
			Header: source.Header{
				{Name: "User-Agent", Value: "GitHub-Hookshot/044aadd"},
				{Name: "Accept", Value: "*/*"},
				{Name: "Content-Type", Value: "application/json"},
				{Name: eventHeader, Value: name},
				{Name: "X-GitHub-Hook-ID", Value: "132661606"},
				{Name: "X-GitHub-Hook-Installation-Target-ID", Value: "186853002"},
				{Name: "X-GitHub-Hook-Installation-Target-Type", Value: "repository"},
			},
			IDHeaders: []string{deliveryHeader},
		}
	}
	return sample.NewSet(files,
		of("pull_request.opened"), of("push"), of("issues.opened"), of("issue_comment.created"), of("ping"))
}
