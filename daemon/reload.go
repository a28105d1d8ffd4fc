package daemon

import (
	"reflect"

	"github.com/hooktroupe/hooktroupe/config"
	"github.com/hooktroupe/hooktroupe/http/ingress"
)

// reload takes over the sources of a configuration, all or none: their secrets, paths, allow lists and bounds hold for
// every request that begins afterwards. What is waiting, running or remembered stays as it is, duplicates included.
// Everything else of the configuration holds from the next start on, which is said where it differs.
func (d *daemon) reload(cfg *config.Config) {
	next := &daemon{config: cfg, options: d.options, clock: d.clock, log: d.log, metrics: d.metrics}
	entries, err := next.sources()
	var table *ingress.Table
	if err == nil {
		c := next.httpConfig()
		table, err = ingress.NewTable(c.Ingress(), entries)
	}
	if err != nil {
		d.log.WithError(err).Error("the configuration was not reloaded; the one before holds")
		return
	}
	d.ingress.SetTable(table)
	before, after := *d.config, *cfg
	before.Sources, after.Sources = nil, nil
	if !reflect.DeepEqual(before, after) {
		d.log.Warn("more than sources differs in the configuration: that holds from the next start on")
	}
	d.log.WithField("sources", len(entries)).Info("sources reloaded")
}
