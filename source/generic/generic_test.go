package generic_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/hooktroupe/hooktroupe/source"
	"github.com/hooktroupe/hooktroupe/source/generic"
	"github.com/hooktroupe/hooktroupe/source/sourcetest"
)

// options of a source of that scheme. Its fixtures are what the generic source would be configured for: deliveries of
// senders that others of our packages know.
func options(t testing.TB, g source.Generic) sourcetest.Options {
	g.EventHeader, g.IDHeader = "X-Gitea-Event-Type", "X-Gitea-Delivery"
	g.KeyPath = "repository.full_name"
	fixtures := sourcetest.Fixtures(t, "gitea")
	for i := range fixtures {
		f := &fixtures[i]
		f.EventType, f.Key = f.Header.Get("X-Gitea-Event-Type"), f.Repository
	}
	o := sourcetest.Options{
		New:       generic.New,
		Config:    source.Config{Name: "any", Type: "generic", Generic: &g},
		Secrets:   [3]string{"first secret", "second secret", "not configured"},
		Fixtures:  fixtures,
		Proof:     g.Header,
		SignsBody: g.Scheme == "hmac",
		Opaque:    true,
		Samples:   []string{"event", "anything.else"},
	}
	if g.Header == "" {
		o.Proof = "Authorization"
	}
	if g.Scheme == "basic" {
		o.Config.Username = "user"
	}
	return o
}

// schemes are one of each form that a signature may have, and the schemes without one.
func schemes() map[string]source.Generic {
	return map[string]source.Generic{
		"hmac":                {Scheme: "hmac", Header: "X-Signature"},
		"hmac sha1":           {Scheme: "hmac", Header: "X-Signature", Algorithm: "sha1", Prefix: "sha1="},
		"hmac sha384 base64":  {Scheme: "hmac", Header: "X-Signature", Algorithm: "sha384", Encoding: "base64"},
		"hmac sha512 prefix":  {Scheme: "hmac", Header: "X-Signature", Algorithm: "sha512", Prefix: "v1:"},
		"hmac sha256 base64":  {Scheme: "hmac", Header: "X-Signature", Algorithm: "sha256", Encoding: "base64"},
		"token":               {Scheme: "token", Header: "X-Token"},
		"basic":               {Scheme: "basic"},
		"bearer":              {Scheme: "bearer"},
		"token in a standard": {Scheme: "token", Header: "Authorization"},
	}
}

func TestSource(t *testing.T) {
	for name, g := range schemes() {
		t.Run(name, func(t *testing.T) { sourcetest.Run(t, options(t, g)) })
	}
}

func FuzzVerify(f *testing.F) { sourcetest.FuzzVerify(f, options(f, schemes()["hmac sha384 base64"])) }

func FuzzVerifyBearer(f *testing.F) { sourcetest.FuzzVerify(f, options(f, schemes()["bearer"])) }

func FuzzVerifyToken(f *testing.F) { sourcetest.FuzzVerify(f, options(f, schemes()["token"])) }

func FuzzVerifyBasic(f *testing.F) { sourcetest.FuzzVerify(f, options(f, schemes()["basic"])) }

func FuzzParse(f *testing.F) { sourcetest.FuzzParse(f, options(f, schemes()["hmac"])) }

// The vectors are of other senders whose scheme can be configured.
func TestVectors(t *testing.T) {
	for name, test := range map[string]struct {
		generic                 source.Generic
		secret, body, signature string
	}{
		"sha256": {source.Generic{Scheme: "hmac", Header: "S", Prefix: "sha256="}, "It's a Secret to Everybody", "Hello, World!",
			"sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"},
		"sha1": {source.Generic{Scheme: "hmac", Header: "S", Prefix: "sha1=", Algorithm: "sha1"}, "0123456789abcdef", `{"yo":true}`,
			"sha1=126f2c800419c60137ce748d7672e77b65cf16d6"},
		"sha1 of a form": {source.Generic{Scheme: "hmac", Header: "S", Prefix: "sha1=", Algorithm: "sha1"}, "0123456789abcdef",
			"payload=%7B%22yo%22%3Atrue%7D", "sha1=3374ef144403e8035423b23b02e2c9d7a4c50368"},
		// RFC 4231, test case 2
		"sha384": {source.Generic{Scheme: "hmac", Header: "S", Algorithm: "sha384"}, "Jefe", "what do ya want for nothing?",
			"af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649"},
		"sha512": {source.Generic{Scheme: "hmac", Header: "S", Algorithm: "sha512"}, "Jefe", "what do ya want for nothing?",
			"164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := generic.New(source.Config{Name: "any", Type: "generic", Generic: &test.generic,
				Secrets: []source.Secret{{Value: []byte(test.secret)}}})
			if err != nil {
				t.Fatal(err)
			}
			header := source.Header{{Name: "s", Value: test.signature}}
			if err := s.Verify(sourcetest.Request(header, []byte(test.body)), sourcetest.Now()); err != nil {
				t.Errorf("Verify: %v", err)
			}
		})
	}
}

