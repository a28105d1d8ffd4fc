package signature_test

import (
	"crypto"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/hooktroupe/hooktroupe/source"
	"github.com/hooktroupe/hooktroupe/source/signature"
)

var noon = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

func secrets(values ...string) []source.Secret {
	made := make([]source.Secret, 0, len(values))
	for _, v := range values {
		made = append(made, source.Secret{Value: []byte(v)})
	}
	return made
}

func request(header source.Header, body string) *source.Request {
	return &source.Request{Method: "POST", Header: header, Body: []byte(body)}
}

func wantReason(t *testing.T, err error, want source.RefusalReason) {
	t.Helper()
	if refusal := new(source.Refusal); !errors.As(err, &refusal) || refusal.Reason != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestOnly(t *testing.T) {
	one := source.Header{{Name: "A", Value: "1"}, {Name: "Empty"}}
	if got, err := signature.Only(one, "a"); err != nil || got != "1" {
		t.Errorf("Only = %q, %v", got, err)
	}
	_, err := signature.Only(one, "b")
	wantReason(t, err, source.ReasonMissing)
	_, err = signature.Only(one, "empty")
	wantReason(t, err, source.ReasonMissing)
	_, err = signature.Only(one.With("a", "1"), "A")
	wantReason(t, err, source.ReasonRepeated)
}

func TestOpen(t *testing.T) {
	header := source.Header{{Name: "A", Value: "1"}}
	if err := (signature.Open{}).Verify(request(header, "x"), noon); err != nil {
		t.Errorf("Verify: %v", err)
	}
	if got, err := (signature.Open{}).Sign(header, nil, noon); err != nil || len(got) != 1 {
		t.Errorf("Sign = %v, %v", got, err)
	}
	form := signature.Form{Header: "S", Hash: crypto.SHA256}
	if _, open := form.Scheme(source.Config{Insecure: true}).(signature.Open); !open {
		t.Error("an insecure source is not open")
	}
	if _, open := form.Scheme(source.Config{Secrets: secrets("s")}).(signature.Open); open {
		t.Error("a source with a secret is open")
	}
}

// Decode takes what Encode made, and only that: no other length, no other letter, nothing around or within.
func TestEncodings(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := rapid.SampledFrom([]signature.Encoding{signature.Hex, signature.Base64}).Draw(t, "encoding")
		sum := rapid.SliceOfN(rapid.Byte(), 1, 64).Draw(t, "sum")
		text := e.Encode(sum)
		got := make([]byte, len(sum))
		if !e.Decode(got, text) || string(got) != string(sum) {
			t.Fatalf("%s: Decode(%q) = %x, want %x", e, text, got, sum)
		}
		at := rapid.IntRange(0, len(text)).Draw(t, "at")
		foreign := rapid.SampledFrom([]string{"\n", "\r", " ", "-", "_", "%", "="}).Draw(t, "foreign")
		if e.Decode(got, text[:at]+foreign+text[at:]) {
			t.Fatalf("%s: %q was decoded with %q within", e, text, foreign)
		}
		if e.Decode(make([]byte, len(sum)+1), text) || e.Decode(make([]byte, len(sum)-1), text) {
			t.Fatalf("%s: %q was decoded to another length", e, text)
		}
	})
}

func TestEncodingsAreStrict(t *testing.T) {
	for text, want := range map[string]bool{
		"AA==": true, "AB==": false, "AA=": false, "AA": false, "A\nA=": false, "AA=\n": false, "-A==": false,
	} {
		if got := signature.Base64.Decode(make([]byte, 1), text); got != want {
			t.Errorf("base64: Decode(%q) = %t", text, got)
		}
	}
	for text, want := range map[string]bool{"0f": true, "0F": true, "0g": false, "f": false, "0x": false, "": false} {
		if got := signature.Hex.Decode(make([]byte, 1), text); got != want {
			t.Errorf("hex: Decode(%q) = %t", text, got)
		}
	}
}

