package signature

import (
	"crypto"
	_ "crypto/sha1"   //nolint:gosec // linked for senders that know no better
	_ "crypto/sha256" // linked for nearly all
	_ "crypto/sha512" // linked for SHA-384 and SHA-512
	"fmt"
	"strings"
	"time"

	"github.com/hooktroupe/hooktroupe/source"
)

// Form says where a sender puts its signature and how it writes it.
type Form struct {
	// Header holds the signature.
	Header string
	// Prefix comes before it, such as sha256=; empty for none.
	Prefix string
	// Hash is the hash of the HMAC.
	Hash crypto.Hash
	// Encoding is how the sum is written after the prefix.
	Encoding Encoding
}

// Scheme returns the scheme of that form for a source: an HMAC with its secrets, or Open when it is insecure.
func (f Form) Scheme(c source.Config) Scheme {
	if c.Insecure {
		return Open{}
	}
	return NewHMAC(f, c.Secrets)
}

// HMAC is the scheme of a sender that signs the raw body.
type HMAC struct {
	form Form
	want string // the form in words, for refusals
	keys *Keys
}

// NewHMAC returns the scheme of that form with those secrets, whose bytes are the keys.
func NewHMAC(form Form, secrets []source.Secret) *HMAC {
	return &HMAC{
		form: form,
		want: fmt.Sprintf("%s and %d bytes in %s", orNothing(form.Prefix), form.Hash.Size(), form.Encoding),
		keys: NewKeys(form.Hash, secrets),
	}
}

// Verify checks the signature of the body as it came off the wire.
func (h *HMAC) Verify(req *source.Request, now time.Time) error {
	return h.VerifyText(req.Header, req.Body, now)
}

// VerifyText checks the signature in header of another text than the body, for senders that sign a part of it.
func (h *HMAC) VerifyText(header source.Header, text []byte, now time.Time) error {
	value, err := Only(header, h.form.Header)
	if err != nil {
		return err
	}
	encoded, ok := strings.CutPrefix(value, h.form.Prefix)
	if !ok {
		return Malformed(h.form.Header, h.want)
	}
	var room [maxSum]byte
	sum := room[:h.keys.Size()]
	if !h.form.Encoding.Decode(sum, encoded) {
		return Malformed(h.form.Header, h.want)
	}
	if !h.keys.Match(now, nil, text, sum) {
		return Mismatch(h.form.Header)
	}
	return nil
}

// Sign adds the signature under the first secret.
func (h *HMAC) Sign(header source.Header, body []byte, _ time.Time) (source.Header, error) {
	return header.With(h.form.Header, h.form.Prefix+h.form.Encoding.Encode(h.keys.Sum(nil, body))), nil
}

// orNothing puts a prefix into words.
func orNothing(prefix string) string {
	if prefix == "" {
		return "no prefix"
	}
	return prefix
}
