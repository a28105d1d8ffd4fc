package cluster_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hooktroupe/hooktroupe/cluster"
	"github.com/hooktroupe/hooktroupe/cluster/clustertest"
)

// alone is one member that has taken everything.
func alone(t *testing.T) (*stage, *cluster.Node, *troupe) {
	s := newStage(t)
	n, o := s.member("a")
	s.sleep(5 * time.Second)
	if err := n.Ready(); err != nil || len(o.has()) != shards {
		t.Fatalf("%v, has %v", err, o.has())
	}
	return s, n, o
}

func (o *troupe) count(what string) (n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, e := range o.events {
		if strings.Contains(e, what) {
			n++
		}
	}
	return n
}

// TestWithoutTheStore: not ready, and everything stopped, before the session can end; and all back under new generations
// when the store is.
func TestWithoutTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, n, o := alone(t)
		down := errors.New("down")
		s.store.Inject(func(cluster.Request) clustertest.Fault { return clustertest.Fault{Refuse: down} })
		s.sleep(9 * time.Second)
		if err := n.Ready(); !errors.Is(err, cluster.ErrUnavailable) || !errors.Is(err, down) {
			t.Errorf("ready: %v", err)
		}
		if len(o.has()) != 0 || o.count("lapsed") != shards || n.Valid(0) {
			t.Errorf("has %v, valid %v", o.has(), n.Valid(0))
		}
		if v := n.View(); v.ValidFor != 0 || v.Counts.Dropped[cluster.Lapsed] != shards || v.Counts.Failures == 0 {
			t.Errorf("view: %+v", v)
		}
		if v := n.View(); v.Members[0].Left != 0 || v.Members[0].Alive || v.Shards[0].Left != 0 || v.Shards[0].Owner != "" {
			t.Errorf("past the lease's end: %+v, %+v", v.Members[0], v.Shards[0])
		}
		s.store.Inject(nil)
		s.sleep(3 * time.Second)
		if g, ok := n.Generation(0); n.Ready() != nil || len(o.has()) != shards || g != 2 || !ok {
			t.Errorf("afterwards: %v, has %v, generation %d, %v", n.Ready(), o.has(), g, ok)
		}
		s.stop(n)
	})
}

// TestAnswersThatAreLost: what was taken in the store is begun once its next answer says so, and once only.
func TestAnswersThatAreLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		lost := 0
		s.store.Inject(func(r cluster.Request) clustertest.Fault {
			if len(r.Acquire) > 0 && lost < 2 {
				lost++
				return clustertest.Fault{Lose: lost == 1, After: time.Duration(lost-1) * time.Minute}
			}
			return clustertest.Fault{}
		})
		n, o := s.member("a")
		s.sleep(12 * time.Second)
		if g, _ := n.Generation(3); lost != 2 || len(o.has()) != shards || g != 1 || o.takes != shards {
			t.Errorf("has %v at generation %d after %d takes", o.has(), g, o.takes)
		}
		s.stop(n)
	})
}

// TestAShardThatDoesNotStop: its member says so, gets nothing new, and others get the shard.
func TestAShardThatDoesNotStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, n, o := alone(t)
		var release []func()
		o.mu.Lock()
		o.drain = func(shard int, _ cluster.Reason, drained func()) {
			if shard == 5 {
				release = append(release, drained)
				return
			}
			go drained()
		}
		o.mu.Unlock()
		s.store.Inject(func(cluster.Request) clustertest.Fault { return clustertest.Fault{Refuse: clustertest.ErrLost} })
		s.sleep(8500 * time.Millisecond)
		s.store.Inject(nil)
		s.sleep(12 * time.Second)
		if err := n.Ready(); !errors.Is(err, cluster.ErrStuck) || n.View().Shards[5].State != cluster.Stuck {
			t.Errorf("ready: %v, shard 5 is %v", err, n.View().Shards[5].State)
		}
		b, other := s.member("b")
		s.sleep(20 * time.Second)
		if len(other.has()) != shards || !b.Valid(5) {
			t.Errorf("b has %v", other.has())
		}
		o.mu.Lock()
		o.drain = nil
		o.mu.Unlock()
		for _, drained := range release {
			drained()
		}
		s.sleep(20 * time.Second)
		if n.Ready() != nil || len(o.has()) != shards/2 {
			t.Errorf("stopped at last: %v, has %v", n.Ready(), o.has())
		}
		s.stop(n)
		s.stop(b)
	})
}

// TestANameTakenTwice: the later process works, the earlier says why it does not.
func TestANameTakenTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, n, o := alone(t)
		second, other := s.member("a")
		s.sleep(30 * time.Second)
		if err := n.Ready(); !errors.Is(err, cluster.ErrNameTaken) || len(o.has()) != 0 {
			t.Errorf("the first: %v, has %v", err, o.has())
		}
		if second.Ready() != nil || len(other.has()) != shards {
			t.Errorf("the second: %v, has %v", second.Ready(), other.has())
		}
		s.stop(n)
		s.stop(second)
	})
}

