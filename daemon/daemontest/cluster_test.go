package daemontest_test

import (
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hooktroupe/hooktroupe/daemon/daemontest"
	"github.com/hooktroupe/hooktroupe/internal/pgtest"
)

// members starts a cluster of so many over one database, with mutual TLS, and waits until each is ready.
func members(t *testing.T, sinkURL string, count int) []*daemontest.Daemon {
	t.Helper()
	return membersOf(t, configuration(sinkURL), "2s", count)
}

// membersOf starts a cluster of that configuration, with leases of that length.
func membersOf(t *testing.T, yaml, lease string, count int) []*daemontest.Daemon {
	t.Helper()
	return membersAt(t, pgtest.Database(t), yaml, lease, count)
}

// membersAt starts a cluster over a database that is there.
func membersAt(t *testing.T, url, yaml, lease string, count int) []*daemontest.Daemon {
	t.Helper()
	all, _ := membersBy(t, t.TempDir(), url, yaml, lease, count)
	for _, d := range all {
		d.Start()
	}
	return all
}

// membersBy prepares members that do not run yet, whose identities lie in a folder, and says where they take others.
func membersBy(t *testing.T, identities, url, yaml, lease string, count int) (all []*daemontest.Daemon, addresses []string) {
	t.Helper()
	for n := range count {
		name, address := fmt.Sprint("member-", n), freeAddress(t)
		files := identify(t, name, identities)
		d := daemontest.New(t, yaml+fmt.Sprintf(`
cluster:
  enabled: true
  name: %s
  advertise: %s
  store: env:CLUSTER_STORE
  %s
  shards: 16
  lease: %s
`, name, address, files, lease))
		d.Env = append(secrets(), "CLUSTER_STORE="+url)
		all, addresses = append(all, d), append(addresses, address)
	}
	return all, addresses
}

// identify makes a member's identity, and returns the line of the configuration that names it.
func identify(t *testing.T, name, folder string) string {
	t.Helper()
	made, err := exec.Command(daemontest.Binary(t), "cert", name, "--dir", folder, "--host", "127.0.0.1").CombinedOutput()
	if err != nil {
		t.Fatalf("cert: %v: %s", err, made)
	}
	return strings.TrimSpace(string(made))
}

// ledger is what was answered 202, by the task's ID.
type ledger struct {
	mu       sync.Mutex // guards accepted
	accepted map[string][]byte
	stop     chan struct{}
	wait     sync.WaitGroup
}

// sendToAll sends to the members in turn, as a load balancer does, until settled is called. A member that is nil is left out.
func sendToAll(t *testing.T, senders int, urls []*atomic.Pointer[string]) *ledger {
	l := &ledger{accepted: make(map[string][]byte), stop: make(chan struct{})}
	for sender := range senders {
		l.wait.Go(func() { // ends with stop
			for n := 0; ; n++ {
				select {
				case <-l.stop:
					return
				default:
				}
				url := urls[n%len(urls)].Load()
				if url == nil {
					continue
				}
				id := fmt.Sprintf("load-%d-%d", sender, n)
				body := fmt.Appendf(nil, `{"id":%q}`, id)
				answer, err := sendTo(t, *url, id, body)
				if err != nil || answer.Code != http.StatusAccepted {
					time.Sleep(5 * time.Millisecond) // down, or without its store
					continue
				}
				l.mu.Lock()
				l.accepted[answer.Text("webhook_id")] = body
				l.mu.Unlock()
			}
		})
	}
	return l
}

// settled ends the load, and checks every delivery that was answered 202 with a member: completed, and at the sink.
func (l *ledger) settled(t *testing.T, d *daemontest.Daemon, sink *daemontest.Sink) {
	t.Helper()
	close(l.stop)
	l.wait.Wait()
	if len(l.accepted) == 0 {
		t.Fatal("nothing was accepted")
	}
	for id, body := range l.accepted {
		daemontest.Eventually(t, "task "+id+" is completed", func() bool {
			return d.Status(id).Text("status") == "completed"
		})
		if times, same := sink.Got(id, body); times == 0 || !same {
			t.Errorf("task %s reached the sink %d times, with the same bytes: %v", id, times, same)
		}
	}
	t.Logf("%d deliveries were accepted and are completed", len(l.accepted))
}

func publish(members []*daemontest.Daemon) []*atomic.Pointer[string] {
	urls := make([]*atomic.Pointer[string], len(members))
	for i, d := range members {
		urls[i] = &atomic.Pointer[string]{}
		url := d.URL
		urls[i].Store(&url)
	}
	return urls
}

// restart starts a member again, at another port, and publishes that.
func restart(d *daemontest.Daemon, at *atomic.Pointer[string]) {
	d.Start()
	url := d.URL
	at.Store(&url)
}

// TestADeadMembersTasksAreTakenOver kills one of three members under load, and brings it back.
func TestADeadMembersTasksAreTakenOver(t *testing.T) {
	sink := daemontest.NewSink(t)
	all := members(t, sink.URL, 3)
	urls := publish(all)
	load := sendToAll(t, 4, urls)
	time.Sleep(time.Second)
	all[1].Kill()
	urls[1].Store(nil)
	time.Sleep(4 * time.Second)
	all[1].Start()
	all[1].Await("/readyz", http.StatusOK)
	url := all[1].URL
	urls[1].Store(&url)
	time.Sleep(time.Second)
	load.settled(t, all[0], sink)
}

// TestAMemberThatLeavesHandsOver stops one of two members under load: no delivery to the other is refused, and nothing runs
// twice for it.
func TestAMemberThatLeavesHandsOver(t *testing.T) {
	sink := daemontest.NewSink(t)
	all := members(t, sink.URL, 2)
	urls := publish(all)
	load := sendToAll(t, 4, urls)
	time.Sleep(time.Second)
	urls[1].Store(nil)
	if code := all[1].Stop(); code != 0 {
		t.Errorf("the member that left exited with %d:\n%s", code, all[1].Log())
	}
	time.Sleep(time.Second)
	load.settled(t, all[0], sink)
	for id, body := range load.accepted {
		if times, _ := sink.Got(id, body); times != 1 {
			t.Errorf("task %s ran %d times", id, times)
		}
	}
}

// TestAllMembersAreKilledAtOnce and come back.
func TestAllMembersAreKilledAtOnce(t *testing.T) {
	sink := daemontest.NewSink(t)
	all := members(t, sink.URL, 2)
	urls := publish(all)
	load := sendToAll(t, 4, urls)
	time.Sleep(time.Second)
	for i, d := range all {
		urls[i].Store(nil)
		d.Kill()
	}
	for _, d := range all {
		d.Start()
	}
	all[1].Await("/readyz", http.StatusOK)
	load.settled(t, all[1], sink)
}
