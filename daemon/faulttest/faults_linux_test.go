package faulttest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/hooktroupe/hooktroupe/actors"
)

// TestClusterUnderFaults takes a cluster through everything that befalls one, under load through the balancer, and then checks
// all that was accepted. The faults follow each other; each ends with every member back at work, by itself.
func TestClusterUnderFaults(t *testing.T) {
	c := newTroupe(t)
	first, second, third := c.members[0], c.members[1], c.members[2]
	first.launch()
	second.launch()
	c.awaitShares(t, first, second)
	l := startLoad(c.balancer)
	defer l.end()
	l.awaitFlow(t, c.sink)
	for _, scenario := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"a member joins", func(t *testing.T) { c.join(t, third) }},
		{"a member is stopped for 3 s", func(t *testing.T) { c.freeze(t, second, 3*time.Second) }},
		{"a member is stopped for 20 s", func(t *testing.T) { c.freeze(t, third, 20*time.Second) }},
		{"two members cannot reach each other", func(t *testing.T) { c.partMembers(t, l, first, second) }},
		{"a member cannot reach the store", func(t *testing.T) { c.partStore(t, first) }},
		{"the store is restarted", func(t *testing.T) { c.restartStore(t) }},
		{"the store is frozen", func(t *testing.T) { c.freezeStore(t) }},
		{"a member is killed", func(t *testing.T) { c.kill(t, l, third) }},
		{"a member leaves", func(t *testing.T) { c.leave(t, l, second) }},
		{"all members are killed", func(t *testing.T) { c.killAll(t) }},
	} {
		before, began := len(l.failed()), time.Now()
		ok := t.Run(scenario.name, func(t *testing.T) {
			scenario.run(t)
			c.awaitShares(t, c.members...)
			l.awaitFlow(t, c.sink)
		})
		failures := l.failed()[before:]
		t.Logf("%s: %v; %d requests to the balancer failed%s", scenario.name, time.Since(began).Round(time.Second/10), len(failures), kinds(failures))
		if !ok {
			break
		}
	}
	l.end()
	c.audit(t, l)
}

// kinds says how requests failed.
func kinds(failures []failure) string {
	counts := make(map[string]int)
	for _, f := range failures {
		counts[f.what]++
	}
	var text strings.Builder
	for what, n := range counts {
		fmt.Fprintf(&text, "\n  %d × %.200s", n, what)
	}
	return text.String()
}

// join starts a member under load.
func (c *troupe) join(t *testing.T, m *member) {
	t.Helper()
	m.launch()
	c.awaitShares(t, c.members...)
}

// freeze stops a member where it is, and lets it go on.
func (c *troupe) freeze(t *testing.T, m *member, d time.Duration) {
	t.Helper()
	m.Signal(syscall.SIGSTOP)
	time.Sleep(d)
	if d > 2*lease {
		c.awaitTaken(t, m)
	}
	m.Signal(syscall.SIGCONT)
}

// awaitTaken waits until a member owns nothing any more, and others everything.
func (c *troupe) awaitTaken(t *testing.T, m *member) {
	t.Helper()
	eventually(t, func() string { return m.name + "'s shards are taken over" }, func() bool {
		owners := c.owners()
		return owners != nil && !slices.Contains(owners, m.name) && !slices.Contains(owners, "")
	})
}

// partMembers cuts two members off from each other. Both reach the store, so both go on: what one stores for the other is
// found there, and questions to the other are answered within a bound, with the truth.
func (c *troupe) partMembers(t *testing.T, l *load, one, other *member) {
	t.Helper()
	heal := part(one.host, other.host)
	defer heal()
	owners := c.owners()
	shard := slices.Index(owners, other.name)
	if shard < 0 {
		t.Fatalf("%s owns nothing: %q", other.name, owners)
	}
	key := ""
	for n := 0; actors.ShardOf(key, shards) != shard; n++ {
		key = fmt.Sprint("apart-", n)
	}
	body, _ := json.Marshal(payload{"made", key, 1})
	header := http.Header{"X-Load-Token": {token}, "X-Load-Id": {key + "/1"}, "Content-Type": {"application/json"}}
	answer := one.ask(http.MethodPost, "/webhooks/load", header, body)
	if answer.Code != http.StatusAccepted {
		t.Fatalf("%s, which reaches the store, answers a delivery with %d %s", one.name, answer.Code, answer.Body)
	}
	id := answer.Text("webhook_id")
	l.add(id, payload{"made", key, 1})
	other.awaitCompleted(t, id)
	began := time.Now()
	answer = one.ask(http.MethodGet, "/api/v1/webhook_status/"+id, nil, nil)
	if took := time.Since(began); answer.Code != http.StatusServiceUnavailable {
		t.Errorf("%s says %d %s of a task whose owner it does not reach, after %v", one.name, answer.Code, answer.Body, took)
	}
	for _, m := range []*member{one, other} {
		if code := m.ask(http.MethodGet, "/readyz", nil, nil).Code; code != http.StatusOK {
			t.Errorf("%s is not ready (%d), although it reaches the store", m.name, code)
		}
	}
	heal()
	one.awaitCompleted(t, id)
}

// awaitCompleted asks a member until it says that a task is completed.
func (m *member) awaitCompleted(t *testing.T, id string) {
	t.Helper()
	last := ""
	eventually(t, func() string { return fmt.Sprintf("%s says that task %s is completed, not %s", m.name, id, last) }, func() bool {
		answer := m.ask(http.MethodGet, "/api/v1/webhook_status/"+id, nil, nil)
		last = fmt.Sprint(answer.Code, " ", string(answer.Body))
		return answer.Text("status") == "completed"
	})
}

