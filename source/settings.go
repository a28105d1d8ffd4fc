package source

import (
	"errors"
	"fmt"
	"time"
)

// DefaultTolerance is the age up to which a signed time stamp is accepted, either way, unless Config says otherwise.
const DefaultTolerance = 5 * time.Minute

// MaxTolerance bounds Config.Tolerance: a longer one would make the time stamp prove nothing.
const MaxTolerance = 24 * time.Hour

// Uses says which of the optional fields of Config a type of source honours. The secrets, Insecure and Name are
// honoured by all.
type Uses struct {
	Username  bool
	Header    bool
	Tolerance bool
	Generic   bool
}

// Check reports what is wrong with the configuration of a type that honours only those fields. It fails closed: a source
// needs a secret or a spelled-out Insecure, and never both. Every error names its key, and all are reported at once.
func (c Config) Check(uses Uses) error {
	if c.Name == "" {
		return errors.New("sources: a source needs a name")
	}
	return errors.Join(c.checkSecrets(), c.checkUses(uses))
}

// checkSecrets stops at its first finding: the later ones would follow from it.
func (c Config) checkSecrets() error {
	switch {
	case len(c.Secrets) == 0 && !c.Insecure:
		return c.Errorf("secrets", "at least one is needed; to accept unverified requests, say insecure: true")
	case len(c.Secrets) > 0 && c.Insecure:
		return c.Errorf("insecure", "true goes with no secret: remove one or the other")
	}
	for i, s := range c.Secrets {
		key := fmt.Sprintf("secrets[%d]", i)
		if len(s.Value) == 0 {
			return c.Errorf(key, "is empty")
		}
		if !s.NotAfter.IsZero() && !s.NotAfter.After(s.NotBefore) {
			return c.Errorf(key, "not_after is not after not_before: it would never be accepted")
		}
	}
	return nil
}

// checkUses reports each field that is set in vain, or out of its bounds.
func (c Config) checkUses(uses Uses) error {
	var errs []error
	if c.Username != "" && !uses.Username {
		errs = append(errs, c.Errorf("username", "is not used by type %s", c.Type))
	}
	if c.Header != "" && !uses.Header {
		errs = append(errs, c.Errorf("header", "is not used by type %s", c.Type))
	}
	if c.Tolerance != 0 && !uses.Tolerance {
		errs = append(errs, c.Errorf("tolerance", "type %s signs no time stamp", c.Type))
	}
	if c.Tolerance < 0 || c.Tolerance > MaxTolerance {
		errs = append(errs, c.Errorf("tolerance", "%s is not between 0 and %s", c.Tolerance, MaxTolerance))
	}
	if c.Generic != nil && !uses.Generic {
		errs = append(errs, c.Errorf("generic", "is only for type generic"))
	}
	return errors.Join(errs...)
}

// Errorf makes an error that begins with the full name of a key of this source: sources.NAME.key.
func (c Config) Errorf(key, format string, args ...any) error {
	return fmt.Errorf("sources.%s.%s: %w", c.Name, key, fmt.Errorf(format, args...))
}

// Window is Tolerance, or DefaultTolerance when that is zero.
func (c Config) Window() time.Duration {
	if c.Tolerance == 0 {
		return DefaultTolerance
	}
	return c.Tolerance
}
