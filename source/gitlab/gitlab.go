// Package gitlab is the source of deliveries from GitLab: project, group and system hooks. With plain secrets it
// compares X-Gitlab-Token, which says nothing about the body. As soon as one secret is a signing token (whsec_), every
// request must carry a Standard Webhooks signature, and a good token no longer helps.
//
// A delivery, as far as it is read here:
//
//	X-Gitlab-Event: Merge Request Hook            "System Hook" for all system hooks, so the body's kind goes first
//	Idempotency-Key: 58f1264d-5676-…              the delivery ID, the same when the delivery is sent again
//	X-Gitlab-Token: <secret>                      or, signed:
//	webhook-id, webhook-timestamp, webhook-signature
//
// Failures in a row switch a hook off, first for a minute and at last for good, so that only what is not authentic may be
// answered with 4xx.
package gitlab

import (
	"embed"
	"strings"

	"github.com/hooktroupe/hooktroupe/source"
	"github.com/hooktroupe/hooktroupe/source/body"
	"github.com/hooktroupe/hooktroupe/source/sample"
	"github.com/hooktroupe/hooktroupe/source/signature"
)

// The headers that identify a delivery. X-Gitlab-Event-UUID and X-Gitlab-Webhook-UUID do not: several events may share
// the first, and the second is new at every attempt.
const (
	eventHeader    = "X-Gitlab-Event"
	deliveryHeader = "Idempotency-Key"
)

// files are the bodies of the samples.
//
//go:embed samples/*.json
var files embed.FS

// gitlab is a scheme and samples, like every source, and reads its delivery ID from one of two headers.
type gitlab struct {
	signature.Scheme
	sample.Set
	idHeader string // holds the delivery ID: the signed one where requests are signed
}

// New returns the source. It uses Tolerance, when it has a signing token, and no other optional field.
func New(c source.Config) (source.Source, error) {
	signing := signingTokens(c.Secrets)
	if err := c.Check(source.Uses{Tolerance: len(signing) > 0}); err != nil {
		return nil, err
	}
	family := signature.WebhookFamily()
	switch {
	case c.Insecure:
		return &gitlab{Scheme: signature.Open{}, Set: samples(deliveryHeader), idHeader: deliveryHeader}, nil
	case len(signing) == 0:
		scheme := signature.NewToken("X-Gitlab-Token", c.Secrets)
		return &gitlab{Scheme: scheme, Set: samples(deliveryHeader), idHeader: deliveryHeader}, nil
	}
	c.Secrets = signing
	scheme, err := signature.NewStandard(c, family)
	if err != nil {
		return nil, err
	}
	return &gitlab{Scheme: scheme, Set: samples(deliveryHeader, family.ID), idHeader: family.ID}, nil
}

func signingTokens(secrets []source.Secret) []source.Secret {
	var signing []source.Secret
	for _, s := range secrets {
		if strings.HasPrefix(string(s.Value), signature.SymmetricPrefix) {
			signing = append(signing, s)
		}
	}
	return signing
}

// Parse reads the event type from the body and, where a custom body template left it out, from the header.
func (g *gitlab) Parse(req *source.Request) (source.Delivery, error) {
	header, id, err := body.Names(req.Header, eventHeader, g.idHeader)
	if err != nil {
		return source.Delivery{}, err
	}
	doc, err := body.FromRequest(req)
	if err != nil {
		return source.Delivery{}, err
	}
	kind := doc.First("object_kind", "event_name")
	if kind == "" {
		kind = kindOf(header)
	}
	action := doc.Text("object_attributes.action")
	d := source.Delivery{EventType: source.EventType(kind, action), DeliveryID: id, Key: key(doc, kind)}
	if id == "" {
		d.DeliveryID = source.FallbackID("gitlab", d.EventType, req.Body)
	}
	return d.Checked()
}

// kindOf makes merge_request of "Merge Request Hook".
func kindOf(header string) string {
	return strings.ReplaceAll(strings.ToLower(strings.TrimSuffix(header, " Hook")), " ", "_")
}

// key is the project, or the group of events that have none, with what the event is about. Only iid counts within a
// project (id is global), and merge requests are numbered apart from issues.
func key(doc body.Document, kind string) string {
	project := doc.First("project.path_with_namespace", "project_id", "group_path")
	switch kind {
	case "merge_request":
		return source.Key(project, '!', doc.Text("object_attributes.iid"))
	case "issue", "work_item":
		return source.Key(project, '#', doc.Text("object_attributes.iid"))
	case "note", "pipeline", "emoji":
		return about(doc, project)
	case "release":
		return source.Key(project, '@', doc.Text("tag"))
	}
	return source.Key(project, '@', doc.Text("ref"))
}

// about is the key of an event that belongs to a thing of another kind, such as a note on a merge request.
func about(doc body.Document, project string) string {
	for _, thing := range [...]struct {
		path string
		mark byte
	}{
		{"merge_request.iid", '!'},
		{"issue.iid", '#'},
		{"commit.id", '@'},
		{"snippet.id", '$'},
		{"object_attributes.ref", '@'},
	} {
		if text := doc.Text(thing.path); text != "" {
			return source.Key(project, thing.mark, text)
		}
	}
	return project
}

// samples are the usual event first, with the headers of a real delivery.
func samples(idHeaders ...string) sample.Set {
	of := func(event, name string) sample.Sample {
		return sample.Sample{
			Event: event,
			File:  "samples/" + event + ".json",
			Header: source.Header{
				{Name: "User-Agent", Value: "GitLab/19.0.0"},
				{Name: "Content-Type", Value: "application/json"},
				{Name: eventHeader, Value: name},
				{Name: "X-Gitlab-Instance", Value: "https://gitlab.example.com"},
				{Name: "X-Gitlab-Webhook-UUID", Value: "3122527d-783c-57ae-878e-f3a5058c9ba8"},
				{Name: "X-Gitlab-Event-UUID", Value: "e3f4cf1f-8204-5fa5-876b-00fc384612b1"},
			},
			IDHeaders: idHeaders,
		}
	}
	return sample.NewSet(files,
		of("merge_request.open", "Merge Request Hook"), of("push", "Push Hook"), of("note.create", "Note Hook"))
}
