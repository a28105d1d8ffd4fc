// Package sample holds the built-in samples of a source: real deliveries, small ones, embedded in the source's package.
//
// A sample is for trials of a configuration and for tests. Only its delivery ID is new each time, so that it is no
// duplicate of the last one; whoever sends it signs it with the source that it came from.
package sample

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"strings"

	"github.com/google/uuid"
	"github.com/tidwall/gjson"

	"github.com/hooktroupe/hooktroupe/source"
)

// Sample is one delivery.
type Sample struct {
	// Event is its event type. It may be asked for without the action: pull_request finds pull_request.opened.
	Event string
	// File holds the body.
	File string
	// Header is what the sender sends, without a delivery ID and without what authenticates it.
	Header source.Header
	// IDHeaders are set to the delivery ID.
	IDHeaders []string
	// IDPath is where the delivery ID stands in the body; empty for nowhere.
	IDPath string
}

// Set is the samples of one source, the usual one first.
type Set struct {
	files   fs.FS
	samples []Sample
}

// NewSet returns the samples whose bodies are in files.
func NewSet(files fs.FS, samples ...Sample) Set { return Set{files, samples} }

// Sample returns header and body of the sample of that event, unsigned, with that delivery ID or, if it is empty, a
// random one. An empty event means the first sample; an unknown one is an error that lists those there are.
func (s Set) Sample(event, deliveryID string) (source.Header, []byte, error) {
	chosen, err := s.find(event)
	if err != nil {
		return nil, nil, err
	}
	body, err := fs.ReadFile(s.files, chosen.File)
	if err != nil {
		return nil, nil, fmt.Errorf("sample of %s: %w", chosen.Event, err)
	}
	if deliveryID == "" {
		deliveryID = uuid.NewString()
	}
	header := append(source.Header(nil), chosen.Header...)
	for _, name := range chosen.IDHeaders {
		header = header.With(name, deliveryID)
	}
	if chosen.IDPath != "" {
		if body, err = replace(body, chosen.IDPath, deliveryID); err != nil {
			return nil, nil, fmt.Errorf("sample of %s: %w", chosen.Event, err)
		}
	}
	return header, body, nil
}

// Events lists the event types of the samples.
func (s Set) Events() []string {
	events := make([]string, 0, len(s.samples))
	for _, sample := range s.samples {
		events = append(events, sample.Event)
	}
	return events
}

func (s Set) find(event string) (Sample, error) {
	for _, sample := range s.samples {
		if event == "" || event == sample.Event || strings.HasPrefix(sample.Event, event+".") {
			return sample, nil
		}
	}
	return Sample{}, fmt.Errorf("no sample of %q; there are: %s", event, strings.Join(s.Events(), ", "))
}

// replace puts a text in the place of the string at a path and leaves every other byte as it is.
func replace(body []byte, path, text string) ([]byte, error) {
	found := gjson.GetBytes(body, path)
	if found.Type != gjson.String || found.Index == 0 {
		return nil, fmt.Errorf("no string at %s", path)
	}
	quoted, err := json.Marshal(text)
	if err != nil {
		return nil, err
	}
	out := append([]byte(nil), body[:found.Index]...)
	out = append(out, quoted...)
	return append(out, body[found.Index+len(found.Raw):]...), nil
}
