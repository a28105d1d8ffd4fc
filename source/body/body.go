// Package body reads the bodies of verified deliveries: it checks that they are what their content type says, and finds
// the few members that a source needs without decoding the rest. It never changes a byte of them, and nothing that it
// returns outlives its caller's use of the body unless it is copied.
//
// The check is one pass over the bytes, which takes note of the outermost members as it goes; a look-up by path is at most
// one more each. Depth is bounded, and nothing recurses.
package body

import (
	"bytes"
	"net/url"
	"strings"
	"unsafe"

	"github.com/tidwall/gjson"

	"github.com/hooktroupe/hooktroupe/source"
)

// MaxDepth bounds how deep objects and arrays may nest.
const MaxDepth = 128

// ambiguous stands for the media type of a header block that declares several. It is no media type that anybody knows.
const ambiguous = "*/*"

// Media returns the media type that a header block declares, without parameters; empty when it declares none. Compare
// it without regard to letter case. Where Content-Type comes more than once it is of no kind, for each reader of the
// delivery could take another.
func Media(header source.Header) string {
	value, _, single := header.One("Content-Type")
	if !single {
		return ambiguous
	}
	media, _, _ := strings.Cut(value, ";")
	return strings.TrimSpace(media)
}

// IsJSON says whether a media type is JSON. None at all counts as JSON: what is signed as JSON is read as such.
func IsJSON(media string) bool {
	const suffix = "+json"
	return media == "" || strings.EqualFold(media, "application/json") ||
		len(media) > len(suffix) && strings.EqualFold(media[len(media)-len(suffix):], suffix)
}

// IsForm says whether a media type is that of a form.
func IsForm(media string) bool { return strings.EqualFold(media, "application/x-www-form-urlencoded") }

// Document is a JSON text whose syntax was checked. It borrows the bytes that it was made of.
type Document struct {
	text    string
	members []member // of the outermost object, unless many
	many    bool
}

// Value is the JSON text of one value, checked. It borrows like its Document.
type Value string

// Read checks that raw is one JSON value, no deeper than MaxDepth, after an optional byte order mark. Anything else is a
// *source.Malformed error.
func Read(raw []byte) (Document, error) {
	raw = bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf"))
	s := scanner{raw: raw}
	if err := s.scan(); err != nil {
		return Document{}, err
	}
	// The text shares the memory of raw, which is read-only while a request is parsed: a body of 25 MB is not copied
	// for the sake of a few names. Text copies what outlives the call.
	text := unsafe.String(unsafe.SliceData(raw), len(raw)) //nolint:gosec // see above
	return Document{text: text, members: s.members, many: s.many}, nil
}

// ReadObject is Read for senders whose every body is a JSON object.
func ReadObject(raw []byte) (Document, error) {
	doc, err := Read(raw)
	if err == nil && !doc.begins("{") {
		return Document{}, &source.Malformed{Detail: "body is not a JSON object"}
	}
	return doc, err
}

// FromRequest is ReadObject for a request that must declare JSON.
func FromRequest(req *source.Request) (Document, error) {
	if !IsJSON(Media(req.Header)) {
		return Document{}, &source.Malformed{Detail: "content type is not JSON"}
	}
	return ReadObject(req.Body)
}

// IsArray says whether the document is a JSON array.
func (d Document) IsArray() bool { return d.begins("[") }

// begins says whether the document's value begins so.
func (d Document) begins(with string) bool {
	return strings.HasPrefix(strings.TrimLeft(d.text, " \t\r\n"), with)
}

// Members calls visit with each member of an object, in its order. Name and value are valid during the call.
func (d Document) Members(visit func(name string, value Value)) {
	if d.many {
		gjson.Parse(d.text).ForEach(func(name, value gjson.Result) bool {
			visit(name.Str, Value(value.Raw))
			return true
		})
		return
	}
	for _, m := range d.members {
		name := d.text[m.name:m.nameEnd]
		if strings.IndexByte(name, '\\') >= 0 {
			name = gjson.Parse(d.text[m.name-1 : m.nameEnd+1]).Str
		}
		visit(name, Value(d.text[m.value:m.valueEnd]))
	}
}

// Text returns the text at a path of the document; see Value.Text.
func (d Document) Text(path string) string { return Value(d.text).At(path).Text() }

// First returns the text at the first of several paths that leads to one.
func (d Document) First(paths ...string) string {
	for _, path := range paths {
		if text := d.Text(path); text != "" {
			return text
		}
	}
	return ""
}

// At returns the value at a path below the value; an empty one, which has no text, if there is none.
func (v Value) At(path string) Value { return Value(gjson.Get(string(v), path).Raw) }

// Text returns a copy of a string, or of a number exactly as it is written, so that no digit of a long ID is lost. It is
// empty for everything else: null, true, false, an object, an array, nothing.
func (v Value) Text() string {
	switch value := gjson.Parse(string(v)); value.Type {
	case gjson.String:
		return strings.Clone(value.Str)
	case gjson.Number:
		return strings.Clone(value.Raw)
	default:
		return ""
	}
}

// FormField returns the decoded value of the one field of that name in a form. None, several, or a value that is not
// form-encoded is a *source.Malformed error.
func FormField(raw []byte, name string) ([]byte, error) {
	var value []byte
	for pair := range bytes.SplitSeq(raw, []byte{'&'}) {
		field, encoded, ok := bytes.Cut(pair, []byte{'='})
		if !ok || string(field) != name {
			continue
		}
		if value != nil {
			return nil, &source.Malformed{Detail: "form has several fields " + name}
		}
		decoded, err := url.QueryUnescape(string(encoded))
		if err != nil {
			return nil, &source.Malformed{Detail: "form field " + name + " is not form-encoded"}
		}
		value = []byte(decoded)
	}
	if value == nil {
		return nil, &source.Malformed{Detail: "form has no field " + name}
	}
	return value, nil
}

// Field returns the value of a header that a source reads; empty when it is absent. Sent twice it is a *source.Malformed
// error, for then it says nothing.
func Field(header source.Header, name string) (string, error) {
	value, _, single := header.One(name)
	if !single {
		return "", &source.Malformed{Detail: name + " came more than once"}
	}
	return value, nil
}

// Names returns event type and delivery ID from the headers of a sender that puts both there. A missing event, and
// either of them sent twice, is a *source.Malformed error; a missing delivery ID is empty.
func Names(header source.Header, eventHeader, idHeader string) (event, id string, err error) {
	if event, err = Field(header, eventHeader); err != nil {
		return "", "", err
	}
	if event == "" {
		return "", "", &source.Malformed{Detail: "no " + eventHeader}
	}
	id, err = Field(header, idHeader)
	return event, id, err
}
