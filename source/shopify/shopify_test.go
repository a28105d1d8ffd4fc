package shopify_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/hooktroupe/hooktroupe/source"
	"github.com/hooktroupe/hooktroupe/source/shopify"
	"github.com/hooktroupe/hooktroupe/source/sourcetest"
)

const family, newer = "X-Shopify-", "Shopify-"

func options(t testing.TB) sourcetest.Options {
	fixtures := sourcetest.Fixtures(t, "shopify")
	for i := range fixtures { // the manifest names the header of the shop, not the shop
		fixtures[i].Repository = "example.myshopify.com"
	}
	return sourcetest.Options{
		New:       shopify.New,
		Config:    source.Config{Name: "shop", Type: "shopify"},
		Secrets:   [3]string{"first secret", "second secret", "not configured"},
		Fixtures:  fixtures,
		Proof:     family + "Hmac-Sha256",
		SignsBody: true,
		Malformed: []string{"=", strings.Repeat("A", 43), strings.Repeat("A", 44), strings.Repeat("-", 43) + "=", "sha256=x"},
		Samples:   []string{"customers/create", "app/uninstalled"},
	}
}

// preview is the same sender with the newer headers.
func preview(t testing.TB) sourcetest.Options {
	o := options(t)
	o.Proof = newer + "Hmac-Sha256"
	for i := range o.Fixtures {
		header := o.Fixtures[i].Header
		for j := range header {
			header[j].Name = strings.TrimPrefix(header[j].Name, "X-")
		}
	}
	return o
}

func TestSource(t *testing.T) {
	t.Run("older headers", func(t *testing.T) { sourcetest.Run(t, options(t)) })
	t.Run("newer headers", func(t *testing.T) { sourcetest.Run(t, preview(t)) })
}

func FuzzVerify(f *testing.F) { sourcetest.FuzzVerify(f, options(f)) }

func FuzzParse(f *testing.F) { sourcetest.FuzzParse(f, preview(f)) }

// The signature by the sender's description, made by other code than the source's.
func TestSignature(t *testing.T) {
	s := options(t).Build(t, source.Secret{Value: []byte("client secret")})
	for _, f := range sourcetest.Fixtures(t, "shopify") {
		mac := hmac.New(sha256.New, []byte("client secret"))
		mac.Write(f.Body)
		want := base64.StdEncoding.EncodeToString(mac.Sum(nil))
		if got := sourcetest.Sign(t, s, f.Header, f.Body, sourcetest.Now()).Header.Get("x-shopify-hmac-sha256"); got != want {
			t.Errorf("%s: Sign = %s, want %s", f.File, got, want)
		}
	}
}

// A number above 2^53 keeps every digit.
func TestLongNumbers(t *testing.T) {
	s := options(t).Build(t, source.Secret{Value: []byte("s")})
	header := source.Header{{Name: family + "Topic", Value: "orders/create"}, {Name: family + "Shop-Domain", Value: "d"}}
	d, err := s.Parse(sourcetest.Request(header, []byte(`{"id":820982911946154509}`)))
	if err != nil || d.Key != "d#820982911946154509" {
		t.Errorf("Parse = %+v, %v", d, err)
	}
}

// A signature in one family proves nothing of the names in the other.
func TestFamiliesDoNotMix(t *testing.T) {
	s, body := options(t).Build(t, source.Secret{Value: []byte("s")}), []byte("{}")
	signature := sourcetest.Sign(t, s, nil, body, sourcetest.Now()).Header[0].Value
	for _, names := range [][2]string{{family, newer}, {newer, family}} {
		header := source.Header{{Name: names[0] + "Topic", Value: "t"}, {Name: names[1] + "Hmac-Sha256", Value: signature}}
		err := s.Verify(sourcetest.Request(header, body), sourcetest.Now())
		if refusal := new(source.Refusal); !errors.As(err, &refusal) || refusal.Reason != source.ReasonMissing {
			t.Errorf("topic in %s, signature in %s: %v", names[0], names[1], err)
		}
	}
}

func TestMalformedHeaders(t *testing.T) {
	s := options(t).Build(t, source.Secret{Value: []byte("s")})
	good := source.Header{
		{Name: family + "Topic", Value: "t"}, {Name: family + "Webhook-Id", Value: "7"}, {Name: family + "Shop-Domain", Value: "d"},
	}
	if d, err := s.Parse(sourcetest.Request(good, []byte(`{"id":1}`))); err != nil || d.Key != "d#1" {
		t.Fatalf("Parse = %+v, %v", d, err)
	}
	for i := range good {
		_, err := s.Parse(sourcetest.Request(good.With(good[i].Name, "again"), []byte(`{"id":1}`)))
		if !errors.As(err, new(*source.Malformed)) {
			t.Errorf("%s twice: %v", good[i].Name, err)
		}
	}
}
