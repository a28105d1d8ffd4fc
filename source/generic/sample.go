package generic

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"github.com/hooktroupe/hooktroupe/source"
)

// sampleKey is the key of a sample whose source has a path for one.
const sampleKey = "sample"

// Sample returns a JSON object that has event type, delivery ID and key in the configured places. Any event type will
// do, for the sender is not known; none means "event".
func (g *generic) Sample(event, deliveryID string) (source.Header, []byte, error) {
	if event == "" {
		event = defaultEvent
	}
	if deliveryID == "" {
		deliveryID = uuid.NewString()
	}
	header := source.Header{{Name: "Content-Type", Value: "application/json"}}
	content := map[string]any{"sample": true, "delivery": deliveryID}
	for _, place := range [...]struct{ header, path, value string }{
		{g.settings.EventHeader, g.settings.EventPath, event},
		{g.settings.IDHeader, g.settings.IDPath, deliveryID},
		{"", g.settings.KeyPath, sampleKey},
	} {
		switch {
		case place.header != "":
			header = header.With(place.header, place.value)
		case place.path != "":
			if err := put(content, strings.Split(place.path, "."), place.value); err != nil {
				return nil, nil, fmt.Errorf("sample: %s: %w", place.path, err)
			}
		}
	}
	body, err := json.Marshal(content)
	return header, body, err
}

// put sets a value at a path of objects. A path that runs through another value is an error.
func put(object map[string]any, path []string, value string) error {
	if len(path) == 1 {
		object[path[0]] = value
		return nil
	}
	if _, taken := object[path[0]]; !taken {
		object[path[0]] = map[string]any{}
	}
	inner, ok := object[path[0]].(map[string]any)
	if !ok {
		return fmt.Errorf("%s holds another sample value", path[0])
	}
	return put(inner, path[1:], value)
}