// TestStopHasABound: what does not drain is stopped, and then left behind when the caller's time is over.
func TestStopHasABound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, n, o := alone(t)
		o.mu.Lock()
		o.drain = func(int, cluster.Reason, func()) {}
		o.mu.Unlock()
		ctx, cancel := context.WithTimeout(context.Background(), 4*time.Second)
		defer cancel()
		began := time.Now()
		if err := n.Stop(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 8*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		if o.count("leaving") != shards || o.count("overdue") != shards || n.Valid(0) || !errors.Is(n.Ready(), cluster.ErrLeaving) {
			t.Errorf("valid %v, %v, events %v", n.Valid(0), n.Ready(), o.events)
		}
		b, other := s.member("b")
		s.sleep(4 * time.Second)
		if len(other.has()) != shards {
			t.Errorf("another has %v", other.has())
		}
		s.stop(b)
	})
}

// TestStopInAnyOrder: before Start, twice, at once, and without the store.
func TestStopInAnyOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		idle, err := cluster.NewNode(cluster.Config{Name: "idle"}, s.store, &troupe{}, cluster.WithMonotonic(s.now))
		if err != nil {
			t.Fatal(err)
		}
		if !errors.Is(idle.Ready(), cluster.ErrUnavailable) {
			t.Errorf("ready before it has joined: %v", idle.Ready())
		}
		s.stop(idle)
		idle.Start()
		if !errors.Is(idle.Ready(), cluster.ErrLeaving) {
			t.Errorf("stopped before it started: %v", idle.Ready())
		}
		n, o := s.member("a")
		s.sleep(5 * time.Second)
		s.store.Inject(func(cluster.Request) clustertest.Fault { return clustertest.Fault{Before: time.Hour} })
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
				defer cancel()
				_ = n.Stop(ctx)
			})
		}
		wg.Wait()
		if len(o.has()) != 0 {
			t.Errorf("has %v", o.has())
		}
		s.stop(n)
	})
}

// TestAViewIsTheCallersOwn, and says what there is.
func TestAViewIsTheCallersOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, n, _ := alone(t)
		v := n.View()
		if len(v.Members) != 1 || v.Members[0].Name != "a" || !v.Members[0].Self || !v.Members[0].Alive || v.Members[0].Shards != shards {
			t.Errorf("members: %+v", v.Members)
		}
		first := v.Shards[0]
		if first.Owner != "a" || first.Address != "a:1" || first.Generation != 1 || first.State != cluster.Owned || first.Target != "a" || first.Moving {
			t.Errorf("shard 0: %+v", first)
		}
		if first.Left <= 0 || first.Left > cluster.DefaultTTL || first.Left != v.Members[0].Left || !first.Ours {
			t.Errorf("shard 0: its lease lasts %v, that of its owner %v, ours: %v", first.Left, v.Members[0].Left, first.Ours)
		}
		v.Members[0].Name, v.Shards[0].Owner = "x", "x"
		if w := n.View(); w.Members[0].Name != "a" || w.Shards[0].Owner != "a" {
			t.Error("a view is shared")
		}
		for _, shard := range []int{-1, shards} {
			if _, _, ok := n.Owner(shard); ok || n.Valid(shard) {
				t.Errorf("shard %d is there", shard)
			}
		}
		s.stop(n)
	})
}

func TestConfigurations(t *testing.T) {
	good := cluster.Config{Name: "a"}.WithDefaults()
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	for name, spoil := range map[string]func(*cluster.Config){
		"no name":             func(c *cluster.Config) { c.Name = "" },
		"a slash in the name": func(c *cluster.Config) { c.Name = "a/b" },
		"too many shards":     func(c *cluster.Config) { c.Shards = cluster.MaxShards + 1 },
		"a short lease":       func(c *cluster.Config) { c.TTL = time.Millisecond },
		"a long lease":        func(c *cluster.Config) { c.TTL = 2 * cluster.MaxTTL },
		"no margin":           func(c *cluster.Config) { c.Margin = 1 },
		"nothing but margin":  func(c *cluster.Config) { c.Margin = c.TTL },
		"no hand-over":        func(c *cluster.Config) { c.HandOver = -1 },
		"none at once":        func(c *cluster.Config) { c.Moving = -1 },
		"a long address":      func(c *cluster.Config) { c.Address = strings.Repeat("a", 300) },
		"a long version":      func(c *cluster.Config) { c.Version = strings.Repeat("a", 300) },
	} {
		c := good
		spoil(&c)
		if c.Validate() == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