// partStore cuts a member off from the store: it takes nothing, says so, and has stopped its shards before others take them.
func (c *troupe) partStore(t *testing.T, m *member) {
	t.Helper()
	logged := len(m.Log())
	began := time.Now()
	defer part(m.host, c.store)()
	m.await(t, "/readyz", http.StatusServiceUnavailable)
	body, _ := json.Marshal(payload{"made", "nobody", 1})
	header := http.Header{"X-Load-Token": {token}, "X-Load-Id": {"nobody"}, "Content-Type": {"application/json"}}
	if answer := m.ask(http.MethodPost, "/webhooks/load", header, body); answer.Code != http.StatusServiceUnavailable || answer.Header.Get("Retry-After") == "" {
		t.Errorf("without the store, a delivery is answered with %d %s", answer.Code, answer.Body)
	}
	c.awaitTaken(t, m)
	taken, err := query(c, `SELECT taken_at FROM hooktroupe_shards WHERE taken_at > now() - interval '5 minutes'`, pgx.RowTo[time.Time])
	if err != nil {
		t.Fatal(err)
	}
	taken = slices.DeleteFunc(taken, func(at time.Time) bool { return at.Before(began) })
	lapsed := lapsedAt(m.Log()[logged:])
	if len(taken) == 0 || lapsed.IsZero() {
		t.Fatalf("%d shards were taken, and %s gave its own back at %v", len(taken), m.name, lapsed)
	}
	if earliest := slices.MinFunc(taken, time.Time.Compare); !lapsed.Before(earliest) {
		t.Errorf("%s stopped its shards at %v, and others had taken them at %v", m.name, lapsed, earliest)
	} else {
		t.Logf("%s stopped its shards %v after the cut, %v before others took them", m.name, lapsed.Sub(began).Round(time.Millisecond),
			earliest.Sub(lapsed).Round(time.Millisecond))
	}
}

// lapsedAt is when a member said that it gives its shards back because the store was not heard of.
func lapsedAt(log string) time.Time {
	for line := range strings.Lines(log) {
		var entry struct {
			Time   time.Time `json:"time"`
			Msg    string    `json:"msg"`
			Reason string    `json:"reason"`
		}
		if json.Unmarshal([]byte(line), &entry) == nil && entry.Msg == "giving back shards" && entry.Reason == "lapsed" {
			return entry.Time
		}
	}
	return time.Time{}
}

// restartStore shuts the store down, and starts it at once.
func (c *troupe) restartStore(t *testing.T) {
	t.Helper()
	if err := c.server.Restart(); err != nil {
		t.Fatal(err)
	}
}

// freezeStore stops the store where it is, until no member takes anything, and lets it go on.
func (c *troupe) freezeStore(t *testing.T) {
	t.Helper()
	c.server.Freeze()
	defer c.server.Thaw()
	for _, m := range c.members {
		m.await(t, "/readyz", http.StatusServiceUnavailable)
	}
}

// kill ends a member without giving it a moment, and measures how long its tasks wait.
func (c *troupe) kill(t *testing.T, l *load, m *member) {
	t.Helper()
	owners := c.owners()
	m.Kill()
	killed := time.Now()
	c.awaitTaken(t, m)
	waiting := make(map[string]bool)
	for key := range keys {
		if name := keyName(key); owners[actors.ShardOf(name, shards)] == m.name {
			waiting[name] = true
		}
	}
	if len(waiting) == 0 {
		t.Fatalf("%s had no key to work: %q", m.name, owners)
	}
	var longest time.Duration
	eventually(t, func() string { return fmt.Sprintf("the keys of %s are worked elsewhere: %v", m.name, waiting) }, func() bool {
		for _, a := range c.sink.seen() {
			if a.began.After(killed) && waiting[a.Key] {
				delete(waiting, a.Key)
				longest = max(longest, a.began.Sub(killed))
			}
		}
		return len(waiting) == 0
	})
	for _, f := range l.failed() {
		if f.began.After(killed) {
			t.Errorf("a request that was sent %v after the member was killed failed: %s", f.began.Sub(killed), f.what)
		}
	}
	t.Logf("the tasks of the member that was killed waited for at most %v, with a lease of %v", longest.Round(time.Millisecond), lease)
	m.launch()
}

// leave asks a member to end, and starts it again: nobody notices.
func (c *troupe) leave(t *testing.T, l *load, m *member) {
	t.Helper()
	before, logged := len(l.failed()), len(m.Log())
	if code := m.Stop(); code != 0 {
		t.Errorf("the member exits with %d", code)
	}
	if said := m.Log()[logged:]; strings.Contains(said, "delivery refused") {
		t.Errorf("the member refused deliveries while it left:\n%s", said)
	}
	c.awaitShares(t, c.others(m)...)
	l.awaitFlow(t, c.sink)
	if failures := l.failed()[before:]; len(failures) > 0 {
		t.Errorf("%d requests failed while a member left:%s", len(failures), kinds(failures))
	}
	m.launch()
}

// killAll ends all members at one time, and starts them again.
func (c *troupe) killAll(t *testing.T) {
	t.Helper()
	for _, m := range c.members {
		m.Signal(syscall.SIGKILL)
	}
	for _, m := range c.members {
		m.Wait()
	}
	for _, m := range c.members {
		m.launch()
	}
}
