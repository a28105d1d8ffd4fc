package source

import "time"

// Config describes one configured source to its constructor. Fields that a type does not use must be zero; a constructor
// refuses what it does not know how to honour.
type Config struct {
	// Name is the configured name, and the last segment of /webhooks/{source}.
	Name string
	// Type names the constructor: github, gitlab, azure_devops, bitbucket_server, generic …
	Type string
	// Secrets are tried in order: several during a rotation. At least one, unless Insecure.
	Secrets []Secret
	// Insecure accepts every request unverified. It must be said in so many words and goes with no secret.
	Insecure bool
	// Username is the user of basic authentication, for types that use it; the secrets are the passwords.
	Username string
	// Header names the header that holds the secret as it is, for types whose sender lets its users name one.
	Header string
	// Tolerance bounds the age of a signed time stamp, either way. Zero means the sender's usual 5 minutes.
	Tolerance time.Duration
	// Generic describes the verification of a type generic source, and is nil for all others.
	Generic *Generic
}

// Secret is a key, a token or a password. It prints as ***.
type Secret struct {
	// Value is the secret itself, never empty.
	Value []byte
	// NotBefore and NotAfter bound when it is accepted, for rotation; zero means no bound.
	NotBefore, NotAfter time.Time
}

// String hides the value.
func (Secret) String() string { return "***" }

// GoString hides the value.
func (Secret) GoString() string { return "***" }

// MarshalText hides the value from encoders.
func (Secret) MarshalText() ([]byte, error) { return []byte("***"), nil }

// ValidAt says whether the secret is accepted at that time.
func (s Secret) ValidAt(now time.Time) bool {
	return (s.NotBefore.IsZero() || !now.Before(s.NotBefore)) && (s.NotAfter.IsZero() || now.Before(s.NotAfter))
}

// Generic describes a sender that has no package of its own.
type Generic struct {
	// Scheme is hmac, token, basic or bearer.
	Scheme string
	// Header holds the signature (hmac) or the token (token).
	Header string
	// Algorithm of hmac: sha256 (default), sha1, sha384 or sha512.
	Algorithm string
	// Encoding of the signature: hex (default) or base64.
	Encoding string
	// Prefix comes before the signature, such as sha256=; empty for none.
	Prefix string
	// EventHeader and EventPath say where the event type is: a header, or a dotted path into a JSON body. The header
	// wins; with neither, or neither present, the event type is "event".
	EventHeader, EventPath string
	// IDHeader and IDPath say where the delivery ID is, in the same way; with neither, it is the SHA-256 of the body.
	IDHeader, IDPath string
	// KeyPath is a dotted path to the ordering key in a JSON body; empty for none.
	KeyPath string
}

// Constructor makes a Source from its configuration. An error names the configuration key at fault.
type Constructor func(Config) (Source, error)
