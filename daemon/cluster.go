package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/hooktroupe/hooktroupe/actors"
	"github.com/hooktroupe/hooktroupe/cluster"
	"github.com/hooktroupe/hooktroupe/cluster/peers"
	leases "github.com/hooktroupe/hooktroupe/cluster/postgres"
	"github.com/hooktroupe/hooktroupe/handler/remote/link"
	"github.com/hooktroupe/hooktroupe/http/status"
	"github.com/hooktroupe/hooktroupe/internal/clock"
	"github.com/hooktroupe/hooktroupe/internal/logfield"
	"github.com/hooktroupe/hooktroupe/internal/logging"
	"github.com/hooktroupe/hooktroupe/journal/postgres"
	"github.com/hooktroupe/hooktroupe/metrics"
)

const (
	// storeRetry is the wait before a store that did not answer at the start is tried again.
	storeRetry = time.Second
	// sweepEvery is how often one member looks for what the store may give back.
	sweepEvery = time.Minute
)

// startMember starts the daemon as a member of a cluster: the state is in the store that all members share, and shards of it are
// worked here as long as their leases are held.
func (d *daemon) startMember(ctx context.Context) error {
	store, err := d.openStore(ctx)
	if err != nil {
		return err
	}
	d.cleanup.push("store", func() error { store.Close(); return nil })
	c := d.config.Cluster
	sessions, err := leases.Open(ctx, leases.Config{URL: c.Store, Timeout: time.Duration(c.Lease) / 3})
	if err != nil {
		return fmt.Errorf("cluster.store: %w", err)
	}
	d.cleanup.push("leases", func() error { sessions.Close(); return nil })
	f := d.front
	f.log, f.shards = shardLog{store}, store.Shards()
	if err := d.openPeers(); err != nil {
		return err
	}
	if err := d.startMemberTroupe(); err != nil {
		return err
	}
	f.node, err = cluster.NewNode(cluster.Config{
		Name: memberName(c.Name), Address: f.peers.Address(), Version: d.options.Version, Shards: f.shards,
		TTL: time.Duration(c.Lease), HandOver: time.Duration(c.HandOver),
	}, timedStore{sessions, d.clock, &d.metrics.Cluster}, shardOwner{d.troupe}, cluster.WithLog(d.log), cluster.WithTell(f.peers.TellLook))
	if err != nil {
		return err
	}
	d.gate.open(d.troupe)
	close(f.joined)
	d.metrics.Cluster.WatchStats(d.clusterStats)
	f.node.Start()
	d.cleanup.push("cluster", d.leaveCluster)
	d.sweep(store)
	return nil
}

// memberName is that of the configuration, or the host's.
func memberName(name string) string {
	if name == "" {
		name, _ = os.Hostname() // without one, the name is refused
	}
	return name
}

// openStore prepares and opens the store. While it does not answer, it is tried again: the member is not ready until then.
func (d *daemon) openStore(ctx context.Context) (*postgres.Store, error) {
	c := d.config.Cluster
	config := postgres.Config{URL: c.Store, Shards: c.Shards, MaxConns: c.MaxConns}
	for {
		err := postgres.Migrate(ctx, config)
		if err == nil {
			var store *postgres.Store
			if store, err = postgres.Open(ctx, config); err == nil {
				return store, nil
			}
		}
		if !errors.Is(err, postgres.ErrUnavailable) {
			return nil, fmt.Errorf("cluster.store: %w", err)
		}
		d.readiness.explain("the store does not answer", nil)
		d.log.WithField(logfield.Error, err.Error()).Warn("the store does not answer; it is tried again")
		if !d.front.pause(ctx, storeRetry) {
			return nil, ctx.Err()
		}
	}
}

// openPeers takes and makes connections of members.
func (d *daemon) openPeers() error {
	c, f := d.config.Cluster, d.front
	opened, err := peers.Open(peers.Config{
		Listen: c.Listen, Advertise: c.Advertise, Insecure: c.Insecure,
		TLS:    link.TLS{CA: c.TLS.CA, Cert: c.TLS.Cert, Key: c.TLS.Key},
		Answer: f.answerMember,
		Stored: func(shards []int) {
			if t := d.gate.troupe.Load(); t != nil {
				t.ShardsHaveNews(shards)
			}
		},
		Look: func() {
			if n := f.member(); n != nil {
				n.Look()
			}
		},
		Clock: d.clock, Log: d.log,
	})
	if err != nil {
		return err
	}
	f.peers = opened
	d.cleanup.push("members", func() error { opened.Close(); return nil })
	return nil
}

