package auth

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
)

const (
	// tokenPrefix begins every token that NewToken makes, so that scanners for leaked secrets can tell it.
	tokenPrefix = "htk_"
	// tokenBytes is how much of a token is random.
	tokenBytes = 32
	// hashPrefix names the function that made a hash.
	hashPrefix = "sha256:"
)

// NewToken makes a token of 256 bits that random yields. The error is that of random.
func NewToken(random io.Reader) (string, error) {
	secret := make([]byte, tokenBytes)
	if _, err := io.ReadFull(random, secret); err != nil {
		return "", fmt.Errorf("no randomness for a token: %w", err)
	}
	return tokenPrefix + base64.RawURLEncoding.EncodeToString(secret), nil
}

// Hash is what the configuration keeps of a token: sha256: and 64 hex digits. A token of NewToken cannot be guessed from
// it.
func Hash(token string) string {
	digest := sha256.Sum256([]byte(token))
	return hashPrefix + hex.EncodeToString(digest[:])
}

// errHash does not repeat what it is about: it may be a token that somebody took for its hash.
var errHash = errors.New("not sha256: and 64 hex digits, as hooktroupe token prints them")

// Key opens the API to who bears the token whose digest it holds.
type Key struct {
	// Principal is who that is.
	Principal Principal
	// Digest is the SHA-256 of the token.
	Digest [sha256.Size]byte
}

// ParseKey reads a key as the configuration has it. An error does not repeat the hash.
func ParseKey(name, hash, scope string) (Key, error) {
	text, ok := strings.CutPrefix(hash, hashPrefix)
	digest, err := hex.DecodeString(text)
	if !ok || err != nil || len(digest) != sha256.Size {
		return Key{}, errHash
	}
	granted, err := ParseScope(scope)
	if err != nil {
		return Key{}, fmt.Errorf("scope: %w", err)
	}
	return Key{Principal: Principal{Name: name, Scope: granted}, Digest: [sha256.Size]byte(digest)}, nil
}

// Keyring is every key there is. It is read-only.
type Keyring []Key

// Find says who bears a token. It compares with every key, in constant time.
func (k Keyring) Find(token []byte) (Principal, bool) {
	digest := sha256.Sum256(token)
	found := -1
	for i := range k {
		if subtle.ConstantTimeCompare(digest[:], k[i].Digest[:]) == 1 {
			found = i
		}
	}
	if found < 0 {
		return Principal{}, false
	}
	return k[found].Principal, true
}
