package daemon

import (
	"maps"
	"slices"
	"time"

	"github.com/hooktroupe/hooktroupe/handler/remote/hub"
	"github.com/hooktroupe/hooktroupe/handler/remote/link"
	"github.com/hooktroupe/hooktroupe/http/status"
)

// remoteHub makes the hub of handlers in other processes, once. It listens after recovery.
func (d *daemon) remoteHub() (err error) {
	if d.hub != nil {
		return nil
	}
	r := d.config.Remote
	d.hub, err = hub.New(hub.Config{
		Listen: r.Listen, Advertise: r.Advertise, TLS: link.TLS{CA: r.TLS.CA, Cert: r.TLS.Cert, Key: r.TLS.Key},
		Insecure: r.Insecure, AllowedKinds: d.kinds(), Clock: d.clock, Log: d.log,
	})
	return err
}

// kinds are those that handlers of other processes may register.
func (d *daemon) kinds() []string {
	kinds := make(map[string]struct{})
	for _, h := range d.config.Handlers {
		if h.Type == "remote" {
			kinds[h.Kind] = struct{}{}
		}
	}
	return slices.Sorted(maps.Keys(kinds))
}

// startHub lets handlers of other processes register, if any are configured.
func (d *daemon) startHub() error {
	if d.hub == nil {
		return nil
	}
	if err := d.hub.Start(); err != nil {
		return err
	}
	started := d.hub
	d.cleanup.pushBelow("actors", "remote handlers", func() error { started.Stop(); return nil })
	return nil
}

// members are the registered handlers of a kind, as the API shows them.
func members(h *hub.Hub, kind string) []status.Member {
	var found []status.Member
	for _, m := range h.Members() {
		if m.Kind == kind {
			found = append(found, status.Member{
				Address: m.Address, Identity: m.Identity, Credits: m.Credits, Running: m.Running, Draining: m.Draining,
				Since: m.Since.UTC().Format(time.RFC3339Nano), Heard: m.Heard.UTC().Format(time.RFC3339Nano),
			})
		}
	}
	return found
}
