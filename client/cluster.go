package client

import (
	"context"
	"net/http"
)

// Cluster is how a cluster stands, as the member sees it that was asked. Spans of time are in seconds.
type Cluster struct {
	// Enabled is false for a daemon on its own; then there is nothing else.
	Enabled bool            `json:"enabled"`
	Self    *ClusterSelf    `json:"self"`
	Members []ClusterMember `json:"members"`
	Shards  []ClusterShard  `json:"shards"`
}

// ClusterSelf is the member that was asked.
type ClusterSelf struct {
	Name    string `json:"name"`
	Address string `json:"address"`
	// State is starting, joined, leaving or lost.
	State string `json:"state"`
	// Valid says that it may act for its shards, ValidFor for how long if the store is not heard of again.
	Valid    bool    `json:"valid"`
	ValidFor float64 `json:"valid_for_seconds"`
	// Answered is how old all of this is; nil before the store was heard of.
	Answered *float64 `json:"answered_seconds"`
	// Trouble says why it takes no deliveries; nil when it does.
	Trouble       *string `json:"trouble"`
	StoreRequests uint64  `json:"store_requests"`
	StoreFailures uint64  `json:"store_failures"`
}

// ClusterMember is a member of the cluster.
type ClusterMember struct {
	Name    string `json:"name"`
	Address string `json:"address"`
	Version string `json:"version"`
	// State is alive, leaving, or silent: past its time, and not ended yet.
	State string `json:"state"`
	Self  bool   `json:"self"`
	// Joined and Heartbeat are ages, Lease what is left.
	Joined    float64 `json:"joined_seconds"`
	Heartbeat float64 `json:"heartbeat_seconds"`
	Lease     float64 `json:"lease_seconds"`
	// Shards is how many it has.
	Shards int `json:"shards"`
}

// ClusterShard is a part of the work.
type ClusterShard struct {
	Shard int `json:"shard"`
	// State is unowned, owned, draining, stopping or stuck.
	State      string `json:"state"`
	Generation int64  `json:"generation"`
	// Owner has it, Target should; nil for nobody.
	Owner  *string `json:"owner"`
	Target *string `json:"target"`
	Moving bool    `json:"moving"`
	// Held is how long the owner has had it, Lease what is left; nil without an owner.
	Held  *float64 `json:"held_seconds"`
	Lease *float64 `json:"lease_seconds"`
}

// Cluster returns how the cluster stands.
func (c *Client) Cluster(ctx context.Context) (*Cluster, error) {
	answer := &Cluster{}
	return answer, c.do(ctx, http.MethodGet, "/api/v1/cluster", answer)
}
