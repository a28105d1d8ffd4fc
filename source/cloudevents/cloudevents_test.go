package cloudevents_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/hooktroupe/hooktroupe/source"
	"github.com/hooktroupe/hooktroupe/source/cloudevents"
	"github.com/hooktroupe/hooktroupe/source/sourcetest"
)

func options(t testing.TB) sourcetest.Options {
	fixtures := sourcetest.Fixtures(t, "cloudevents")
	for i := range fixtures {
		fixtures[i].DeliveryID = "/mycontext " + fixtures[i].DeliveryID
	}
	return sourcetest.Options{
		New:       cloudevents.New,
		Config:    source.Config{Name: "ce", Type: "cloudevents"},
		Secrets:   [3]string{"first-token", "second-token", "not-configured"},
		Fixtures:  fixtures,
		Proof:     "Authorization",
		Malformed: []string{"Bearer", "Bearer ", "Basic abc", "first-token"},
		Samples:   []string{"com.example.someevent"},
	}
}

func TestSource(t *testing.T) { sourcetest.Run(t, options(t)) }

func FuzzVerify(f *testing.F) { sourcetest.FuzzVerify(f, options(f)) }

func FuzzParse(f *testing.F) { sourcetest.FuzzParse(f, options(f)) }

// FuzzQuery looks for a query that is taken for the token without holding it.
func FuzzQuery(f *testing.F) {
	s := build(f)
	for _, seed := range []string{"access_token=a+token%2F%2B", "access_token=a&access_token=b", "access_token", "a=b;access_token=c", "%61ccess_token=a"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		req := sourcetest.Request(nil, []byte("{}"))
		req.Query = query
		if s.Verify(req, sourcetest.Now()) != nil {
			return
		}
		if values, err := url.ParseQuery(query); err != nil || len(values["access_token"]) != 1 || values.Get("access_token") != "a token/+" {
			t.Fatalf("accepted %q", query)
		}
	})
}

// FuzzGreet looks for an origin that is repeated in the answer and could end its line, or name more than one host.
func FuzzGreet(f *testing.F) {
	greeter := build(f).(source.Greeter)
	for _, seed := range []string{"eventemitter.example.com", "*", "a\r\nSet-Cookie: b", "größe", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, origin string) {
		req := sourcetest.Request(source.Header{{Name: "WebHook-Request-Origin", Value: origin}}, nil)
		req.Method = "OPTIONS"
		if answer, ok := greeter.Greet(req); ok && (answer.Header["WebHook-Allowed-Origin"] != origin ||
			strings.ContainsAny(origin, "\r\n\x00 ,*") || len(origin) > 253) {
			t.Fatalf("greeted %q with %+v", origin, answer)
		}
	})
}

// FuzzBinary looks for attributes that make Parse panic or return what is not fit for the rest of the daemon.
func FuzzBinary(f *testing.F) {
	s := build(f)
	f.Add("com.example.made", "/a%20b", "7", "k", "application/json", []byte("{}"))
	f.Add("gr%C3%B6%C3%9Fe", "%", "%00", "", "text/xml", []byte("<x/>"))
	f.Fuzz(func(t *testing.T, kind, origin, id, key, media string, body []byte) {
		d, err := s.Parse(sourcetest.Request(source.Header{
			{Name: "ce-specversion", Value: "1.0"}, {Name: "ce-type", Value: kind}, {Name: "ce-source", Value: origin},
			{Name: "ce-id", Value: id}, {Name: "ce-partitionkey", Value: key}, {Name: "Content-Type", Value: media},
		}, body))
		if err != nil {
			if !errors.As(err, new(*source.Malformed)) {
				t.Fatalf("Parse = %v: not malformed", err)
			}
			return
		}
		if _, err := d.Checked(); err != nil || d.DeliveryID == "" {
			t.Fatalf("Parse = %+v: %v", d, err)
		}
	})
}

func build(t testing.TB) source.Source {
	return options(t).Build(t, source.Secret{Value: []byte("a token/+")})
}

// The token may come in the query, once, and not beside the header.
func TestQueryToken(t *testing.T) {
	const good = "access_token=a+token%2F%2B"
	header := source.Header{{Name: "Authorization", Value: "bearer a token/+"}}
	for name, test := range map[string]struct {
		query  string
		header source.Header
		want   source.RefusalReason
	}{
		"good":         {good, nil, ""},
		"among others": {"a=b&" + good + "&c", nil, ""},
		"header":       {"a=b", header, ""},
		"other name":   {"my_access_token=x", header, ""},
		"wrong":        {"access_token=x", nil, source.ReasonMismatch},
		"empty":        {"access_token=", nil, source.ReasonMissing},
		"nothing":      {"", nil, source.ReasonMissing},
		"other only":   {"my_access_token=x", nil, source.ReasonMissing},
		"twice":        {good + "&" + good, nil, source.ReasonRepeated},
		"both":         {good, header, source.ReasonRepeated},
		"both, empty":  {good, source.Header{{Name: "Authorization"}}, source.ReasonRepeated},
		"bad query":    {good + "&%", nil, source.ReasonMalformed},
		"semicolon":    {good + ";a=b", nil, source.ReasonMalformed},
	} {
		req := sourcetest.Request(test.header, []byte("{}"))
		req.Query = test.query
		err := build(t).Verify(req, sourcetest.Now())
		refusal := new(source.Refusal)
		if test.want == "" && err != nil || test.want != "" && (!errors.As(err, &refusal) || refusal.Reason != test.want) {
			t.Errorf("%s: Verify = %v, want %q", name, err, test.want)
		}
	}
}

