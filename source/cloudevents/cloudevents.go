// Package cloudevents is the source of CloudEvents 1.0 over HTTP, in binary, structured and batched mode, from senders
// that follow the CloudEvents webhook specification: a bearer token, in the header or in the query, and a handshake by
// OPTIONS before the first delivery. The handshake is consent, not proof.
//
// The modes differ in where the attributes stand:
//
//	application/cloudevents+json                  structured: the body is the event, its attributes are members
//	application/cloudevents-batch+json            batched: the body is an array of events, and one delivery
//	any other                                     binary: ce-type, ce-source, ce-id … are headers, the body is data
//
// A token in the query is part of the address: whoever logs addresses logs it.
package cloudevents

import (
	"embed"
	"net/url"
	"strings"
	"time"

	"github.com/hooktroupe/hooktroupe/source"
	"github.com/hooktroupe/hooktroupe/source/body"
	"github.com/hooktroupe/hooktroupe/source/sample"
	"github.com/hooktroupe/hooktroupe/source/signature"
)

// The media types of the modes; all others are binary mode.
const (
	structuredMedia = "application/cloudevents+json"
	batchMedia      = "application/cloudevents-batch+json"
)

// batchEvent is the event type of a delivery that holds several events.
const batchEvent = "cloudevents.batch"

// files are the bodies of the samples.
//
//go:embed samples/*.json
var files embed.FS

// cloudEvents joins a scheme and samples; what it adds is Parse, and Greet for the handshake.
type cloudEvents struct {
	signature.Scheme
	sample.Set
}

// New returns the source. It uses none of the optional fields of the configuration.
func New(c source.Config) (source.Source, error) {
	if err := c.Check(source.Uses{}); err != nil {
		return nil, err
	}
	if c.Insecure {
		return &cloudEvents{signature.Open{}, samples()}, nil
	}
	return &cloudEvents{&scheme{signature.NewBearer(c.Secrets), signature.NewTokens(c.Secrets)}, samples()}, nil
}

// scheme takes the token from the Authorization header or from the query, and never from both.
type scheme struct {
	*signature.Bearer
	tokens *signature.Tokens
}

// Verify compares the token.
func (s *scheme) Verify(req *source.Request, now time.Time) error {
	const parameter = "access_token"
	if !strings.Contains(req.Query, parameter) {
		return s.Bearer.Verify(req, now)
	}
	query, err := url.ParseQuery(req.Query)
	if err != nil {
		return signature.Malformed(parameter, "in a well-formed query")
	}
	values := query[parameter]
	_, header, _ := req.Header.One("Authorization")
	switch {
	case len(values) == 0:
		return s.Bearer.Verify(req, now)
	case header || len(values) > 1:
		return &source.Refusal{Reason: source.ReasonRepeated, Detail: "more than one token"}
	case values[0] == "":
		return &source.Refusal{Reason: source.ReasonMissing, Detail: "no " + parameter}
	case !s.tokens.Match(now, values[0]):
		return signature.Mismatch(parameter)
	}
	return nil
}

// event is what an event says of itself, in either mode.
type event struct {
	version, eventType, source, id, partition string
}

// Parse reads the event. Source and ID together tell duplicates; the partition key, where the sender sets one, is the
// key. A batch is one delivery: it is told by its bytes.
func (c *cloudEvents) Parse(req *source.Request) (source.Delivery, error) {
	if len(req.Body) == 0 {
		return source.Delivery{}, &source.Malformed{Detail: "an event without a body"}
	}
	media := body.Media(req.Header)
	if strings.EqualFold(media, batchMedia) {
		return batch(req)
	}
	read := binary
	if strings.EqualFold(media, structuredMedia) {
		read = structured
	}
	e, err := read(req)
	if err != nil {
		return source.Delivery{}, err
	}
	if !strings.HasPrefix(e.version, "1.") || e.source == "" || e.id == "" {
		return source.Delivery{}, &source.Malformed{Detail: "not a CloudEvent 1.0 with source and id"}
	}
	id := source.BoundID(e.source + " " + e.id) // a source is a URI reference and holds no space
	return source.Delivery{EventType: source.BoundEvent(e.eventType), DeliveryID: id, Key: e.partition}.Checked()
}

func structured(req *source.Request) (event, error) {
	doc, err := body.ReadObject(req.Body)
	if err != nil {
		return event{}, err
	}
	return event{
		doc.Text("specversion"), doc.Text("type"), doc.Text("source"), doc.Text("id"), doc.Text("partitionkey"),
	}, nil
}

// binary reads the attributes from the headers, where they are percent-encoded.
func binary(req *source.Request) (event, error) {
	var e event
	for name, to := range map[string]*string{
		"ce-specversion": &e.version, "ce-type": &e.eventType, "ce-source": &e.source, "ce-id": &e.id,
		"ce-partitionkey": &e.partition,
	} {
		value, err := body.Field(req.Header, name)
		if err != nil {
			return event{}, err
		}
		if *to, err = url.PathUnescape(value); err != nil {
			return event{}, &source.Malformed{Detail: name + " is not percent-encoded"}
		}
	}
	if body.IsJSON(body.Media(req.Header)) {
		_, err := body.Read(req.Body)
		return e, err
	}
	return e, nil
}

func batch(req *source.Request) (source.Delivery, error) {
	doc, err := body.Read(req.Body)
	if err != nil {
		return source.Delivery{}, err
	}
	if !doc.IsArray() {
		return source.Delivery{}, &source.Malformed{Detail: "a batch that is not a JSON array"}
	}
	id := source.FallbackID("cloudevents", batchEvent, req.Body)
	return source.Delivery{EventType: batchEvent, DeliveryID: id}.Checked()
}

// samples are the usual event first, with the headers of a real delivery.
func samples() sample.Set {
	return sample.NewSet(files, sample.Sample{
		Event: "com.example.someevent",
		File:  "samples/com.example.someevent.json",
		Header: source.Header{
			{Name: "Content-Type", Value: structuredMedia + "; charset=utf-8"},
			{Name: originHeader, Value: "eventemitter.example.com"},
		},
		IDPath: "id",
	})
}
