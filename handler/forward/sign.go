package forward

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/hooktroupe/hooktroupe/handler"
)

// The headers of a Standard Webhooks signature, in the spelling of this package.
const (
	HeaderWebhookID        = "Webhook-Id"
	HeaderWebhookTimestamp = "Webhook-Timestamp"
	HeaderWebhookSignature = "Webhook-Signature"
)

// Sizes of a decoded signing key that Standard Webhooks permits.
const (
	minKeyBytes = 24
	maxKeyBytes = 64
)

// Signer signs as a sender does, such as a forge.
type Signer interface {
	// Sign returns the header block with the signature, for a body and a time.
	Sign(header []handler.Header, body []byte, now time.Time) ([]handler.Header, error)
}

// signAs has the signer sign, if there is one. An error is about this delivery and no later attempt mends it.
func (h *Handler) signAs(block *headerBlock, t *handler.Task) error {
	if h.signer == nil {
		return nil
	}
	var unsigned []handler.Header
	for name, values := range block.header {
		for _, value := range values {
			unsigned = append(unsigned, handler.Header{Name: name, Value: value})
		}
	}
	signed, err := h.signer.Sign(unsigned, t.Body, h.clock.Now())
	if err != nil {
		return err
	}
	fresh := newHeaderBlock(len(signed))
	for _, field := range signed {
		if err := checkHeader(field.Name, field.Value); err != nil {
			return err
		}
		fresh.add(canonical(field.Name), field.Value)
	}
	block.header = fresh.header
	return nil
}

// SigningKey is a symmetric key of Standard Webhooks. It prints as ***.
type SigningKey struct{ raw []byte }

// ParseSigningKey reads a key in its usual form: padded base64 of 24 to 64 bytes, after whsec_ or without it. The error
// quotes nothing of it.
func ParseSigningKey(text string) (SigningKey, error) {
	raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(text, "whsec_"))
	if err != nil {
		return SigningKey{}, errors.New("signing key: not padded base64, with or without whsec_ before it")
	}
	if len(raw) < minKeyBytes || len(raw) > maxKeyBytes {
		return SigningKey{}, errors.New("signing key: not 24 to 64 bytes once decoded")
	}
	return SigningKey{raw}, nil
}

// String hides the key.
func (SigningKey) String() string { return "***" }

// GoString hides the key.
func (SigningKey) GoString() string { return "***" }

// MarshalText hides the key from encoders.
func (SigningKey) MarshalText() ([]byte, error) { return []byte("***"), nil }

// sign adds the signatures, if there are keys. The signed ID is the task's, the same at every attempt, so that a sink
// which tells repetitions by it knows them; the time is the attempt's.
func (h *Handler) sign(block *headerBlock, t *handler.Task) {
	if len(h.keys) == 0 {
		return
	}
	timestamp := strconv.FormatInt(h.clock.Now().Unix(), 10)
	signatures := make([]byte, 0, len(h.keys)*len("v1,47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU= "))
	var sum [sha256.Size]byte
	for i, key := range h.keys {
		if i > 0 {
			signatures = append(signatures, ' ')
		}
		mac := hmac.New(sha256.New, key.raw)
		mac.Write([]byte(t.ID + "." + timestamp + "."))
		mac.Write(t.Body)
		signatures = append(signatures, "v1,"...)
		signatures = base64.StdEncoding.AppendEncode(signatures, mac.Sum(sum[:0]))
	}
	block.set(HeaderWebhookID, t.ID)
	block.set(HeaderWebhookTimestamp, timestamp)
	block.set(HeaderWebhookSignature, string(signatures))
}
