package body_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
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
	twice := source.Header{{Name: "Content-Type", Value: "application/json"}, {Name: "content-type", Value: "application/json"}}
	if _, err := body.FromRequest(&source.Request{Header: twice, Body: []byte(`{}`)}); err == nil {
		t.Error("a content type that comes twice is JSON")
	}
	if body.IsForm(body.Media(twice)) {
		t.Error("a content type that comes twice is a form")
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
		doc.Members(func(name string, value body.Value) { got[strings.Clone(name)] = value.Text() })
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
	doc.Members(func(string, body.Value) { t.Error("an array has members") })
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

// What FormField takes for the one field, the standard library takes for it as well, and for no other.
func FuzzFormField(f *testing.F) {
	for _, seed := range []string{"payload=%7B%7D", "a=b&payload=x+y&c", "payload=&payload=", "payload=%", "p%61yload=x", "payload=a;b"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := body.FormField(raw, "payload")
		if err != nil {
			wantMalformed(t, err)
			return
		}
		values, _ := url.ParseQuery(string(raw)) // it goes on after an error, without the field at fault
		if all := values["payload"]; !slices.Contains(all, string(got)) && !strings.Contains(string(raw), ";") {
			t.Fatalf("FormField(%q) = %q, and the standard library finds %q", raw, got, all)
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

// What Read takes is what the standard library takes, within the bound on depth; and the members that it notes on the way
// are those that a second look at the text finds.
func FuzzRead(f *testing.F) {
	for _, seed := range []string{
		`{"a":[1,"b",null]}`, "[", `"\u00"`, "\xef\xbb\xbf{}", "-", "1e", `{"a":1,}`, ` { "a" : { } , "b\u0041\"" : -0.5e+3 } `,
		`"12345678\n901234567\\"`, "\"1234567\x01\"", "\"\x80\xff\x1f\"", `[[],{},"",0,01]`, `{"a":tru}`, `{"a"}`, `{"a" 1}`, "",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) { checkRead(t, raw) })
}

// fataler is what the tests of this file and those of rapid have in common.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

func checkRead(t fataler, raw []byte) {
	t.Helper()
	text := strings.TrimPrefix(string(raw), "\xef\xbb\xbf")
	doc, err := body.Read(raw)
	switch {
	case err == nil && !json.Valid([]byte(text)):
		t.Fatalf("Read takes %q for JSON", raw)
	case err != nil && !strings.Contains(err.Error(), "too deep") && json.Valid([]byte(text)):
		t.Fatalf("Read does not take %q for JSON: %v", raw, err)
	case err != nil:
		return
	}
	var got, want []string
	doc.Members(func(name string, value body.Value) { got = append(got, fmt.Sprintf("%q %q", name, string(value))) })
	if root := gjson.Parse(text); root.IsObject() {
		root.ForEach(func(name, value gjson.Result) bool {
			want = append(want, fmt.Sprintf("%q %q", name.Str, value.Raw))
			return true
		})
	}
	if !slices.Equal(got, want) {
		t.Fatalf("members of %q:\n%q, want\n%q", raw, got, want)
	}
	doc.First("a.0", "b")
}

// Texts that are JSON but for a few bytes find what random bytes do not.
func TestReadOfDamagedJSON(t *testing.T) {
	values := rapid.OneOf(
		rapid.Just[any](nil), rapid.Just[any](true), rapid.Just[any](false),
		rapid.Map(rapid.Float64Range(-1e20, 1e20), func(f float64) any { return f }),
		rapid.Map(rapid.StringOfN(rapid.RuneFrom([]rune("ab\"\\\n\x01é\u2028😀")), 0, 40, -1), func(s string) any { return s }),
		rapid.Map(rapid.SliceOfN(rapid.IntRange(0, 99), 0, 4), func(a []int) any { return a }),
		rapid.Map(rapid.MapOfN(rapid.StringN(0, 12, -1), rapid.Bool(), 0, 4), func(m map[string]bool) any { return m }),
	)
	objects := rapid.MapOfN(rapid.StringN(0, 12, -1), values, 0, 80)
	rapid.Check(t, func(t *rapid.T) {
		raw, err := json.MarshalIndent(objects.Draw(t, "object"), "", rapid.SampledFrom([]string{"", " "}).Draw(t, "indent"))
		if err != nil {
			t.Fatal(err)
		}
		for range rapid.IntRange(0, 2).Draw(t, "damages") {
			at := rapid.IntRange(0, len(raw)-1).Draw(t, "at")
			with := rapid.SampledFrom([]byte("\"\\{}[],:0-.eE tu\x00\x1f\x7f\xff")).Draw(t, "with")
			switch rapid.IntRange(0, 2).Draw(t, "how") {
			case 0:
				raw[at] = with
			case 1:
				raw = slices.Insert(raw, at, with)
			default:
				raw = raw[:at]
			}
			if len(raw) == 0 {
				break
			}
		}
		checkRead(t, raw)
	})
}

func BenchmarkRead(b *testing.B) {
	raw, err := os.ReadFile("../github/samples/pull_request.opened.json")
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := body.Read(raw); err != nil {
			b.Fatal(err)
		}
	}
}
