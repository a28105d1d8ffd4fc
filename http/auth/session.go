package auth

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/hooktroupe/hooktroupe/internal/clock"
)

const (
	// SessionLife is how long a session lasts at most.
	SessionLife = 12 * time.Hour
	// SessionIdle is how long it lasts without a request.
	SessionIdle = 2 * time.Hour
	// maxSessions bounds those that are open; one more closes the one that was used longest ago.
	maxSessions = 1000
)

// Sessions are browsers that have shown a token once and bear a cookie since. They live in memory: a restart closes all.
// What a browser bears is random and worth nothing to who reads this memory, which holds its hash. It is safe for use by
// many goroutines.
type Sessions struct {
	clock  clock.Clock
	random io.Reader

	mu   sync.Mutex // guards open
	open map[[sha256.Size]byte]*session
}

type session struct {
	who          Principal
	opened, used time.Time
}

// NewSessions returns a Sessions without any. random is where their secrets come from.
func NewSessions(c clock.Clock, random io.Reader) *Sessions {
	return &Sessions{clock: c, random: random, open: make(map[[sha256.Size]byte]*session)}
}

// Open begins a session of somebody and returns its secret, of 256 bits. The error is that of the randomness.
func (s *Sessions) Open(who Principal) (secret string, err error) {
	random := make([]byte, tokenBytes)
	if _, err := io.ReadFull(s.random, random); err != nil {
		return "", fmt.Errorf("no randomness for a session: %w", err)
	}
	secret = base64.RawURLEncoding.EncodeToString(random)
	now := s.clock.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.open) >= maxSessions {
		s.makeRoom(now)
	}
	s.open[sha256.Sum256([]byte(secret))] = &session{who: who, opened: now, used: now}
	return secret, nil
}

// Find says whose session a secret is of, and when it ends at the latest. It counts as a use.
func (s *Sessions) Find(secret []byte) (who Principal, ends time.Time, ok bool) {
	key, now := sha256.Sum256(secret), s.clock.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.open[key]
	switch {
	case found == nil:
		return Principal{}, time.Time{}, false
	case found.over(now):
		delete(s.open, key)
		return Principal{}, time.Time{}, false
	}
	found.used = now
	return found.who, found.opened.Add(SessionLife), true
}

// Close ends the session of a secret, if there is one.
func (s *Sessions) Close(secret []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, sha256.Sum256(secret))
}

// CloseAll ends every session.
func (s *Sessions) CloseAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.open)
}

func (s *session) over(now time.Time) bool {
	return now.Sub(s.opened) >= SessionLife || now.Sub(s.used) >= SessionIdle
}

// makeRoom closes those that are over; where there are none, the one that was used longest ago.
func (s *Sessions) makeRoom(now time.Time) {
	var oldest [sha256.Size]byte
	var used time.Time
	for key, open := range s.open {
		if open.over(now) {
			delete(s.open, key)
		} else if used.IsZero() || open.used.Before(used) {
			oldest, used = key, open.used
		}
	}
	if len(s.open) >= maxSessions {
		delete(s.open, oldest)
	}
}
