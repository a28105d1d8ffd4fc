package status

import (
	"github.com/valyala/fasthttp"

	"github.com/hooktroupe/hooktroupe/http/answer"
)

// Cluster is how a cluster stands, as the member sees it that is asked. Spans of time are in seconds; ages are by the store's clock,
// as of the last answer of the store.
type Cluster struct {
	// Enabled is false on one machine; then there is nothing else.
	Enabled bool `json:"enabled"`
	// Self is what the member thinks of itself; nil on one machine.
	Self *ClusterSelf `json:"self"`
	// Members are those whose sessions are not over, by name. Shards are all there are, by number. Both are empty before the
	// store was heard of.
	Members []ClusterMember `json:"members"`
	Shards  []ClusterShard  `json:"shards"`
}

// ClusterSelf is the member that was asked.
type ClusterSelf struct {
	// Name is its name; Address where other members reach it.
	Name    string `json:"name"`
	Address string `json:"address"`
	// State is starting, joined, leaving, or lost: not in the cluster at the moment.
	State string `json:"state"`
	// Valid says that it may act for its shards at this moment, and ValidFor for how long if the store is not heard of again.
	Valid    bool    `json:"valid"`
	ValidFor float64 `json:"valid_for_seconds"`
	// Answered is the age of the last request that the store answered; nil before the first. Everything else is as old.
	Answered *float64 `json:"answered_seconds"`
	// Trouble says why it takes no deliveries; nil when it does.
	Trouble *string `json:"trouble"`
	// StoreRequests and StoreFailures count what was asked of the store for leases, since the start.
	StoreRequests uint64 `json:"store_requests"`
	StoreFailures uint64 `json:"store_failures"`
}

// ClusterMember is a member of the cluster.
type ClusterMember struct {
	Name    string `json:"name"`
	Address string `json:"address"`
	Version string `json:"version"`
	// State is alive, leaving, or silent: its session is past its end, and nobody has ended it yet.
	State string `json:"state"`
	Self  bool   `json:"self"`
	// Joined and Heartbeat are how long ago it joined and was last heard of; Lease is how long its leases last if it is not
	// heard of again.
	Joined    float64 `json:"joined_seconds"`
	Heartbeat float64 `json:"heartbeat_seconds"`
	Lease     float64 `json:"lease_seconds"`
	// Shards is how many it has.
	Shards int `json:"shards"`
}

// ClusterShard is a part of the work.
type ClusterShard struct {
	Shard int `json:"shard"`
	// State is unowned, owned, draining, stopping or stuck; the last three are known of the asked member's shards only.
	State      string `json:"state"`
	Generation int64  `json:"generation"`
	// Owner is the member that has it, and Target the one that should; nil for nobody.
	Owner  *string `json:"owner"`
	Target *string `json:"target"`
	Moving bool    `json:"moving"`
	// Held is how long the owner has had it, Lease how long it may keep it if it is not heard of again; nil without an owner.
	Held  *float64 `json:"held_seconds"`
	Lease *float64 `json:"lease_seconds"`
}

// cluster answers how the cluster stands. It is answered from what is known, so it never waits for the store or other members.
func (h *Handler) cluster(ctx *fasthttp.RequestCtx) {
	c := Cluster{}
	if h.deps.Cluster != nil {
		c = h.deps.Cluster()
	}
	if c.Members == nil {
		c.Members = []ClusterMember{}
	}
	if c.Shards == nil {
		c.Shards = []ClusterShard{}
	}
	answer.JSON(ctx, fasthttp.StatusOK, c)
}
