package cluster_test

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/hooktroupe/hooktroupe/cluster"
	"github.com/hooktroupe/hooktroupe/cluster/clustertest"
)

const shards = 16

// troupe is an Owner that notes what it is told.
type troupe struct {
	mu      sync.Mutex
	node    *cluster.Node
	running map[int]int64
	events  []string
	drain   func(shard int, why cluster.Reason, drained func()) // nil: at once
	takes   int
}

func (o *troupe) Take(l cluster.Lease) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.running[l.Shard] != 0 {
		panic(fmt.Sprintf("shard %d was taken while it ran", l.Shard))
	}
	o.running[l.Shard] = l.Generation
	o.takes++
	o.events = append(o.events, fmt.Sprintf("take %d/%d", l.Shard, l.Generation))
	if g, ok := o.node.Generation(l.Shard); ok && g != l.Generation {
		panic(fmt.Sprintf("shard %d: took %d, the node says %d", l.Shard, l.Generation, g))
	}
}

func (o *troupe) Drop(shard int, generation int64, why cluster.Reason, drained func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.running[shard] != generation {
		panic(fmt.Sprintf("shard %d: dropped at %d, runs at %d", shard, generation, o.running[shard]))
	}
	if o.node.Valid(shard) == why.Forced() {
		panic(fmt.Sprintf("shard %d: valid is %v while it is dropped for %v", shard, !why.Forced(), why))
	}
	o.events = append(o.events, fmt.Sprintf("drop %d/%d %v", shard, generation, why))
	done := func() {
		o.mu.Lock()
		delete(o.running, shard)
		o.mu.Unlock()
		drained()
	}
	if o.drain != nil {
		o.drain(shard, why, done)
		return
	}
	delete(o.running, shard)
	drained()
}

func (o *troupe) has() (list []int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for s := range o.running {
		list = append(list, s)
	}
	slices.Sort(list)
	return list
}

// stage is a cluster in one bubble of time.
type stage struct {
	t     *testing.T
	store *clustertest.Memory
	began time.Time
	nodes map[string]*cluster.Node // by address
}

func (s *stage) now() time.Duration { return time.Second + time.Since(s.began) }

func newStage(t *testing.T) *stage {
	s := &stage{t: t, began: time.Now(), nodes: map[string]*cluster.Node{}}
	s.store = clustertest.NewMemory(shards, s.now)
	return s
}

func (s *stage) member(name string, options ...cluster.Option) (*cluster.Node, *troupe) {
	s.t.Helper()
	o := &troupe{running: map[int]int64{}}
	log := logrus.New()
	log.SetOutput(io.Discard)
	tell := func(address string) { s.nodes[address].Look() }
	options = append([]cluster.Option{cluster.WithMonotonic(s.now), cluster.WithLog(log), cluster.WithTell(tell)}, options...)
	n, err := cluster.NewNode(cluster.Config{Name: name, Address: name + ":1", Shards: shards}, s.store, o, options...)
	if err != nil {
		s.t.Fatal(err)
	}
	o.node, s.nodes[name+":1"] = n, n
	n.Start()
	return n, o
}

func (s *stage) sleep(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (s *stage) stop(n *cluster.Node) {
	s.t.Helper()
	if err := n.Stop(context.Background()); err != nil {
		s.t.Error(err)
	}
}

// TestMembersShareTheShards: the first takes all, a second gets half by being handed it, and when it leaves the first has
// all again.
func TestMembersShareTheShards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		a, owner := s.member("a")
		s.sleep(4 * time.Second)
		if err := a.Ready(); err != nil || len(owner.has()) != shards {
			t.Fatalf("alone: %v, has %v", err, owner.has())
		}
		b, second := s.member("b")
		s.sleep(10 * time.Second)
		if len(owner.has()) != shards/2 || len(second.has()) != shards/2 {
			t.Fatalf("two: a has %v, b %v", owner.has(), second.has())
		}
		for _, shard := range second.has() {
			if m, address, ok := a.Owner(shard); m != "b" || address != "b:1" || !ok {
				t.Errorf("a says that %d is with %q at %q, %v", shard, m, address, ok)
			}
			if !b.Valid(shard) || a.Valid(shard) {
				t.Errorf("shard %d: valid on b %v, on a %v", shard, b.Valid(shard), a.Valid(shard))
			}
		}
		s.stop(b)
		s.sleep(500 * time.Millisecond)
		if len(owner.has()) != shards || len(second.has()) != 0 {
			t.Errorf("after b has left: a has %v, b %v", owner.has(), second.has())
		}
		s.stop(a)
		if err := a.Ready(); err == nil {
			t.Error("ready after it has left")
		}
	})
}