// startMemberTroupe starts the actors, without a shard.
func (d *daemon) startMemberTroupe() (err error) {
	f, routing := d.front, d.gate.routing.Load()
	membership := &actors.Membership{
		Log: f.log, Shards: f.shards,
		Valid: func(shard int, generation int64) bool {
			held, ok := f.member().Generation(shard)
			return ok && held == generation
		},
		Fenced: func(shard int, generation int64) {
			d.metrics.Cluster.StaleWrites.Inc()
			d.troupe.LeaveShard(shard, generation, false, func() {})
			f.member().Look()
		},
		Stored: f.tellOwners,
	}
	d.troupe, err = actors.Start(d.actorsConfig(), actors.Deps{
		Membership: membership, Handlers: routing, Routes: routing.routes, HandlerActors: d.handlerActors(),
		Metrics: d.metrics, Tracer: d.tracer, Clock: d.clock, Logger: logging.Bridge(d.log, "protoactor"),
		Observe: observer(d.log), Watch: watcher(f.own, d.changes),
	}, actors.NewState())
	if err == nil {
		d.cleanup.push("actors", func() error { return d.troupe.Stop() })
	}
	return err
}

// leaveCluster gives the shards away, once what runs has ended or the time is up. Meanwhile, and for as long as load balancers
// need to see that this member leaves, deliveries are taken: whoever owns their shards finds them in the store. What is in flight
// then is answered before anything else ends.
func (d *daemon) leaveCluster() error {
	ctx, cancel := context.WithTimeout(context.Background(), d.stopTimeout())
	defer cancel()
	if d.readiness.failed() {
		cancel() // nothing more may be confirmed
	}
	var draining sync.WaitGroup
	draining.Go(d.drain)
	if err := d.front.node.Stop(ctx); err != nil {
		d.log.WithError(err).Warn("not all shards were handed over in order; their tasks run again elsewhere")
	}
	draining.Wait()
	return d.closeListeners()
}

// sweep has the store give back what nobody needs, again and again, where this member owns the first shard.
func (d *daemon) sweep(store *postgres.Store) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		for d.front.pause(ctx, sweepEvery) {
			if !d.front.node.Valid(0) {
				continue
			}
			if _, err := store.Sweep(ctx, time.Duration(d.inForce.Load().CleanupAge)); err != nil && ctx.Err() == nil {
				d.metrics.Journal.Errors.With("compact").Inc()
				d.log.WithField(logfield.Error, err.Error()).Warn("the store was not swept; it is tried again")
			}
		}
	})
	d.cleanup.push("sweeping", func() error { cancel(); running.Wait(); return nil })
}

// shardOwner is cluster.Owner: the actors' side.
type shardOwner struct{ troupe *actors.Troupe }

// Take is cluster.Owner.
func (o shardOwner) Take(l cluster.Lease) { o.troupe.TakeShard(l.Shard, l.Generation) }

// Drop is cluster.Owner.
func (o shardOwner) Drop(shard int, generation int64, reason cluster.Reason, drained func()) {
	o.troupe.LeaveShard(shard, generation, !reason.Forced(), drained)
}

// member is this member once it has joined; nil before.
func (f *front) member() *cluster.Node {
	select {
	case <-f.joined:
		return f.node
	default:
		return nil
	}
}

// tellOwners tells other members that there is something new in the logs of their shards.
func (f *front) tellOwners(shards []int) {
	n := f.member()
	if n == nil {
		return
	}
	byAddress := make(map[string][]int)
	for _, s := range shards {
		if _, address, owned := n.Owner(s); owned && address != f.peers.Address() {
			byAddress[address] = append(byAddress[address], s)
		}
	}
	for address, theirs := range byAddress {
		f.peers.Tell(address, theirs)
	}
}

// ready is status.Health.Ready of a member.
func (f *front) ready(own status.Readiness) status.Readiness {
	n := f.member()
	if !own.Ready || n == nil {
		return own
	}
	if err := n.Ready(); err != nil {
		return status.Readiness{Reason: publicReason(err), Details: own.Details}
	}
	return own
}

// publicReason is an error of a member as anybody may read it: not what the database's driver says, which the log has.
func publicReason(err error) string {
	if errors.Is(err, cluster.ErrUnavailable) {
		return cluster.ErrUnavailable.Error()
	}
	return err.Error()
}

// timedStore measures how long the store of leases takes to answer.
type timedStore struct {
	cluster.Store
	clock  clock.Clock
	counts *metrics.Cluster
}

// Sync is cluster.Store.
func (s timedStore) Sync(ctx context.Context, r cluster.Request) (cluster.Answer, error) {
	started := s.clock.Now()
	a, err := s.Store.Sync(ctx, r)
	s.counts.StoreSeconds.Observe(s.clock.Now().Sub(started).Seconds())
	return a, err
}
