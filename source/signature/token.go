package signature

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"strings"
	"time"

	"github.com/hooktroupe/hooktroupe/source"
)

// Tokens are secrets that are sent as they are. They are held and compared as digests, so that a token of any length
// costs the same.
type Tokens struct {
	tokens []token
}

// token is a secret with its digest, made once.
type token struct {
	secret source.Secret
	digest [sha256.Size]byte
}

// NewTokens returns the secrets as tokens.
func NewTokens(secrets []source.Secret) *Tokens {
	t := new(Tokens)
	for _, s := range secrets {
		t.tokens = append(t.tokens, token{secret: s, digest: sha256.Sum256(s.Value)})
	}
	return t
}

// Match says whether text is one of the tokens that are accepted at that time. It compares with all of them.
func (t *Tokens) Match(now time.Time, text string) bool {
	sum := sha256.Sum256([]byte(text))
	matched := 0
	for i := range t.tokens {
		accepted := 0
		if t.tokens[i].secret.ValidAt(now) {
			accepted = 1
		}
		matched |= accepted & subtle.ConstantTimeCompare(t.tokens[i].digest[:], sum[:])
	}
	return matched == 1
}

// first is the token that Sign uses.
func (t *Tokens) first() string { return string(t.tokens[0].secret.Value) }

// Token is the scheme of a sender that puts the secret itself into a header. It proves nothing of the body.
type Token struct {
	header string
	tokens *Tokens
}

// NewToken returns the scheme for a token in that header.
func NewToken(header string, secrets []source.Secret) *Token {
	return &Token{header: header, tokens: NewTokens(secrets)}
}

// Verify compares the header with the secrets.
func (t *Token) Verify(req *source.Request, now time.Time) error {
	value, err := Only(req.Header, t.header)
	if err != nil {
		return err
	}
	if !t.tokens.Match(now, value) {
		return Mismatch(t.header)
	}
	return nil
}

// Sign adds the first secret.
func (t *Token) Sign(header source.Header, _ []byte, _ time.Time) (source.Header, error) {
	return header.With(t.header, t.tokens.first()), nil
}

// authorization is the header of basic and bearer credentials.
const authorization = "Authorization"

// Bearer is the scheme of a sender that sends the secret as a bearer token.
type Bearer struct {
	tokens *Tokens
}

// NewBearer returns the scheme for those tokens.
func NewBearer(secrets []source.Secret) *Bearer { return &Bearer{NewTokens(secrets)} }

// Verify compares the credentials with the secrets.
func (b *Bearer) Verify(req *source.Request, now time.Time) error {
	value, err := credentials(req.Header, "Bearer")
	if err != nil {
		return err
	}
	if !b.tokens.Match(now, value) {
		return Mismatch(authorization)
	}
	return nil
}

// Sign adds the first secret.
func (b *Bearer) Sign(header source.Header, _ []byte, _ time.Time) (source.Header, error) {
	return header.With(authorization, "Bearer "+b.tokens.first()), nil
}

// Basic is the scheme of a sender that uses basic authentication: one user, the secrets are the passwords.
type Basic struct {
	username string
	digest   [sha256.Size]byte
	tokens   *Tokens
}

// NewBasic returns the scheme for that user, whose name holds no colon.
func NewBasic(username string, passwords []source.Secret) *Basic {
	return &Basic{username: username, digest: sha256.Sum256([]byte(username)), tokens: NewTokens(passwords)}
}

// Verify compares user and password, both of them whatever the first says.
func (b *Basic) Verify(req *source.Request, now time.Time) error {
	const want = "Basic and base64 of user:password"
	value, err := credentials(req.Header, "Basic")
	if err != nil {
		return err
	}
	plain, err := base64.StdEncoding.Strict().DecodeString(value)
	if err != nil || strings.ContainsAny(value, "\r\n") {
		return Malformed(authorization, want)
	}
	user, password, ok := strings.Cut(string(plain), ":")
	if !ok {
		return Malformed(authorization, want)
	}
	sum := sha256.Sum256([]byte(user))
	sameUser := subtle.ConstantTimeCompare(sum[:], b.digest[:]) == 1
	samePassword := b.tokens.Match(now, password)
	if !sameUser || !samePassword {
		return Mismatch(authorization)
	}
	return nil
}

// Sign adds the user with the first secret.
func (b *Basic) Sign(header source.Header, _ []byte, _ time.Time) (source.Header, error) {
	plain := b.username + ":" + b.tokens.first()
	return header.With(authorization, "Basic "+base64.StdEncoding.EncodeToString([]byte(plain))), nil
}

// credentials returns what follows the name of the scheme, which is read in any letter case, and one space.
func credentials(header source.Header, scheme string) (string, error) {
	value, err := Only(header, authorization)
	if err != nil {
		return "", err
	}
	name, rest, ok := strings.Cut(value, " ")
	if !ok || !strings.EqualFold(name, scheme) || rest == "" {
		return "", Malformed(authorization, scheme+" credentials")
	}
	return rest, nil
}
