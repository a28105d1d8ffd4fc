package signature_test

import (
	"crypto"
	"crypto/hmac"
	"encoding/base64"
	"encoding/hex"
	"testing"

	"pgregory.net/rapid"

	"github.com/hooktroupe/hooktroupe/source"
	"github.com/hooktroupe/hooktroupe/source/signature"
)

// Whatever the form, a scheme accepts exactly the header that the sender's description yields: the hash, the encoding
// and the prefix taken straight from the standard library.
func TestHMACOfAnyForm(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		form := signature.Form{
			Header:   "X-Signature",
			Prefix:   rapid.SampledFrom([]string{"", "sha256=", "v1:", "="}).Draw(t, "prefix"),
			Hash:     rapid.SampledFrom([]crypto.Hash{crypto.SHA1, crypto.SHA256, crypto.SHA384, crypto.SHA512}).Draw(t, "hash"),
			Encoding: rapid.SampledFrom([]signature.Encoding{signature.Hex, signature.Base64}).Draw(t, "encoding"),
		}
		key := rapid.SliceOfN(rapid.Byte(), 1, 200).Draw(t, "key")
		text := rapid.SliceOf(rapid.Byte()).Draw(t, "body")

		mac := hmac.New(form.Hash.New, key)
		mac.Write(text)
		sum := mac.Sum(nil)
		want := form.Prefix + hex.EncodeToString(sum)
		if form.Encoding == signature.Base64 {
			want = form.Prefix + base64.StdEncoding.EncodeToString(sum)
		}

		h := signature.NewHMAC(form, []source.Secret{{Value: []byte("another")}, {Value: key}})
		req := &source.Request{Header: source.Header{{Name: "x-signature", Value: want}}, Body: text}
		if err := h.Verify(req, noon); err != nil {
			t.Fatalf("Verify: %v", err)
		}
		signed, err := signature.NewHMAC(form, []source.Secret{{Value: key}}).Sign(nil, text, noon)
		if err != nil || signed.Get("X-Signature") != want {
			t.Fatalf("Sign = %v, %v; want %s", signed, err, want)
		}
		at := rapid.IntRange(0, len(want)-1).Draw(t, "at")
		changed := []byte(want)
		changed[at] ^= 1
		req.Header[0].Value = string(changed)
		if err := h.Verify(req, noon); err == nil {
			t.Fatalf("accepted %s for %s", changed, want)
		}
	})
}

// A token is accepted if and only if it is one of the secrets, byte for byte.
func TestTokensAreCompared(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.StringN(1, 20, 80), 1, 4).Draw(t, "tokens")
		presented := rapid.OneOf(rapid.SampledFrom(values), rapid.StringN(0, 20, 80)).Draw(t, "presented")
		want := false
		for _, value := range values {
			want = want || value == presented
		}
		if got := signature.NewTokens(secrets(values...)).Match(noon, presented); got != want {
			t.Fatalf("Match(%q) of %q = %t", presented, values, got)
		}
	})
}
