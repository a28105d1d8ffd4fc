package signature

import (
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/hooktroupe/hooktroupe/source"
)

// The prefixes of secrets in the Standard Webhooks form: a symmetric key, and the public and the private key of an
// asymmetric pair.
const (
	SymmetricPrefix = "whsec_"
	PublicPrefix    = "whpk_"
	PrivatePrefix   = "whsk_"
)

// The length of a symmetric key, in bytes.
const (
	minSymmetric = 24
	maxSymmetric = 64
)

// The bounds of what is looked at in a signature header, entries of each kind; honest senders send one or two. Each v1a
// entry makes every public key hash the whole body again, before anything is proven, so that of those there are fewer.
const (
	maxStandardSums       = 16
	maxStandardSignatures = 4
)

// Family is the set of headers that carry a Standard Webhooks signature.
type Family struct {
	ID, Timestamp, Signature string
}

// WebhookFamily is the one that the specification names.
func WebhookFamily() Family { return Family{"webhook-id", "webhook-timestamp", "webhook-signature"} }

// SvixFamily is the older one, with the same content.
func SvixFamily() Family { return Family{"svix-id", "svix-timestamp", "svix-signature"} }

// Standard is the Standard Webhooks scheme: id.timestamp.body is signed with HMAC-SHA256 (v1) or ed25519 (v1a). Entries
// of a kind that no secret is for, and of unknown kinds, are passed over.
type Standard struct {
	families  []Family
	tolerance time.Duration
	keys      *Keys
	public    []publicKey
	private   ed25519.PrivateKey // of the first asymmetric secret that has one; nil for none
}

// publicKey is a key of v1a entries with the window in which it counts.
type publicKey struct {
	secret source.Secret
	key    ed25519.PublicKey
}

// NewStandard returns the scheme for the secrets of c, each with whsec_, whpk_ or whsk_ and base64, or base64 of a
// symmetric key alone. A private key is for who signs; it verifies as its public key does. The family that FamilyOf finds
// in a request is the one that must be complete.
func NewStandard(c source.Config, families ...Family) (*Standard, error) {
	s := &Standard{families: families, tolerance: c.Window()}
	var symmetric []source.Secret
	for i, secret := range c.Secrets {
		text := string(secret.Value)
		var err error
		switch {
		case strings.HasPrefix(text, PublicPrefix):
			secret.Value, err = decodeKey(text[len(PublicPrefix):], ed25519.PublicKeySize, ed25519.PublicKeySize)
			s.public = append(s.public, publicKey{secret, secret.Value})
		case strings.HasPrefix(text, PrivatePrefix):
			err = s.addPrivate(secret, text[len(PrivatePrefix):])
		default:
			secret.Value, err = decodeKey(strings.TrimPrefix(text, SymmetricPrefix), minSymmetric, maxSymmetric)
			symmetric = append(symmetric, secret)
		}
		if err != nil {
			return nil, c.Errorf(fmt.Sprintf("secrets[%d]", i), "%w", err)
		}
	}
	s.keys = NewKeys(crypto.SHA256, symmetric)
	return s, nil
}

// addPrivate reads a private key: its seed, alone or with the public key behind it.
func (s *Standard) addPrivate(secret source.Secret, encoded string) error {
	decoded, err := decodeKey(encoded, ed25519.SeedSize, ed25519.PrivateKeySize)
	if err != nil {
		return err
	}
	private := ed25519.NewKeyFromSeed(decoded[:ed25519.SeedSize])
	if len(decoded) != ed25519.SeedSize && !private.Equal(ed25519.PrivateKey(decoded)) {
		return errors.New("is not an ed25519 private key of 32 or 64 bytes")
	}
	secret.Value = private[ed25519.SeedSize:]
	s.public = append(s.public, publicKey{secret, secret.Value})
	if s.private == nil {
		s.private = private
	}
	return nil
}

// decodeKey reads a key of least to most bytes. It is strict, for a key that was misread would refuse every request.
func decodeKey(encoded string, least, most int) ([]byte, error) {
	key, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil || strings.ContainsAny(encoded, "\r\n") {
		return nil, errors.New("is not base64 in the standard alphabet with padding")
	}
	if len(key) < least || len(key) > most {
		return nil, fmt.Errorf("decodes to %d bytes, not %d to %d", len(key), least, most)
	}
	return key, nil
}

