package hub

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/hooktroupe/hooktroupe/handler/remote/link"
	"github.com/hooktroupe/hooktroupe/internal/clock"
)

// Defaults and bounds of a Config.
const (
	DefaultSilence         = 15 * time.Second
	DefaultPatience        = 10 * time.Second
	DefaultMaxMembers      = 256
	DefaultMaxCredits      = 256
	DefaultMaxMessageBytes = 64 << 20
	minSilence             = 100 * time.Millisecond
)

// Config is for the operator.
type Config struct {
	// Listen is the host:port at which members register; port 0 takes a free one.
	Listen string
	// Advertise is the host:port under which members call this daemon. Empty means Listen, which then may not be a wildcard.
	Advertise string
	// TLS is the daemon's certificate, its key, and the CA that signs those of members.
	TLS link.TLS
	// Insecure waives TLS. It is refused unless every address, those of members included, is a loopback one.
	Insecure bool
	// AllowedKinds are the kinds that members may register, until Hub.Allow says otherwise; at least one.
	AllowedKinds []string
	// Silence is how long a member may not be heard of before it is taken for dead. Zero means DefaultSilence; no less than
	// a tenth of a second.
	Silence time.Duration
	// Patience is how long an attempt waits for a first member of its kind, so that members find back to a daemon that has
	// just started. Zero means DefaultPatience; below zero none.
	Patience time.Duration
	// MaxMembers bounds how many are registered. Zero means DefaultMaxMembers.
	MaxMembers int
	// MaxCredits bounds what one member may offer; more is cut. Zero means DefaultMaxCredits.
	MaxCredits int
	// MaxMessageBytes bounds an attempt as it is sent, with body and headers; a task above it is discarded. Members must
	// accept as much. Zero means DefaultMaxMessageBytes.
	MaxMessageBytes int
	// Clock is the real one if nil.
	Clock clock.Clock
	// Log is logrus's standard logger if nil.
	Log *logrus.Logger
}

// WithDefaults returns c with what is zero filled in.
func (c Config) WithDefaults() Config {
	setDefault(&c.Silence, DefaultSilence)
	setDefault(&c.Patience, DefaultPatience)
	setDefault(&c.MaxMembers, DefaultMaxMembers)
	setDefault(&c.MaxCredits, DefaultMaxCredits)
	setDefault(&c.MaxMessageBytes, DefaultMaxMessageBytes)
	if c.Clock == nil {
		c.Clock = clock.Real{}
	}
	if c.Log == nil {
		c.Log = logrus.StandardLogger()
	}
	return c
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func (c Config) validate() error {
	switch {
	case len(c.AllowedKinds) == 0:
		return errors.New("hub: no kind is allowed")
	case slices.Contains(c.AllowedKinds, ""):
		return errors.New("hub: a kind without a name")
	case c.Silence < minSilence:
		return fmt.Errorf("hub: silence %s is below %s", c.Silence, minSilence)
	case c.MaxMembers < 0 || c.MaxCredits < 0 || c.MaxMessageBytes < 0:
		return errors.New("hub: a negative bound")
	}
	return nil
}
