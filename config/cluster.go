package config

import (
	"fmt"
	"net"
	"time"
)

// The bounds of package cluster, which judges once more what it is given.
const (
	maxLease    = time.Minute
	maxHandOver = time.Hour
)

// Cluster makes the daemon a member of a cluster.
type Cluster struct {
	Enabled   bool       `koanf:"enabled" doc:"Whether the daemon is a member of a cluster: its state is in the store, and nothing is kept in data_dir."`
	Name      string     `koanf:"name" doc:"The member's name, like no other's, and the same after a restart; the host's name when empty."`
	Listen    string     `koanf:"listen" doc:"host:port at which other members are taken; advertise when empty."`
	Advertise string     `koanf:"advertise" doc:"host:port at which other members reach this one."`
	Store     string     `koanf:"store" doc:"Reference to the URL of the PostgreSQL database that all members share."`
	Shards    int        `koanf:"shards" range:"1,1024" doc:"How many parts the work is divided into, 1 to 1024: the same on every member, and chosen once."`
	Lease     Duration   `koanf:"lease" doc:"How long after a member died its work is taken over, 1s to 1m."`
	HandOver  Duration   `koanf:"hand_over" doc:"How long running attempts may take to end when their shard moves, or the member leaves."`
	MaxConns  int        `koanf:"max_conns" range:"1,1000" doc:"Connections to the store, beside two for leases, 1 to 1000."`
	TLS       ClusterTLS `koanf:"tls" doc:"Its identity towards the other members."`
	Insecure  bool       `koanf:"insecure" doc:"Waives TLS between members, where every address is a loopback one."`
}

// ClusterTLS names the files of a member's identity.
type ClusterTLS struct {
	CA   string `koanf:"ca" doc:"PEM file of the authority that signs the members' certificates."`
	Cert string `koanf:"cert" doc:"PEM file of this member's certificate, for a server and a client; read again when it changes."`
	Key  string `koanf:"key" doc:"PEM file of its key."`
}

// defaultCluster is that of Default.
func defaultCluster() Cluster {
	return Cluster{
		Shards: 64, Lease: Duration(10 * time.Second), HandOver: Duration(30 * time.Second), MaxConns: 10,
	}
}

// cluster checks what makes the daemon a member.
func (j *judge) cluster() {
	c := &j.config.Cluster
	if !c.Enabled {
		return
	}
	if c.Advertise == "" {
		j.bad("cluster.advertise", "is needed: host:port at which other members reach this one")
	}
	if c.Listen == "" {
		c.Listen = c.Advertise
	}
	if c.Store == "" {
		j.bad("cluster.store", "is needed: a reference to the URL of the database")
	} else {
		c.Store = j.secret("cluster.store", c.Store)
	}
	j.clusterIdentity(c)
	j.clusterBounds(c)
	for i, r := range j.config.Routes {
		if r.Continue && r.Key != "" {
			j.warn(fmt.Sprintf("routes[%d].key", i), "in a cluster, all parts of a delivery are worked where the first one's key is: a key of its own orders them only against others of the same first key")
		}
	}
}

// clusterIdentity checks who the member is to the others.
func (j *judge) clusterIdentity(c *Cluster) {
	given := c.TLS.CA != "" && c.TLS.Cert != "" && c.TLS.Key != ""
	switch {
	case c.Insecure && c.TLS != (ClusterTLS{}):
		j.bad("cluster.insecure", "goes with no tls")
	case c.Insecure && (!isLoopback(c.Listen) || !isLoopback(c.Advertise)):
		j.bad("cluster.insecure", "needs loopback addresses in listen and advertise")
	case !c.Insecure && !given:
		j.bad("cluster.tls", "ca, cert and key are needed, or insecure: true on loopback")
	}
}

// clusterBounds checks its numbers.
func (j *judge) clusterBounds(c *Cluster) {
	j.within("cluster.shards", float64(c.Shards))
	if lease := time.Duration(c.Lease); lease < time.Second || lease > maxLease {
		j.bad("cluster.lease", "%v is not within 1s to %v", lease, maxLease)
	}
	if handOver := time.Duration(c.HandOver); handOver <= 0 || handOver > maxHandOver {
		j.bad("cluster.hand_over", "%v is not above 0 and at most %v", handOver, maxHandOver)
	}
	j.within("cluster.max_conns", float64(c.MaxConns))
	if !j.config.EnablePersistence {
		j.bad("cluster.enabled", "goes with ENABLE_PERSISTENCE: a member's state is in the store")
	}
}

// isLoopback says whether a host:port is on this machine alone.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	ip := net.ParseIP(host)
	return err == nil && (host == "localhost" || ip != nil && ip.IsLoopback())
}
