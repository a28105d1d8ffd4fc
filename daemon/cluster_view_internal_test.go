package daemon

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/hooktroupe/hooktroupe/cluster"
	"github.com/hooktroupe/hooktroupe/http/status"
	"github.com/hooktroupe/hooktroupe/metrics"
)

func TestAMembersViewIsShown(t *testing.T) {
	ready := status.Readiness{Ready: true}
	v := cluster.View{
		Name: "a", Joined: true, Answered: 250 * time.Millisecond, ValidFor: 2 * time.Second,
		Members: []cluster.MemberView{
			{Name: "a", Self: true, Alive: true, Left: time.Second, Shards: 1}, {Name: "b", Alive: true, Leaving: true}, {Name: "c", Leaving: true},
		},
		Shards: []cluster.ShardView{
			{Shard: 0, State: cluster.Owned, Owner: "a", Ours: true, Generation: 3, Held: time.Minute, Left: time.Second, Target: "b", Moving: true},
			{Shard: 1, State: cluster.Unowned, Generation: 2},
		},
	}
	shown := clusterView(v, ready, "a:1")
	if s := shown.Self; s.State != "joined" || !s.Valid || s.ValidFor != 2 || *s.Answered != 0.25 || s.Trouble != nil || s.Address != "a:1" {
		t.Errorf("self: %+v", s)
	}
	for i, want := range metrics.MemberStates {
		if got := shown.Members[i].State; got != want {
			t.Errorf("member %d is %s, want %s", i, got, want)
		}
	}
	if s := shown.Shards[0]; *s.Owner != "a" || *s.Target != "b" || !s.Moving || *s.Held != 60 || *s.Lease != 1 || s.Generation != 3 {
		t.Errorf("shard 0: %+v", s)
	}
	if s := shown.Shards[1]; s.Owner != nil || s.Target != nil || s.Held != nil || s.Lease != nil || s.State != "unowned" {
		t.Errorf("shard 1: %+v", s)
	}
	for want, change := range map[string]func(*cluster.View){
		"leaving":  func(v *cluster.View) { v.Leaving = true },
		"lost":     func(v *cluster.View) { v.Joined = false },
		"starting": func(v *cluster.View) { v.Joined, v.Answered = false, -1 },
	} {
		changed := v
		change(&changed)
		shown := clusterView(changed, status.Readiness{Reason: "why"}, "a:1")
		if shown.Self.State != want || *shown.Self.Trouble != "why" || (shown.Self.Answered == nil) != (want == "starting") {
			t.Errorf("want %s: %+v", want, shown.Self)
		}
		if (len(shown.Shards) == 0) != (want == "starting") {
			t.Errorf("%s: %d shards are told of", want, len(shown.Shards))
		}
	}
}

func TestShardsAreCountedWhereTheyAre(t *testing.T) {
	for i, s := range []cluster.ShardView{
		{State: cluster.Owned, Ours: true}, {State: cluster.Owned}, {State: cluster.Unowned}, {State: cluster.Draining, Ours: true},
		{State: cluster.Stopping}, {State: cluster.Stuck},
	} {
		if got := shardPlace(s); got != metrics.ShardStates[i] {
			t.Errorf("%+v is %s, want %s", s, got, metrics.ShardStates[i])
		}
	}
	for i, want := range metrics.DropReasons {
		if got := cluster.Reason(i + 1).String(); got != want {
			t.Errorf("reason %d is %s, want %s", i+1, got, want)
		}
	}
}

func TestWhatTheDatabaseSaysIsNobodysBusiness(t *testing.T) {
	secret := errors.New("dial 10.0.0.9: no such user hooktroupe")
	if got := publicReason(fmt.Errorf("%w: %w", cluster.ErrUnavailable, secret)); got != cluster.ErrUnavailable.Error() {
		t.Errorf("the reason is %q", got)
	}
	if got := publicReason(cluster.ErrLeaving); got != cluster.ErrLeaving.Error() {
		t.Errorf("the reason is %q", got)
	}
}
