package daemon

import (
	"errors"

	"github.com/sirupsen/logrus"

	"github.com/hooktroupe/hooktroupe/config"
	"github.com/hooktroupe/hooktroupe/http/ingress"
	"github.com/hooktroupe/hooktroupe/internal/clock"
	"github.com/hooktroupe/hooktroupe/metrics"
)

// Check builds everything that a configuration describes, starts nothing, and says what fails: what only the parts
// themselves can judge, such as a program that does not exist or a certificate that cannot be read.
func Check(cfg *config.Config) error {
	log := logrus.New()
	log.SetLevel(logrus.PanicLevel)
	d := &daemon{config: cfg, options: Options{Logger: log}, clock: clock.Real{}, log: log, metrics: metrics.New()}
	routing, handlersErr := d.routing(nil)
	if handlersErr == nil {
		routing.close(nil)
	}
	entries, sourcesErr := d.sources()
	c := d.httpConfig()
	httpErr := c.Validate()
	var tableErr error
	if httpErr == nil && sourcesErr == nil {
		_, tableErr = ingress.NewTable(c.Ingress(), entries)
	}
	actorsErr := d.actorsConfig().WithDefaults().Validate()
	walErr := d.walConfig().WithDefaults().Validate()
	return errors.Join(handlersErr, sourcesErr, httpErr, tableErr, actorsErr, walErr, d.cleanup.run(log))
}
