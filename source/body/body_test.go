package body_test

import (
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
	"pgregory.net/rapid"

	"github.com/hooktroupe/hooktroupe/source"
	"github.com/hooktroupe/hooktroupe/source/body"
)

func wantMalformed(t *testing.T, err error) {
	t.Helper()
	if malformed := new(source.Malformed); !errors.As(err, &malformed) {
		t.Errorf("got %v, want *source.Malformed", err)
	}
}

func TestRead(t *testing.T) {
	nest := func(depth int) string { return strings.Repeat("[", depth) + strings.Repeat("]", depth) }
	quoted := strings.Repeat("[", 500) + `\"{` + `\\`
	for name, test := range map[string]struct {
		raw         string
		json, class bool // whether it is JSON, and an object
	}{
		"object":            {`{"a":1}`, true, true},
		"spaces":            {" \r\n\t{} \n", true, true},
		"BOM":               {"\xef\xbb\xbf{}", true, true},
		"array":             {`[]`, true, false},
		"text":              {`"a"`, true, false},
		"null":              {`null`, true, false},
		"deepest":           {nest(body.MaxDepth), true, false},
		"deepest with wide": {"[" + strings.Repeat("{},", 500) + nest(body.MaxDepth-1) + "]", true, false},
		"brackets in text":  {`{"a":"` + quoted + `"}`, true, true},
		"too deep":          {nest(body.MaxDepth + 1), false, false},
		"too deep, wide":    {"[" + strings.Repeat("{},", 500) + nest(body.MaxDepth) + "]", false, false},
		"never closed":      {strings.Repeat("[", 5_000_000), false, false},
		"empty":             {``, false, false},
		"two BOMs":          {"\xef\xbb\xbf\xef\xbb\xbf{}", false, false},
		"two values":        {`{}{}`, false, false},
		"cut":               {`{"a":`, false, false},
		"comment":           {`{}//`, false, false},
		"control in text":   {"{\"a\":\"\n\"}", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := body.Read([]byte(test.raw)); test.json != (err == nil) {
				t.Errorf("Read: %v", err)
			} else if err != nil {
				wantMalformed(t, err)
			}
			if _, err := body.ReadObject([]byte(test.raw)); test.class != (err == nil) {
				t.Errorf("ReadObject: %v", err)
			} else if err != nil {
				wantMalformed(t, err)
			}
		})
	}
}

func TestFromRequest(t *testing.T) {
	for contentType, ok := range map[string]bool{
		"": true, "application/json": true, "APPLICATION/JSON;charset=utf-8": true, " application/json ": true,
		"application/vnd.x+json": true, "text/plain": false, "application/x-www-form-urlencoded": false, "+json": false,
		"application/jsonp": false,
	} {
		req := &source.Request{Header: source.Header{{Name: "content-type", Value: contentType}}, Body: []byte(`{}`)}
		if _, err := body.FromRequest(req); ok != (err == nil) {
			t.Errorf("%q: %v", contentType, err)
		}
	}
	if !body.IsForm("Application/X-WWW-Form-Urlencoded") || body.IsForm("application/json") {
		t.Error("IsForm is wrong")
	}
}

// Numbers come out digit for digit, and what is neither text nor number comes out as nothing.
func TestText(t *testing.T) {
	doc, err := body.Read([]byte(`{"n":820982911946154508,"f":1.50,"s":"a\u0062\n","t":true,"z":null,"o":{"n":7},"a":[{"n":8}],"e":""}`))
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"n": "820982911946154508", "f": "1.50", "s": "ab\n", "t": "", "z": "", "o": "", "a": "", "o.n": "7", "a.0.n": "8",
		"missing": "", "o.missing": "", "a.1.n": "", "e": "",
	} {
		if got := doc.Text(path); got != want {
			t.Errorf("Text(%q) = %q, want %q", path, got, want)
		}
	}
	if got := doc.First("missing", "e", "z", "n", "f"); got != "820982911946154508" {
		t.Errorf("First = %q", got)
	}
	if got := doc.First("missing", "o"); got != "" {
		t.Errorf("First = %q of nothing", got)
	}
	if got := (body.Document{}).Text("a"); got != "" {
		t.Errorf("Text of no document = %q", got)
	}
}

