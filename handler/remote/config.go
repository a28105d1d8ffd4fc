package remote

import (
	"errors"
	"fmt"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/hooktroupe/hooktroupe/handler"
	"github.com/hooktroupe/hooktroupe/handler/remote/link"
	"github.com/hooktroupe/hooktroupe/internal/clock"
)

// Defaults of a Config.
const (
	DefaultCredits         = 8
	DefaultDrain           = 30 * time.Second
	DefaultMaxMessageBytes = 64 << 20
)

// Config describes a member.
type Config struct {
	// Daemon is the host:port at which the daemon takes members.
	Daemon string
	// Listen is the host:port at which the daemon calls this process; port 0 takes a free one.
	Listen string
	// Advertise is the host:port under which it does. Empty means Listen, which then may not be a wildcard.
	Advertise string
	// Kind is the name under which the daemon's routes call the handler.
	Kind string
	// Credits is how many attempts run at once. Zero means DefaultCredits. The daemon may take fewer.
	Credits int
	// TLS is this process's certificate, its key, and the CA that signs the daemon's.
	TLS link.TLS
	// Insecure waives TLS. It is refused unless every address is a loopback one.
	Insecure bool
	// Handler works the attempts. Required.
	Handler handler.Handler
	// Drain bounds how long Serve waits for running attempts once its context has ended; those that remain are cancelled
	// and given back. Zero means DefaultDrain; below zero it does not wait.
	Drain time.Duration
	// MaxMessageBytes bounds an attempt with its body, as the daemon's setting of that name does. Zero means
	// DefaultMaxMessageBytes.
	MaxMessageBytes int
	// Log is logrus's standard logger if nil.
	Log *logrus.Logger
	// Registered, if set, is called each time the daemon has confirmed the registration. It must not block.
	Registered func()

	clock clock.Clock
}

// withDefaults returns c with what is zero filled in.
func (c Config) withDefaults() Config {
	if c.Credits == 0 {
		c.Credits = DefaultCredits
	}
	if c.Drain == 0 {
		c.Drain = DefaultDrain
	}
	if c.MaxMessageBytes == 0 {
		c.MaxMessageBytes = DefaultMaxMessageBytes
	}
	if c.Log == nil {
		c.Log = logrus.StandardLogger()
	}
	if c.Registered == nil {
		c.Registered = func() {}
	}
	c.clock = clock.Real{}
	return c
}

func (c Config) validate() error {
	switch {
	case c.Handler == nil:
		return errors.New("handler/remote: no handler")
	case c.Kind == "":
		return errors.New("handler/remote: no kind")
	case c.Credits < 0 || c.MaxMessageBytes < 0:
		return errors.New("handler/remote: a negative bound")
	}
	if err := link.CheckAddress(c.Daemon, c.Insecure); err != nil {
		return fmt.Errorf("handler/remote: daemon: %w", err)
	}
	return nil
}
