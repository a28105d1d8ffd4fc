package daemon

import (
	"errors"
	"fmt"
	"slices"

	"github.com/sirupsen/logrus"

	"github.com/hooktroupe/hooktroupe/internal/logfield"
)

// cleanup is what has to be undone, the last first.
type cleanup struct {
	steps []step
}

type step struct {
	name string
	undo func() error
}

func (c *cleanup) push(name string, undo func() error) {
	c.steps = append(c.steps, step{name: name, undo: undo})
}

// pushBelow is push for what others need that were there before it: it is undone after the step of that name, if there
// is one.
func (c *cleanup) pushBelow(above, name string, undo func() error) {
	at := slices.IndexFunc(c.steps, func(s step) bool { return s.name == above })
	if at < 0 {
		at = len(c.steps)
	}
	c.steps = slices.Insert(c.steps, at, step{name: name, undo: undo})
}

// run undoes everything, whatever fails on the way, and returns all errors.
func (c *cleanup) run(log logrus.FieldLogger) error {
	var errs []error
	for len(c.steps) > 0 {
		last := c.steps[len(c.steps)-1]
		c.steps = c.steps[:len(c.steps)-1]
		log.WithField(logfield.Component, last.name).Debug("stopping")
		if err := last.undo(); err != nil {
			errs = append(errs, fmt.Errorf("stop %s: %w", last.name, err))
		}
	}
	return errors.Join(errs...)
}