// FamilyOf returns the first of the families of which a header block has any header; the last if it has none.
func FamilyOf(header source.Header, families ...Family) Family {
	for _, f := range families {
		for _, name := range [...]string{f.ID, f.Timestamp, f.Signature} {
			if _, present, _ := header.One(name); present {
				return f
			}
		}
	}
	return families[len(families)-1]
}

// Verify checks the time and then the signatures. One that fits suffices.
func (s *Standard) Verify(req *source.Request, now time.Time) error {
	f := FamilyOf(req.Header, s.families...)
	id, err := Only(req.Header, f.ID)
	if err != nil {
		return err
	}
	stamp, err := Only(req.Header, f.Timestamp)
	if err != nil {
		return err
	}
	list, err := Only(req.Header, f.Signature)
	if err != nil {
		return err
	}
	if strings.Contains(id, ".") {
		return Malformed(f.ID, "free of full stops, which separate what is signed")
	}
	if err := Fresh(f.Timestamp, stamp, now, s.tolerance); err != nil {
		return err
	}
	sums, signatures, err := s.entries(f, list)
	if err != nil {
		return err
	}
	prefix := []byte(id + "." + stamp + ".")
	if s.keys.Match(now, prefix, req.Body, sums...) || s.matchPublic(now, prefix, req.Body, signatures) {
		return nil
	}
	return Mismatch(f.Signature)
}

// entries returns the v1 and v1a entries of a signature header, space separated. No entry of either kind is malformed.
func (s *Standard) entries(f Family, list string) (sums, signatures [][]byte, err error) {
	for entry := range strings.SplitSeq(list, " ") {
		version, encoded, _ := strings.Cut(entry, ",")
		switch version {
		case "v1":
			if sum := make([]byte, sha256.Size); len(sums) < maxStandardSums && Base64.Decode(sum, encoded) {
				sums = append(sums, sum)
			}
		case "v1a":
			signature := make([]byte, ed25519.SignatureSize)
			if len(signatures) < maxStandardSignatures && Base64.Decode(signature, encoded) {
				signatures = append(signatures, signature)
			}
		}
	}
	if len(sums)+len(signatures) == 0 {
		return nil, nil, Malformed(f.Signature, "a list of v1 or v1a entries in base64")
	}
	return sums, signatures, nil
}

// matchPublic says whether one of the v1a signatures is that of prefix and body under a public key that is accepted now.
// Nothing here is secret, so nothing needs constant time.
func (s *Standard) matchPublic(now time.Time, prefix, body []byte, signatures [][]byte) bool {
	if len(s.public) == 0 || len(signatures) == 0 {
		return false
	}
	text := append(prefix[:len(prefix):len(prefix)], body...)
	matched := false
	for _, p := range s.public {
		for _, signature := range signatures {
			fits := ed25519.Verify(p.key, text, signature)
			matched = matched || fits && p.secret.ValidAt(now)
		}
	}
	return matched
}

// Sign adds the time, a v1 signature under the first symmetric secret, and a v1a signature under the first private key;
// the header must hold the family's ID already. With public keys alone it is an error, for they only verify.
func (s *Standard) Sign(header source.Header, body []byte, now time.Time) (source.Header, error) {
	f := FamilyOf(header, s.families...)
	id, err := Only(header, f.ID)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	stamp := strconv.FormatInt(now.Unix(), 10)
	prefix := []byte(id + "." + stamp + ".")
	var entries []string
	if len(s.keys.keys) > 0 {
		entries = append(entries, "v1,"+Base64.Encode(s.keys.Sum(prefix, body)))
	}
	if s.private != nil {
		entries = append(entries, "v1a,"+Base64.Encode(ed25519.Sign(s.private, append(prefix, body...))))
	}
	if len(entries) == 0 {
		return nil, errors.New("sign: a public key cannot sign, only its private key (whsk_) can")
	}
	return header.With(f.Timestamp, stamp).With(f.Signature, strings.Join(entries, " ")), nil
}