func TestConfiguration(t *testing.T) {
	base := source.Generic{Scheme: "hmac", Header: "X-Signature"}
	for name, test := range map[string]struct {
		change func(*source.Config)
		key    string // empty: no error
	}{
		"complete":              {func(*source.Config) {}, ""},
		"insecure":              {func(c *source.Config) { c.Secrets, c.Insecure = nil, true }, ""},
		"insecure, no scheme":   {func(c *source.Config) { c.Secrets, c.Insecure, c.Generic = nil, true, &source.Generic{} }, ""},
		"nothing":               {func(c *source.Config) { c.Generic = nil }, "generic"},
		"no scheme":             {func(c *source.Config) { c.Generic.Scheme = "" }, "generic.scheme"},
		"unknown scheme":        {func(c *source.Config) { c.Generic.Scheme = "HMAC" }, "generic.scheme"},
		"no header":             {func(c *source.Config) { c.Generic.Header = "" }, "generic.header"},
		"odd header":            {func(c *source.Config) { c.Generic.Header = "X Signature" }, "generic.header"},
		"header unused":         {func(c *source.Config) { c.Generic.Scheme = "bearer" }, "generic.header"},
		"unknown algorithm":     {func(c *source.Config) { c.Generic.Algorithm = "md5" }, "generic.algorithm"},
		"unknown encoding":      {func(c *source.Config) { c.Generic.Encoding = "base32" }, "generic.encoding"},
		"algorithm unused":      {func(c *source.Config) { c.Generic.Scheme, c.Generic.Algorithm = "token", "sha256" }, "generic.algorithm"},
		"prefix unused":         {func(c *source.Config) { c.Generic.Scheme, c.Generic.Prefix = "token", "x" }, "generic.prefix"},
		"no user":               {func(c *source.Config) { c.Generic.Scheme, c.Generic.Header = "basic", "" }, "username"},
		"user unused":           {func(c *source.Config) { c.Username = "u" }, "username"},
		"odd event header":      {func(c *source.Config) { c.Generic.EventHeader = "a:b" }, "generic.event_header"},
		"odd ID header":         {func(c *source.Config) { c.Generic.IDHeader = "größe" }, "generic.id_header"},
		"empty segment":         {func(c *source.Config) { c.Generic.EventPath = "a..b" }, "generic.event_path"},
		"query in a path":       {func(c *source.Config) { c.Generic.IDPath = `a.#(b=="c")` }, "generic.id_path"},
		"modifier in a path":    {func(c *source.Config) { c.Generic.KeyPath = "@this" }, "generic.key_path"},
		"names and indices":     {func(c *source.Config) { c.Generic.KeyPath = "a_b.0.c-d.$e" }, ""},
		"basic with a user":     {func(c *source.Config) { c.Generic.Scheme, c.Generic.Header, c.Username = "basic", "", "u" }, ""},
		"user holding a colon":  {func(c *source.Config) { c.Generic.Scheme, c.Generic.Header, c.Username = "basic", "", "u:" }, "username"},
		"insecure with a user":  {func(c *source.Config) { c.Secrets, c.Insecure, c.Username = nil, true, "u" }, "username"},
		"tolerance of a second": {func(c *source.Config) { c.Tolerance = 1e9 }, "tolerance"},
	} {
		t.Run(name, func(t *testing.T) {
			g := base
			c := source.Config{Name: "any", Type: "generic", Generic: &g, Secrets: []source.Secret{{Value: []byte("s")}}}
			test.change(&c)
			_, err := generic.New(c)
			if test.key == "" && err != nil {
				t.Fatalf("New: %v", err)
			}
			if test.key != "" && (err == nil || !strings.Contains(err.Error(), "sources.any."+test.key+":")) {
				t.Fatalf("New = %v, want sources.any.%s in it", err, test.key)
			}
		})
	}
}

