package daemon

import (
	"errors"
	"fmt"

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
