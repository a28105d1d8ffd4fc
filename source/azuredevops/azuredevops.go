// Package azuredevops is the source of deliveries from Azure DevOps, Services and Server. They are not signed: basic
// authentication, or a header that the subscription adds, names the sender and says nothing about the body. Event and
// delivery ID stand in the body alone.
//
// The sender retries for about three minutes after 408, 502, 503 and 504. Every other error, 401, 429 and 500 among
// them, puts the whole subscription on probation, during which new events are lost; 410 ends it at once.
package azuredevops

import (
	"embed"
	"strings"

	"github.com/hooktroupe/hooktroupe/source"
	"github.com/hooktroupe/hooktroupe/source/body"
	"github.com/hooktroupe/hooktroupe/source/sample"
	"github.com/hooktroupe/hooktroupe/source/signature"
)

const (
	activityHeader = "X-VSS-ActivityId"
	// testSubscription is that of the deliveries which the sender's test button makes.
	testSubscription = "00000000-0000-0000-0000-000000000000"
)

// files are the bodies of the samples.
//
//go:embed samples/*.json
var files embed.FS

// azureDevOps joins a scheme and samples; what it adds is Parse.
type azureDevOps struct {
	signature.Scheme
	sample.Set
	header string // holds the secret; empty for basic authentication
}

// New returns the source. Unless it is insecure, it needs either Username, for basic authentication, or Header, and uses
// no other optional field.
func New(c source.Config) (source.Source, error) {
	if err := c.Check(source.Uses{Username: true, Header: true}); err != nil {
		return nil, err
	}
	switch {
	case c.Insecure && c.Username != "":
		return nil, c.Errorf("username", "goes with no insecure: true")
	case c.Insecure && c.Header != "":
		return nil, c.Errorf("header", "goes with no insecure: true")
	case c.Insecure:
		return &azureDevOps{Scheme: signature.Open{}, Set: samples()}, nil
	case c.Header != "" && c.Username != "":
		return nil, c.Errorf("header", "goes with no username: the secret is either in that header or a password")
	case c.Header != "" && !source.IsName(c.Header):
		return nil, c.Errorf("header", "%q is not the name of a header", c.Header)
	case c.Header != "":
		return &azureDevOps{Scheme: signature.NewToken(c.Header, c.Secrets), Set: samples(), header: c.Header}, nil
	case c.Username == "" || strings.Contains(c.Username, ":"):
		return nil, c.Errorf("username", "basic authentication needs one, without a colon; or set header")
	}
	return &azureDevOps{Scheme: signature.NewBasic(c.Username, c.Secrets), Set: samples()}, nil
}

// SensitiveHeaders names the header that holds the secret, if one does.
func (a *azureDevOps) SensitiveHeaders() []string {
	if a.header == "" {
		return nil
	}
	return []string{a.header}
}

// Parse reads everything from the body, of which "resource" may be small or absent: how much is sent is a setting of
// the subscription.
func (a *azureDevOps) Parse(req *source.Request) (source.Delivery, error) {
	doc, err := body.FromRequest(req)
	if err != nil {
		return source.Delivery{}, err
	}
	event := doc.Text("eventType")
	id, err := deliveryID(req, doc)
	if err != nil {
		return source.Delivery{}, err
	}
	if id == "" {
		id = source.FallbackID("azure_devops", event, req.Body)
	}
	return source.Delivery{EventType: event, DeliveryID: id, Key: key(doc, event)}.Checked()
}

// deliveryID is the subscription and its notification: two subscriptions send one event under the same "id". The test
// button repeats subscription, notification and "id" at every press, so those get the ID of the request as well.
func deliveryID(req *source.Request, doc body.Document) (string, error) {
	subscription, notification := doc.Text("subscriptionId"), doc.Text("notificationId")
	if subscription == "" || notification == "" {
		return doc.Text("id"), nil
	}
	id := subscription + ":" + notification
	if subscription != testSubscription {
		return id, nil
	}
	activity, err := body.Field(req.Header, activityHeader)
	if err != nil || activity == "" {
		return id, err
	}
	return id + ":" + activity, nil
}

// key is the repository with pull request or ref, or the project with the work item or build definition.
func key(doc body.Document, event string) string {
	project := doc.Text("resourceContainers.project.id")
	switch {
	case event == "git.push":
		return source.Key(doc.Text("resource.repository.id"), '@', doc.Text("resource.refUpdates.0.name"))
	case strings.HasPrefix(event, "workitem."):
		// The id of an update is that of the revision.
		return source.Key(project, '#', doc.First("resource.workItemId", "resource.id"))
	case strings.HasPrefix(event, "build.") && project != "":
		return source.Key(project+"/builds", '#', doc.Text("resource.definition.id"))
	}
	if number := doc.Text("resource.pullRequest.pullRequestId"); number != "" { // a comment
		return source.Key(doc.Text("resource.pullRequest.repository.id"), '#', number)
	}
	if repository := doc.Text("resource.repository.id"); repository != "" {
		return source.Key(repository, '#', doc.Text("resource.pullRequestId"))
	}
	return project
}

// samples are the usual event first, with the headers of a real delivery.
func samples() sample.Set {
	of := func(event string) sample.Sample {
		return sample.Sample{
			Event: event,
			File:  "samples/" + event + ".json",
			Header: source.Header{
				{Name: "User-Agent", Value: "VSServices/19.255.0.0 (w3wp.exe)"},
				{Name: "Content-Type", Value: "application/json; charset=utf-8"},
				{Name: activityHeader, Value: "a0d89c6f-3fca-52cb-ab8d-71e76426a3e1"},
			},
			IDHeaders: []string{"X-VSS-SubscriptionId"},
			IDPath:    "subscriptionId",
		}
	}
	created := of("git.pullrequest.created")
	created.IDPath = "id" // the sample was sent before subscriptions had IDs
	created.IDHeaders = nil
	return sample.NewSet(files, created, of("git.push"))
}
