// Package signature holds the ways in which senders prove a request: an HMAC in a header, a token, basic or bearer
// credentials, and the Standard Webhooks form. Senders differ by data, not by code, so a source's package only says
// which scheme it uses and with which header.
//
// Every scheme keeps the same promises. It reads nothing but the raw bytes and the one header it was made for; that
// header, sent twice, is refused. It compares in constant time, tries every secret, and does the same work for a secret
// outside its validity window as for one within. No refusal says anything of a secret or of the signature expected.
package signature

import (
	"time"

	"github.com/hooktroupe/hooktroupe/source"
)

// Scheme proves requests in one way and can sign as the sender does. It has the Verify of source.Source and the Sign of
// source.Signer, so that a source gains both by embedding one.
type Scheme interface {
	Verify(req *source.Request, now time.Time) error
	Sign(header source.Header, body []byte, now time.Time) (source.Header, error)
}

// Open is the scheme of a source that was configured as insecure: it accepts every request and signs nothing.
type Open struct{}

// Verify accepts.
func (Open) Verify(*source.Request, time.Time) error { return nil }

// Sign returns the header as it is.
func (Open) Sign(header source.Header, _ []byte, _ time.Time) (source.Header, error) {
	return header, nil
}

// Only returns the one value of a header that authenticates a request. Absent or empty it is refused as missing, and
// when it came more than once as repeated.
func Only(header source.Header, name string) (string, error) {
	value, _, single := header.One(name)
	switch {
	case !single:
		return "", refuse(source.ReasonRepeated, name+" came more than once")
	case value == "":
		return "", refuse(source.ReasonMissing, "no "+name)
	}
	return value, nil
}

// Mismatch refuses a request whose header fits none of the secrets.
func Mismatch(name string) error {
	return refuse(source.ReasonMismatch, name+" fits none of the secrets")
}

// Malformed refuses a request whose header is not in the form that the sender uses; want describes that form.
func Malformed(name, want string) error {
	return refuse(source.ReasonMalformed, name+" is not "+want)
}

// refuse makes a refusal. The detail names headers and forms, and never repeats what came in one.
func refuse(reason source.RefusalReason, detail string) error {
	return &source.Refusal{Reason: reason, Detail: detail}
}
