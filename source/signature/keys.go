package signature

import (
	"crypto"
	"crypto/hmac"
	"crypto/subtle"
	"hash"
	"sync"
	"time"

	"github.com/hooktroupe/hooktroupe/source"
)

// maxSum is the size of the longest sum, that of SHA-512.
const maxSum = 64

// Keys are the HMAC keys of one source. They may be used from many goroutines at once.
type Keys struct {
	size int
	keys []*key
}

// key is one secret with a pool of keyed states: keying costs two blocks of the hash, resetting nothing.
type key struct {
	secret source.Secret
	states sync.Pool // of *state
}

type state struct {
	mac hash.Hash
	sum [maxSum]byte
}

// NewKeys makes keys of the secrets' bytes as they are. The hash must be linked into the program.
func NewKeys(hash crypto.Hash, secrets []source.Secret) *Keys {
	k := &Keys{size: hash.Size()}
	for _, secret := range secrets {
		made := &key{secret: secret}
		made.states.New = func() any { return &state{mac: hmac.New(hash.New, secret.Value)} }
		k.keys = append(k.keys, made)
	}
	return k
}

// Size is the length of a sum, in bytes.
func (k *Keys) Size() int { return k.size }

// Match says whether one of the sums is that of prefix and body under a key that is accepted at that time. Its duration
// depends on the number of keys and sums and on the length of the text only.
func (k *Keys) Match(now time.Time, prefix, body []byte, sums ...[]byte) bool {
	matched := 0
	for _, key := range k.keys {
		s := key.states.Get().(*state)
		expected := s.compute(prefix, body)
		accepted := 0
		if key.secret.ValidAt(now) {
			accepted = 1
		}
		for _, sum := range sums {
			matched |= accepted & subtle.ConstantTimeCompare(expected, sum)
		}
		key.states.Put(s)
	}
	return matched == 1
}

// Sum returns the sum of prefix and body under the first key.
func (k *Keys) Sum(prefix, body []byte) []byte {
	first := k.keys[0]
	s := first.states.Get().(*state)
	defer first.states.Put(s)
	return append([]byte(nil), s.compute(prefix, body)...)
}

// compute returns the sum in the state's own array: it is valid until the state goes back to its pool.
func (s *state) compute(prefix, body []byte) []byte {
	s.mac.Reset()
	s.mac.Write(prefix)
	s.mac.Write(body)
	return s.mac.Sum(s.sum[:0])
}