func TestModes(t *testing.T) {
	typed := func(media string) source.Header { return source.Header{{Name: "Content-Type", Value: media}} }
	ce := source.Header{
		{Name: "CE-SpecVersion", Value: "1.0"}, {Name: "ce-type", Value: "com.example.made"}, {Name: "ce-source", Value: "/a%20b"},
		{Name: "ce-id", Value: "7"}, {Name: "ce-partitionkey", Value: "k"},
	}
	binary := source.Delivery{EventType: "com.example.made", DeliveryID: "/a b 7", Key: "k"}
	const structured, batched = "application/cloudevents+json", "application/cloudevents-batch+json"
	for name, test := range map[string]struct {
		header source.Header
		body   string
		want   source.Delivery // without an event type: malformed
	}{
		"structured":       {typed("Application/CloudEvents+JSON; charset=utf-8"), `{"specversion":"1.0","type":"t","source":"s","id":"i","partitionkey":"k"}`, source.Delivery{EventType: "t", DeliveryID: "s i", Key: "k"}},
		"binary":           {ce.With("Content-Type", "application/xml"), "<x/>", binary},
		"binary JSON":      {ce.With("Content-Type", "application/json"), "[1]", binary},
		"batch":            {typed(batched), `[{}]`, source.Delivery{EventType: "cloudevents.batch", DeliveryID: source.FallbackID("cloudevents", "cloudevents.batch", []byte(`[{}]`))}},
		"bad JSON":         {ce.With("Content-Type", "application/json"), "[", source.Delivery{}},
		"bad structured":   {typed(structured), `[]`, source.Delivery{}},
		"batch of none":    {typed(batched), `{}`, source.Delivery{}},
		"bad batch":        {typed(batched), `[`, source.Delivery{}},
		"no body":          {ce, "", source.Delivery{}},
		"no id":            {typed(structured), `{"specversion":"1.0","type":"t","source":"s"}`, source.Delivery{}},
		"no source":        {typed(structured), `{"specversion":"1.0","type":"t","id":"i"}`, source.Delivery{}},
		"no type":          {typed(structured), `{"specversion":"1.0","source":"s","id":"i"}`, source.Delivery{}},
		"old":              {typed(structured), `{"specversion":"0.3","type":"t","source":"s","id":"i"}`, source.Delivery{}},
		"attribute twice":  {ce.With("ce-id", "8"), "x", source.Delivery{}},
		"attribute broken": {ce[:3].With("ce-id", "%"), "x", source.Delivery{}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := build(t).Parse(sourcetest.Request(test.header, []byte(test.body)))
			if test.want.EventType == "" && !errors.As(err, new(*source.Malformed)) {
				t.Fatalf("Parse = %+v, %v; want *source.Malformed", got, err)
			}
			if test.want.EventType != "" && (err != nil || got != test.want) {
				t.Fatalf("Parse = %+v, %v; want %+v", got, err, test.want)
			}
		})
	}
}

// Source and ID are of any length and letters; the delivery ID is not.
func TestLongIDs(t *testing.T) {
	for _, id := range []string{strings.Repeat("i", 300), "größe"} {
		body := `{"specversion":"1.0","type":"t","source":"s","id":"` + id + `"}`
		header := source.Header{{Name: "Content-Type", Value: "application/cloudevents+json"}}
		d, err := build(t).Parse(sourcetest.Request(header, []byte(body)))
		if err != nil || !strings.HasPrefix(d.DeliveryID, "sha256:") {
			t.Errorf("Parse = %+v, %v; want a digest", d, err)
		}
	}
}

func TestGreet(t *testing.T) {
	asks := source.Header{{Name: "webhook-request-origin", Value: "eventemitter.example.com"}}
	for name, test := range map[string]struct {
		method string
		header source.Header
		want   bool
	}{
		"handshake":      {"OPTIONS", asks, true},
		"rate, callback": {"OPTIONS", asks.With("WebHook-Request-Rate", "120").With("WebHook-Request-Callback", "http://127.0.0.1/"), true},
		"delivery":       {"POST", asks, false},
		"no origin":      {"OPTIONS", nil, false},
		"two origins":    {"OPTIONS", asks.With("WebHook-Request-Origin", "b"), false},
		"empty":          {"OPTIONS", source.Header{{Name: "WebHook-Request-Origin"}}, false},
		"no name":        {"OPTIONS", source.Header{{Name: "WebHook-Request-Origin", Value: "a\r\nb"}}, false},
		"wildcard":       {"OPTIONS", source.Header{{Name: "WebHook-Request-Origin", Value: "*"}}, false},
		"too long":       {"OPTIONS", source.Header{{Name: "WebHook-Request-Origin", Value: strings.Repeat("a", 254)}}, false},
		"preflight":      {"OPTIONS", asks.With("Access-Control-Request-Method", "POST"), false},
	} {
		t.Run(name, func(t *testing.T) {
			req := sourcetest.Request(test.header, nil)
			req.Method = test.method
			answer, got := build(t).(source.Greeter).Greet(req)
			if got != test.want || got != (answer != nil) {
				t.Fatalf("Greet = %+v, %t", answer, got)
			}
			if !got {
				return
			}
			if answer.Status != 200 || answer.Header["Allow"] != "POST" || answer.Header["WebHook-Allowed-Rate"] != "*" ||
				answer.Header["WebHook-Allowed-Origin"] != "eventemitter.example.com" || len(answer.Body) != 0 {
				t.Fatalf("Greet = %+v", answer)
			}
		})
	}
}
