package route

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/textproto"
	"net/url"
	"strings"
)

const (
	// maxPayload bounds the body that expressions look into, in bytes.
	maxPayload = 4 << 20
	// maxValues bounds the values in it, for a decoded one takes a hundred bytes and more, however short it was.
	maxValues = 200_000
)

// facts are a delivery as expressions see it. What takes time is found out at most once, and only when it is asked for.
type facts struct {
	delivery *Delivery
	env      *environment
	decoded  bool
	json     any
	err      error
}

func newFacts(d *Delivery) *facts { return &facts{delivery: d} }

func (f *facts) environment() environment {
	if f.env == nil {
		d := f.delivery
		headers := make(map[string][]string, len(d.Headers))
		for _, h := range d.Headers {
			name := textproto.CanonicalMIMEHeaderKey(h.Name)
			headers[name] = append(headers[name], h.Value)
		}
		f.env = &environment{
			Source: d.Source, Event: d.EventType, DeliveryID: d.DeliveryID, Key: d.Key, Headers: headers,
			Header: func(name string) string {
				if values := headers[textproto.CanonicalMIMEHeaderKey(name)]; len(values) > 0 {
					return values[0]
				}
				return ""
			},
			BodySize: len(d.Body), Bounded: f.bounded,
		}
	}
	return *f.env
}

// payload is the body as JSON; nil where it is none.
func (f *facts) payload() (any, error) {
	if !f.decoded {
		f.decoded = true
		f.json, f.err = decodePayload(f.delivery)
	}
	return f.json, f.err
}

// decodePayload decodes a JSON body, or the JSON in the field payload of a form, as GitHub and Slack send it.
func decodePayload(d *Delivery) (any, error) {
	if len(d.Body) > maxPayload {
		return nil, fmt.Errorf("the body is above the %d bytes that expressions look into", maxPayload)
	}
	body := d.Body
	if isForm(d) {
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return nil, nil //nolint:nilerr // what is no payload is nil
		}
		if !form.Has("payload") {
			fields := make(map[string]any, len(form))
			for name := range form {
				fields[name] = form.Get(name)
			}
			return fields, nil
		}
		body = []byte(form.Get("payload"))
	}
	return decodeJSON(body)
}

// decodeJSON decodes one value and nothing behind it; nil where the body is anything else.
func decodeJSON(body []byte) (any, error) {
	if countValues(body) > maxValues {
		return nil, fmt.Errorf("the body has more than the %d values that expressions look into", maxValues)
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var v any
	if err := decoder.Decode(&v); err != nil {
		return nil, nil //nolint:nilerr // what is no payload is nil
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, nil
	}
	return numbers(v), nil
}

// countValues returns at least the number of values in JSON: each but the first follows a comma or a bracket.
func countValues(body []byte) int {
	n, quoted := 1, false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case c == '"':
			quoted = !quoted
		case c == '\\':
			i++
		case !quoted && (c == ',' || c == '[' || c == '{'):
			n++
		}
	}
	return n
}

func isForm(d *Delivery) bool {
	for _, h := range d.Headers {
		if strings.EqualFold(h.Name, "Content-Type") {
			return strings.HasPrefix(strings.ToLower(h.Value), "application/x-www-form-urlencoded")
		}
	}
	return false
}

// numbers turns numbers into int where they are integral and fit, so that an ID is written as it was sent, and into
// float64 otherwise. encoding/json bounds the depth.
func numbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return int(n)
		}
		n, err := v.Float64()
		if err == nil {
			return n
		}
		return v.String()
	case []any:
		for i := range v {
			v[i] = numbers(v[i])
		}
	case map[string]any:
		for name := range v {
			v[name] = numbers(v[name])
		}
	}
	return v
}
