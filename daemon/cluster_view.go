package daemon

import (
	"time"

	"github.com/hooktroupe/hooktroupe/cluster"
	"github.com/hooktroupe/hooktroupe/http/status"
	"github.com/hooktroupe/hooktroupe/metrics"
)

// cluster is status.Dependencies.Cluster: what this member knows. It never blocks.
func (d *daemon) cluster() status.Cluster {
	f := d.front
	if f == nil {
		return status.Cluster{}
	}
	n := f.member()
	if n == nil {
		reason := d.readiness.report().Reason
		return status.Cluster{Enabled: true, Self: &status.ClusterSelf{
			Name: memberName(d.inForce.Load().Cluster.Name), Address: d.inForce.Load().Cluster.Advertise, State: "starting", Trouble: &reason,
		}}
	}
	return clusterView(n.View(), d.front.ready(d.readiness.report()), f.peers.Address())
}

// clusterView is a view as the API shows it.
func clusterView(v cluster.View, ready status.Readiness, address string) status.Cluster {
	self := &status.ClusterSelf{
		Name: v.Name, Address: address, State: "lost", Valid: v.ValidFor > 0, ValidFor: v.ValidFor.Seconds(),
		StoreRequests: v.Counts.Requests, StoreFailures: v.Counts.Failures,
	}
	switch {
	case v.Leaving:
		self.State = "leaving"
	case v.Joined:
		self.State = "joined"
	case v.Counts.Sessions <= 1 && v.Answered < 0:
		self.State = "starting"
	}
	if v.Answered >= 0 {
		self.Answered = seconds(v.Answered)
	}
	if !ready.Ready {
		self.Trouble = &ready.Reason
	}
	shown := status.Cluster{Enabled: true, Self: self}
	for _, m := range v.Members {
		shown.Members = append(shown.Members, status.ClusterMember{
			Name: m.Name, Address: m.Address, Version: m.Version, State: memberState(m), Self: m.Self,
			Joined: m.Joined.Seconds(), Heartbeat: m.Seen.Seconds(), Lease: m.Left.Seconds(), Shards: m.Shards,
		})
	}
	if v.Answered < 0 {
		return shown // how many shards there are is known, but nothing of them
	}
	for _, s := range v.Shards {
		shard := status.ClusterShard{Shard: s.Shard, State: s.State.String(), Generation: s.Generation, Moving: s.Moving}
		if s.Owner != "" {
			shard.Owner, shard.Held, shard.Lease = &s.Owner, seconds(s.Held), seconds(s.Left)
		}
		if s.Target != "" {
			shard.Target = &s.Target
		}
		shown.Shards = append(shown.Shards, shard)
	}
	return shown
}

// The states of members, as the API and the metrics name them.
const (
	memberAlive   = "alive"
	memberLeaving = "leaving"
	memberSilent  = "silent"
)

func memberState(m cluster.MemberView) string {
	switch {
	case !m.Alive:
		return memberSilent
	case m.Leaving:
		return memberLeaving
	default:
		return memberAlive
	}
}

// clusterStats is what a scrape reads. It never blocks.
func (d *daemon) clusterStats() metrics.ClusterStats {
	f := d.front
	v := f.node.View()
	s := metrics.ClusterStats{
		Ready: f.ready(d.readiness.report()).Ready, LeaseRemaining: v.ValidFor.Seconds(), LeaseAge: max(0, v.Answered.Seconds()),
		Members: map[string]float64{}, Shards: map[string]float64{}, Dropped: map[string]float64{},
		StoreRequests: float64(v.Counts.Requests), StoreFailures: float64(v.Counts.Failures),
		Sessions: float64(v.Counts.Sessions), Taken: float64(v.Counts.Taken), PeersRefused: float64(f.peers.Refused()),
	}
	for _, m := range v.Members {
		s.Members[memberState(m)]++
	}
	for _, shard := range v.Shards {
		s.Shards[shardPlace(shard)]++
		if shard.Moving {
			s.Moving++
		}
		s.GenerationMax = max(s.GenerationMax, float64(shard.Generation))
		s.GenerationSum += float64(shard.Generation)
	}
	for reason, n := range v.Counts.Dropped {
		if reason > 0 {
			s.Dropped[cluster.Reason(reason).String()] = float64(n)
		}
	}
	return s
}

// shardPlace is where a shard is, as the metrics name it.
func shardPlace(s cluster.ShardView) string {
	switch {
	case s.State != cluster.Owned:
		return s.State.String()
	case s.Ours:
		return "held"
	default:
		return "elsewhere"
	}
}

func seconds(d time.Duration) *float64 {
	s := d.Seconds()
	return &s
}
