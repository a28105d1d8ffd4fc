package status_test

import (
	"reflect"
	"testing"

	"github.com/hooktroupe/hooktroupe/http/status"
)

func TestCluster(t *testing.T) {
	a := newAPI(t)
	if got := string(a.call("GET", "/api/v1/cluster", 200)); got != `{"enabled":false,"self":null,"members":[],"shards":[]}` {
		t.Errorf("on one machine: %s", got)
	}
	trouble, owner, span, none := "the store does not answer", "a", 2.5, 0.0
	a.cluster = status.Cluster{
		Enabled: true,
		Self: &status.ClusterSelf{
			Name: "a", Address: "10.0.0.1:7070", State: "joined", Valid: true, ValidFor: 7.5, Answered: &span, Trouble: &trouble,
			StoreRequests: 9, StoreFailures: 1,
		},
		Members: []status.ClusterMember{{
			Name: "a", Address: "10.0.0.1:7070", Version: "1.2.3", State: "alive", Self: true, Joined: 60, Heartbeat: 1, Lease: 9, Shards: 1,
		}},
		Shards: []status.ClusterShard{
			{Shard: 0, State: "owned", Generation: 3, Owner: &owner, Target: &owner, Held: &span, Lease: &none},
			{Shard: 1, State: "unowned"},
		},
	}
	var got, want any
	unmarshal(t, a.call("GET", "/api/v1/cluster", 200), &got)
	unmarshal(t, []byte(`{"enabled": true,
		"self": {"name": "a", "address": "10.0.0.1:7070", "state": "joined", "valid": true, "valid_for_seconds": 7.5, "answered_seconds": 2.5,
			"trouble": "the store does not answer", "store_requests": 9, "store_failures": 1},
		"members": [{"name": "a", "address": "10.0.0.1:7070", "version": "1.2.3", "state": "alive", "self": true, "joined_seconds": 60,
			"heartbeat_seconds": 1, "lease_seconds": 9, "shards": 1}],
		"shards": [
			{"shard": 0, "state": "owned", "generation": 3, "owner": "a", "target": "a", "moving": false, "held_seconds": 2.5, "lease_seconds": 0},
			{"shard": 1, "state": "unowned", "generation": 0, "owner": null, "target": null, "moving": false, "held_seconds": null, "lease_seconds": null}
		]}`), &want)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	if resp, _ := a.send("POST", "/api/v1/cluster"); resp.StatusCode != 405 {
		t.Errorf("POST: %d", resp.StatusCode)
	}
}