func TestParse(t *testing.T) {
	g := source.Generic{EventHeader: "X-Event", EventPath: "kind.name", IDHeader: "X-Id", IDPath: "ids.0", KeyPath: "key"}
	s, err := generic.New(source.Config{Name: "any", Type: "generic", Insecure: true, Generic: &g})
	if err != nil {
		t.Fatal(err)
	}
	const body = `{"kind":{"name":"made"},"ids":[9007199254740993],"key":"k"}`
	headers := source.Header{{Name: "X-Event", Value: "e"}, {Name: "X-Id", Value: "i"}}
	typed := func(t string) source.Header { return source.Header{{Name: "Content-Type", Value: t}} }
	fallback := func(body string) string { return source.FallbackID("generic", "event", []byte(body)) }
	for name, test := range map[string]struct {
		header source.Header
		body   string
		want   source.Delivery // without an event type: malformed
	}{
		"paths":          {nil, body, source.Delivery{EventType: "made", DeliveryID: "9007199254740993", Key: "k"}},
		"headers win":    {headers, body, source.Delivery{EventType: "e", DeliveryID: "i", Key: "k"}},
		"neither":        {nil, `{}`, source.Delivery{EventType: "event", DeliveryID: fallback(`{}`)}},
		"undeclared":     {nil, "hello", source.Delivery{EventType: "event", DeliveryID: fallback("hello")}},
		"text":           {typed("text/plain"), "hello", source.Delivery{EventType: "event", DeliveryID: fallback("hello")}},
		"form":           {typed("application/x-www-form-urlencoded"), "a=b", source.Delivery{EventType: "event", DeliveryID: fallback("a=b")}},
		"array":          {typed("application/json"), "[]", source.Delivery{EventType: "event", DeliveryID: fallback("[]")}},
		"suffix":         {typed("application/vnd.x+JSON; a=b"), body, source.Delivery{EventType: "made", DeliveryID: "9007199254740993", Key: "k"}},
		"not what it is": {typed("application/json"), "hello", source.Delivery{}},
		"two events":     {headers.With("x-event", "f"), body, source.Delivery{}},
		"two IDs":        {headers.With("x-id", "j"), body, source.Delivery{}},
		"odd event":      {nil, `{"kind":{"name":"a\nb"}}`, source.Delivery{EventType: "a%0Ab", DeliveryID: source.FallbackID("generic", "a\nb", []byte(`{"kind":{"name":"a\nb"}}`))}},
		"odd ID":         {nil, `{"ids":["größe"]}`, source.Delivery{EventType: "event", DeliveryID: source.BoundID("größe")}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := s.Parse(sourcetest.Request(test.header, []byte(test.body)))
			if malformed := new(source.Malformed); test.want.EventType == "" && !errors.As(err, &malformed) {
				t.Fatalf("Parse = %+v, %v; want *source.Malformed", got, err)
			}
			if test.want.EventType != "" && (err != nil || got != test.want) {
				t.Fatalf("Parse = %+v, %v; want %+v", got, err, test.want)
			}
		})
	}
}

// A sample has its names where the configuration looks for them.
func TestSamplePlaces(t *testing.T) {
	for name, test := range map[string]struct {
		generic source.Generic
		ok      bool
	}{
		"paths":        {source.Generic{EventPath: "a.b", IDPath: "a.c", KeyPath: "a.d.e"}, true},
		"headers":      {source.Generic{EventHeader: "X-Event", IDHeader: "X-Id", KeyPath: "key"}, true},
		"one in other": {source.Generic{EventPath: "a", IDPath: "a.b"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := generic.New(source.Config{Name: "any", Type: "generic", Insecure: true, Generic: &test.generic})
			if err != nil {
				t.Fatal(err)
			}
			header, body, err := s.(source.Sampler).Sample("e", "i")
			if !test.ok {
				if err == nil {
					t.Fatal("Sample puts a value inside another")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want := source.Delivery{EventType: "e", DeliveryID: "i", Key: "sample"}
			if got, err := s.Parse(sourcetest.Request(header, body)); err != nil || got != want {
				t.Fatalf("Parse = %+v, %v; want %+v", got, err, want)
			}
		})
	}
}

func TestSensitiveHeaders(t *testing.T) {
	for name, want := range map[string]int{"hmac": 1, "token": 1, "basic": 0, "bearer": 0} {
		s := options(t, schemes()[name]).Build(t, source.Secret{Value: []byte("s")})
		if got := s.(source.Concealer).SensitiveHeaders(); len(got) != want {
			t.Errorf("%s: SensitiveHeaders = %v", name, got)
		}
	}
}
