package actors_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/hooktroupe/hooktroupe/actors"
	"github.com/hooktroupe/hooktroupe/handler"
	"github.com/hooktroupe/hooktroupe/messages"
	"github.com/hooktroupe/hooktroupe/messages/journalv1"
	"github.com/hooktroupe/hooktroupe/task"
)

// meanwhile waits until the answer is yes, and leaves the clock alone.
func (c *cluster) meanwhile(what string, yes func() bool) {
	c.t.Helper()
	for deadline := time.Now().Add(patience); !yes(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			c.t.Fatalf("not so within %v: %s", patience, what)
		}
	}
}

func (m *member) has(id string, status messages.Status) bool {
	m.t.Helper()
	got, err := m.Get(context.Background(), id)
	if err != nil {
		m.t.Fatal(err)
	}
	return got.GetStatus() == status
}

// settle waits until the changes of as many attempts of a key's shard are written, and no timer's message is left to the tail.
func (m *member) settle(id, key string, attempts int) {
	m.t.Helper()
	m.eventually("all changes are written", func() bool { return m.log.ended(m.t, actors.ShardOf(key, testShards)) == attempts })
	m.clock.Advance(2 * 20 * time.Millisecond) // whoever minds a gap has done so
	nobody, err := task.ParseID(id)
	if err != nil {
		m.t.Fatal(err)
	}
	nobody[0] ^= 0xff
	if got, err := m.Get(context.Background(), nobody.String()); got != nil || err != nil { // the tail looked
		m.t.Fatalf("there is %v, %v", got, err)
	}
}

// oneShard is a cluster with one member that owns everything, and has worked one task of the key.
func oneShard(t *testing.T, key string, h handler.Func) (c *cluster, m *member) {
	t.Helper()
	c = newCluster(t, h)
	m = c.join("alone").take()
	id := m.accept("first", key).GetWebhookId()
	m.await(id, messages.Status_STATUS_COMPLETED)
	m.settle(id, key, 1)
	return c, m
}

func TestAMemberNeedNotLookForWhatItWrote(t *testing.T) {
	var worked atomic.Int64
	c, m := oneShard(t, "k", func(context.Context, *handler.Task) ([]byte, error) { worked.Add(1); return nil, nil })
	for round := range 5 {
		looked := c.log.looked()
		var ids []string
		for n := range 5 {
			ids = append(ids, m.accept(fmt.Sprintf("d%d-%d", round, n), "k").GetWebhookId())
		}
		// To ask for a task would have it looked for.
		c.meanwhile("they are worked", func() bool { return worked.Load() == int64(1+5*(round+1)) })
		if again := c.log.looked(); again != looked {
			t.Fatalf("round %d: %d records were looked for", round, again-looked)
		}
		m.settle(ids[0], "k", 1+5*(round+1))
	}
}

func TestWhatLiesBetweenIsLookedFor(t *testing.T) {
	var mu sync.Mutex
	var worked []string
	c, m := oneShard(t, "k", func(_ context.Context, task *handler.Task) ([]byte, error) {
		mu.Lock()
		defer mu.Unlock()
		worked = append(worked, string(task.Body))
		return nil, nil
	})
	other := c.join("other")
	before := other.accept("before", "k").GetWebhookId() // nobody is told
	id := m.accept("behind", "k").GetWebhookId()
	c.eventually("both are worked", func() bool {
		return m.has(before, messages.Status_STATUS_COMPLETED) && m.has(id, messages.Status_STATUS_COMPLETED)
	})
	mu.Lock()
	defer mu.Unlock()
	slices.Sort(worked[1:]) // the workers' order is their own
	if got, want := strings.Join(worked, ", "), "body of first, body of before, body of behind"; got != want {
		t.Errorf("worked: %s, want %s", got, want)
	}
}

func TestChangesOfAShardAreWrittenAsOneRecord(t *testing.T) {
	c, m := oneShard(t, "k", func(context.Context, *handler.Task) ([]byte, error) { return []byte("done"), nil })
	shard := actors.ShardOf("k", testShards)
	var ids []string
	before := len(c.log.kinds(shard))
	for n := range 10 {
		ids = append(ids, m.accept(fmt.Sprint("d", n), "k").GetWebhookId())
	}
	for _, id := range ids {
		c.meanwhile("it is worked", func() bool { return m.has(id, messages.Status_STATUS_COMPLETED) })
	}
	c.clock.Advance(50 * time.Millisecond)
	c.meanwhile("its changes are written", func() bool { return len(c.log.kinds(shard)) > before+len(ids) })
	want := append(slices.Repeat([]journalv1.RecordType{journalv1.RecordType_RECORD_TYPE_TASK_ACCEPTED}, len(ids)),
		journalv1.RecordType_RECORD_TYPE_CHANGES)
	if got := c.log.kinds(shard)[before:]; !slices.Equal(got, want) {
		t.Fatalf("records %v, want %v", got, want)
	}
	m.leave(true)
	next := c.join("next").take()
	for _, id := range ids {
		got, err := next.Get(context.Background(), id)
		if err != nil || got.GetStatus() != messages.Status_STATUS_COMPLETED || string(got.GetResult()) != "done" || got.GetAttempts() != 1 {
			t.Errorf("the next owner has %v, %v", got, err)
		}
	}
}

func TestChangesWithinChangesAreRefused(t *testing.T) {
	for _, c := range []struct {
		name, want string
		data       []byte
	}{
		{"nonsense", "proto", []byte{0xff}},
		{"several in several", "several itself", changes(t, &journalv1.Change{Type: journalv1.RecordType_RECORD_TYPE_CHANGES})},
		{"an unknown one", "unknown record type 99", changes(t, &journalv1.Change{Type: 99})},
		{"one beyond a byte", "unknown record type", changes(t, &journalv1.Change{Type: 256 + journalv1.RecordType_RECORD_TYPE_TASKS_FORGOTTEN})},
	} {
		log := newMemoryLog()
		log.note(1, uint8(journalv1.RecordType_RECORD_TYPE_CHANGES), c.data)
		if _, err := actors.RecoverShard(log, 1, 1); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func changes(t *testing.T, all ...*journalv1.Change) []byte {
	t.Helper()
	data, err := proto.Marshal(&journalv1.Changes{Changes: all})
	if err != nil {
		t.Fatal(err)
	}
	return data
}