// What Text returns is its own: it stays when the bytes that it was read from are used again.
func TestTextIsACopy(t *testing.T) {
	raw := []byte(`{"s":"text","n":123}`)
	doc, err := body.Read(raw)
	if err != nil {
		t.Fatal(err)
	}
	s, n := doc.Text("s"), doc.Text("n")
	clear(raw)
	if s != "text" || n != "123" {
		t.Errorf("Text changed to %q, %q", s, n)
	}
}

// Members sees what a decoder sees, in the order of the text.
func TestMembers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.MapOf(rapid.StringMatching(`[a-z"\\é]{0,8}`), rapid.String()).Draw(t, "object")
		raw, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := body.ReadObject(raw)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		doc.Members(func(name string, value gjson.Result) { got[strings.Clone(name)] = body.Text(value) })
		for name, value := range want {
			if got[name] != strings.ToValidUTF8(value, "\ufffd") {
				t.Fatalf("%q = %q, want %q", name, got[name], value)
			}
		}
		if len(got) != len(want) {
			t.Fatalf("%d members, want %d", len(got), len(want))
		}
	})
	doc, err := body.Read([]byte(`[1]`))
	if err != nil {
		t.Fatal(err)
	}
	if !doc.IsArray() {
		t.Error("an array is none")
	}
	doc.Members(func(string, gjson.Result) { t.Error("an array has members") })
}

func TestFormField(t *testing.T) {
	for raw, want := range map[string]string{
		"payload=%7B%7D": "{}", "a=b&payload=x+y&c": "x y", "payload=": "", "payload=a=b": "a=b",
	} {
		if got, err := body.FormField([]byte(raw), "payload"); err != nil || string(got) != want {
			t.Errorf("FormField(%q) = %q, %v", raw, got, err)
		}
	}
	for _, raw := range []string{"", "payload", "Payload=x", "a=payload", "payload=a&payload=b", "payload=%", "payload=&payload="} {
		_, err := body.FormField([]byte(raw), "payload")
		wantMalformed(t, err)
	}
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.String().Draw(t, "value")
		form := url.Values{"payload": {value}, "other": {"x"}}.Encode()
		if got, err := body.FormField([]byte(form), "payload"); err != nil || string(got) != value {
			t.Fatalf("FormField(%q) = %q, %v", form, got, err)
		}
	})
}

func TestField(t *testing.T) {
	header := source.Header{{Name: "A", Value: "1"}}
	if got, err := body.Field(header, "a"); err != nil || got != "1" {
		t.Errorf("Field = %q, %v", got, err)
	}
	if got, err := body.Field(header, "b"); err != nil || got != "" {
		t.Errorf("Field = %q, %v of nothing", got, err)
	}
	_, err := body.Field(header.With("a", "1"), "A")
	wantMalformed(t, err)
}

func TestNames(t *testing.T) {
	header := source.Header{{Name: "Event", Value: "push"}, {Name: "Id", Value: "7"}}
	if event, id, err := body.Names(header, "event", "id"); event != "push" || id != "7" || err != nil {
		t.Errorf("Names = %q, %q, %v", event, id, err)
	}
	if event, id, err := body.Names(header[:1], "event", "id"); event != "push" || id != "" || err != nil {
		t.Errorf("Names without an ID = %q, %q, %v", event, id, err)
	}
	for _, bad := range []source.Header{header[1:], header.With("event", "push"), header.With("ID", "7")} {
		_, _, err := body.Names(bad, "event", "id")
		wantMalformed(t, err)
	}
}

// Read agrees with the standard library on what is JSON, within the bound on depth.
func FuzzRead(f *testing.F) {
	for _, seed := range []string{`{"a":[1,"b",null]}`, "[", `"\u00"`, "\xef\xbb\xbf{}", "-", "1e", `{"a":1,}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		doc, err := body.Read(raw)
		if err != nil {
			return
		}
		if !json.Valid([]byte(strings.TrimPrefix(string(raw), "\xef\xbb\xbf"))) {
			t.Fatalf("Read takes %q for JSON", raw)
		}
		doc.Members(func(_ string, value gjson.Result) { body.Text(value) })
		doc.First("a.0", "b")
	})
}