// RFC 4231, test case 2.
func TestKeys(t *testing.T) {
	const want = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
	k := signature.NewKeys(crypto.SHA256, secrets("Jefe", "other"))
	if k.Size() != 32 {
		t.Errorf("Size = %d", k.Size())
	}
	sum := k.Sum([]byte("what do ya want "), []byte("for nothing?"))
	if hex.EncodeToString(sum) != want {
		t.Fatalf("Sum = %x, want %s", sum, want)
	}
	body := []byte("what do ya want for nothing?")
	other := signature.NewKeys(crypto.SHA256, secrets("other")).Sum(nil, body)
	wrong := make([]byte, 32)
	for name, test := range map[string]struct {
		sums [][]byte
		want bool
	}{
		"first key":  {[][]byte{sum}, true},
		"second key": {[][]byte{other}, true},
		"last sum":   {[][]byte{wrong, sum}, true},
		"first sum":  {[][]byte{sum, wrong}, true},
		"wrong":      {[][]byte{wrong}, false},
		"short":      {[][]byte{sum[:31]}, false},
		"empty":      {[][]byte{{}}, false},
		"none":       {nil, false},
	} {
		if got := k.Match(noon, nil, body, test.sums...); got != test.want {
			t.Errorf("%s: Match = %t", name, got)
		}
	}
}

func TestTokens(t *testing.T) {
	s := append(secrets("a", strings.Repeat("long", 1000)), source.Secret{Value: []byte("old"), NotAfter: noon})
	tokens := signature.NewTokens(s)
	for text, want := range map[string]bool{
		"a": true, strings.Repeat("long", 1000): true, "A": false, "": false, "a ": false, "old": false,
	} {
		if got := tokens.Match(noon, text); got != want {
			t.Errorf("Match(%.8q) = %t", text, got)
		}
	}
	if !tokens.Match(noon.Add(-1), "old") {
		t.Error("a token is refused before its end")
	}
}

func TestFresh(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	for text, want := range map[string]source.RefusalReason{
		"1000000": "", "999700": "", "1000300": "", "0001000000": "",
		"999699": source.ReasonStale, "1000301": source.ReasonStale, "0": source.ReasonStale, "999999999999": source.ReasonStale,
		"": source.ReasonMalformed, "-1": source.ReasonMalformed, "+1000000": source.ReasonMalformed,
		"1000000.0": source.ReasonMalformed, "1e6": source.ReasonMalformed, " 1000000": source.ReasonMalformed,
		"0xf4240": source.ReasonMalformed, "9999999999999": source.ReasonMalformed, "１": source.ReasonMalformed,
	} {
		err := signature.Fresh("T", text, now, source.DefaultTolerance)
		if want == "" && err != nil {
			t.Errorf("Fresh(%q) = %v", text, err)
		}
		if want != "" {
			wantReason(t, err, want)
		}
	}
}

// A signature that covers another text than the body, as some senders make it.
func TestVerifyText(t *testing.T) {
	h := signature.NewHMAC(signature.Form{Header: "S", Hash: crypto.SHA256}, secrets("s"))
	header, err := h.Sign(nil, []byte("within"), noon)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.VerifyText(header, []byte("within"), noon); err != nil {
		t.Errorf("VerifyText: %v", err)
	}
	wantReason(t, h.Verify(request(header, "around"), noon), source.ReasonMismatch)
}

// No secret is shown by anything that a scheme says, in whichever way it is printed.
func TestRefusalsAreQuiet(t *testing.T) {
	const value = "s3cr3t-value"
	for _, scheme := range []signature.Scheme{
		signature.NewHMAC(signature.Form{Header: "S", Hash: crypto.SHA256}, secrets(value)),
		signature.NewToken("S", secrets(value)), signature.NewBearer(secrets(value)), signature.NewBasic("u", secrets(value)),
	} {
		for _, presented := range []string{"x", strings.Repeat("0", 64), "Bearer x", "Basic dTp4"} {
			req := request(source.Header{{Name: "S", Value: presented}, {Name: "Authorization", Value: presented}}, "b")
			err := scheme.Verify(req, noon)
			if err == nil || strings.Contains(err.Error(), value) {
				t.Errorf("%T: %v", scheme, err)
			}
		}
	}
}

func base64Of(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
