package daemontest_test

import (
	"fmt"
	"net/http"
	"net/url"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hooktroupe/hooktroupe/actors"
	"github.com/hooktroupe/hooktroupe/daemon/daemontest"
)

// heldYAML has a lane for each issue, which its first task holds up, and a handler that always fails.
const heldYAML = `
log: {format: json}
NUM_WORKERS: 20
sources:
  github: {secret: env:TEST_SECRET}
handlers:
  slow: {type: exec, command: [sleep, "600"]}
  broken: {type: exec, command: ["false"]}
  echo: {type: exec, command: ["true"]}
routes:
  - {name: held, source: github, event: issues, handler: slow, policy: serial, timeout: 1h}
  - {name: broken, source: github, event: star, handler: broken, max_attempts: 1}
  - {name: rest, source: github, event: "*", handler: echo}
`

// clusterOf is what a member says of the cluster.
func clusterOf(d *daemontest.Daemon) map[string]any {
	return d.Must("GET", "/api/v1/cluster", nil, nil).JSON()
}

// owners are the owners of all shards, once every member says the same of them and nothing moves.
func owners(t *testing.T, all []*daemontest.Daemon) (names []string) {
	t.Helper()
	daemontest.Eventually(t, "every shard has an owner where it belongs", func() bool {
		for i, d := range all {
			c := clusterOf(d)
			shards, held := c["shards"].([]any), map[string]bool{}
			if len(c["members"].([]any)) != len(all) || len(shards) == 0 {
				return false
			}
			for n, s := range shards {
				shard := s.(map[string]any)
				owner, _ := shard["owner"].(string)
				switch {
				case owner == "" || shard["moving"].(bool) || shard["state"] != "owned":
					return false
				case i == 0 && n == 0:
					names = make([]string, len(shards))
				}
				if i == 0 {
					names[n] = owner
				} else if names[n] != owner {
					return false
				}
				held[owner] = true
			}
			if len(held) != len(all) {
				return false
			}
		}
		return true
	})
	return names
}

// issueOf finds an issue whose tasks a member owns, and the key of its lane.
func issueOf(owners []string, member string, after int) (number int, key string) {
	for n := after + 1; ; n++ {
		key := fmt.Sprintf("octo-org/octo-repo#%d", n)
		if owners[actors.ShardOf(key, len(owners))] == member {
			return n, key
		}
	}
}

// sendIssue sends a delivery to the lane of an issue, and returns the task's ID.
func sendIssue(t *testing.T, d *daemontest.Daemon, number, nth int) string {
	t.Helper()
	answer := sendGitHub(t, d, "issues", fmt.Sprint("issue-", number, "-", nth),
		fmt.Sprintf(`{"action": "opened", "issue": {"number": %d}, "repository": {"full_name": "octo-org/octo-repo"}}`, number))
	if answer.Code != http.StatusAccepted {
		t.Fatalf("not accepted: %d %s", answer.Code, answer.Body)
	}
	return answer.Text("webhook_id")
}

// TestEveryMemberAnswersForTheOthers asks a member for everything about tasks that another one owns.
func TestEveryMemberAnswersForTheOthers(t *testing.T) {
	all := membersOf(t, heldYAML, "2s", 3)
	asked := all[0]
	number, key := issueOf(owners(t, all), "member-1", 0)
	var ids []string
	for n := range 4 {
		ids = append(ids, sendIssue(t, all[n%3], number, n))
	}
	asked.AwaitStatus(ids[0], "processing")
	lane := "/api/v1/lanes/" + url.PathEscape(key)
	waiting := func(d *daemontest.Daemon) (n float64) {
		for _, l := range d.Must("GET", lane, nil, nil).JSON()["lanes"].([]any) {
			n += l.(map[string]any)["waiting_total"].(float64)
		}
		return n
	}
	daemontest.Eventually(t, "three tasks wait", func() bool { return waiting(asked) == 3 })
	for _, path := range []string{"/api/v1/tasks/" + ids[1], "/api/v1/webhook_statuses?limit=1000", "/api/v1/tasks?key=" + url.QueryEscape(key)} {
		if a := asked.Must("GET", path, nil, nil); a.Code != 200 || !strings.Contains(string(a.Body), ids[1]) {
			t.Errorf("%s: %d %s", path, a.Code, a.Body)
		}
	}
	if a := asked.Must("GET", "/api/v1/lanes", nil, nil); a.Code != 200 || !strings.Contains(string(a.Body), key) {
		t.Errorf("the lanes: %d %s", a.Code, a.Body)
	}
	if now := asked.Must("GET", "/api/v1/overview", nil, nil).JSON()["now"].(map[string]any); now["processing"] != 1.0 || now["queued"] != 3.0 {
		t.Errorf("the overview: %v", now)
	}
	command := func(path, body string, want int) daemontest.Answer {
		t.Helper()
		a := asked.Must("POST", path, http.Header{"Content-Type": {"application/json"}}, []byte(body))
		if a.Code != want {
			t.Errorf("POST %s: %d %s", path, a.Code, a.Body)
		}
		return a
	}
	command("/api/v1/tasks/"+ids[3]+"/move?to=front", "", 200)
	command(lane+"/pause", "", 200)
	if a := all[2].Must("GET", lane, nil, nil); !strings.Contains(string(a.Body), `"paused":true`) {
		t.Errorf("another member does not know of the pause: %s", a.Body)
	}
	command(lane+"/resume", "", 200)
	first := func() string {
		lanes := asked.Must("GET", lane, nil, nil).JSON()["lanes"].([]any)
		return lanes[0].(map[string]any)["waiting"].([]any)[0].(map[string]any)["webhook_id"].(string)
	}
	if got := first(); got != ids[3] {
		t.Errorf("the first that waits is %s, not the one that was moved to the front", got)
	}
	command(lane+"/skip", "", 200)
	if got := first(); got == ids[3] {
		t.Error("the first that waits was not skipped")
	}
	if a := command("/api/v1/tasks/"+ids[1]+"/cancel?reason=enough", "", 200); a.Text("status") != "cancelled" {
		t.Errorf("cancelled: %s", a.Body)
	}
	command("/api/v1/tasks/"+ids[1]+"/cancel", "", 409)
	command("/api/v1/tasks/"+ids[1]+"/retry", "", 200)

	var dead []string
	for n := range 12 {
		dead = append(dead, sendGitHub(t, all[n%3], "star", fmt.Sprint("star", n), fmt.Sprintf(`{"action": "created", "repository": {"full_name": "o/r%d"}}`, n)).Text("webhook_id"))
	}
	for _, id := range dead {
		asked.AwaitStatus(id, "failed")
	}
	daemontest.Eventually(t, "the dead letters are listed", func() bool {
		return len(asked.Must("GET", "/api/v1/dead_letters", nil, nil).JSON()["tasks"].([]any)) == 12
	})
	command("/api/v1/tasks/"+dead[0]+"/retry", "", 200)
	asked.AwaitStatus(dead[0], "failed")
	if a := command("/api/v1/replays", `{"dry_run": true, "filter": {"status": ["failed"]}}`, 200); a.JSON()["matches"] != 12.0 {
		t.Errorf("a dry run: %s", a.Body)
	}
	replay := command("/api/v1/replays", `{"filter": {"status": ["failed"]}}`, 202).Text("id")
	daemontest.Eventually(t, "the replay is over, on every member", func() bool {
		for _, d := range all {
			a := d.Must("GET", "/api/v1/replays/"+replay, nil, nil)
			if a.Code != 200 || a.Text("state") != "completed" || a.JSON()["replayed"] != 12.0 {
				return false
			}
		}
		return true
	})
	command("/api/v1/replays/"+replay+"/cancel", "", 409)
	if a := asked.Must("GET", "/api/v1/replays", nil, nil); !strings.Contains(string(a.Body), `"`+replay+`"`) {
		t.Errorf("the replays: %s", a.Body)
	}
	checkClusterCommand(t, asked)
	checkClusterMetrics(t, asked)
}

// checkClusterCommand asks a member by command.
func checkClusterCommand(t *testing.T, d *daemontest.Daemon) {
	t.Helper()
	out, err := exec.Command(daemontest.Binary(t), "cluster", "--url", d.URL, "--shards").CombinedOutput()
	for _, want := range []string{"member-0 (asked)", "member-2", "16 shards: 16 owned", "its leases are valid for"} {
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("hooktroupe cluster lacks %q: %v\n%s", want, err, out)
		}
	}
}

// checkClusterMetrics reads what a member counts.
func checkClusterMetrics(t *testing.T, d *daemontest.Daemon) {
	t.Helper()
	text := "\n" + string(d.Must("GET", "/metrics", nil, nil).Body)
	for _, want := range []string{
		`cluster_ready 1`, `cluster_members{state="alive"} 3`, `cluster_shards{state="unowned"} 0`, `cluster_stale_writes_total 0`,
		`cluster_shards_moving 0`, `cluster_peers_refused_total 0`,
	} {
		if !strings.Contains(text, "\nhooktroupe_"+want+"\n") {
			t.Errorf("/metrics lacks %s", want)
		}
	}
	for _, above := range []string{
		`cluster_lease_remaining_seconds`, `cluster_shards{state="held"}`, `cluster_shards{state="elsewhere"}`, `cluster_generation_max`, `cluster_generations_total`,
		`cluster_shards_taken_total`, `cluster_store_requests_total`, `cluster_store_seconds_count`, `cluster_questions_total{outcome="answered"}`, `cluster_question_seconds_count`,
	} {
		if _, value, found := strings.Cut(text, "\nhooktroupe_"+above+" "); !found || strings.HasPrefix(value, "0\n") || strings.HasPrefix(value, "-") {
			t.Errorf("/metrics: %s is not above zero", above)
		}
	}
}

// TestAnOwnerThatDoesNotAnswer freezes a member: another one answers within a bound, and says who is away, and accepts all the same.
func TestAnOwnerThatDoesNotAnswer(t *testing.T) {
	const bound = 8 * time.Second // five, and what a busy machine adds
	all := membersOf(t, heldYAML, "24s", 2)
	asked, frozen := all[0], all[1]
	owned := owners(t, all)
	number, key := issueOf(owned, "member-1", 0)
	mine, _ := issueOf(owned, "member-0", 0)
	id, own := sendIssue(t, asked, number, 0), sendIssue(t, frozen, mine, 0)
	asked.AwaitStatus(id, "processing")
	asked.AwaitStatus(own, "processing")
	if err := syscall.Kill(frozen.Pid(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	lane := "/api/v1/lanes/" + url.PathEscape(key)
	var wait sync.WaitGroup
	for _, q := range []struct {
		method, path, body string
		code               int
	}{
		{"GET", "/api/v1/webhook_status/" + id, "", 503}, {"GET", "/api/v1/tasks/" + id, "", 503}, {"GET", "/api/v1/webhook_statuses", "", 503},
		{"GET", "/api/v1/tasks", "", 503}, {"GET", "/api/v1/dead_letters", "", 503}, {"GET", "/api/v1/lanes", "", 503}, {"GET", lane, "", 503},
		{"GET", "/api/v1/overview", "", 503}, {"GET", "/api/v1/replays", "", 503}, {"POST", "/api/v1/replays", `{"dry_run": true}`, 503},
		{"POST", "/api/v1/replays", `{"filter": {"source": "nobody"}}`, 503},
		{"POST", "/api/v1/tasks/" + id + "/retry", "", 503}, {"POST", "/api/v1/tasks/" + id + "/move?to=back", "", 503},
		{"POST", lane + "/pause", "", 503}, {"POST", lane + "/skip", "", 503},
		// What this member knows by itself, or owns.
		{"GET", "/api/v1/webhook_status/" + own, "", 200}, {"POST", "/api/v1/tasks/" + own + "/cancel", "", 200}, {"GET", "/api/v1/cluster", "", 200},
		{"GET", "/api/v1/sources", "", 200}, {"GET", "/metrics", "", 200}, {"GET", "/readyz", "", 200},
	} {
		wait.Go(func() {
			started := time.Now()
			a, err := asked.Send(q.method, q.path, http.Header{"Content-Type": {"application/json"}}, []byte(q.body))
			took := time.Since(started)
			switch {
			case err != nil || a.Code != q.code || took > bound:
				t.Errorf("%s %s: %d after %v, want %d: %v %s", q.method, q.path, a.Code, took, q.code, err, a.Body)
			case q.code == 503 && (a.Text("type") != "urn:hooktroupe:problem:owner-away" || !strings.Contains(a.Text("detail"), "member-1") || a.Header.Get("Retry-After") == ""):
				t.Errorf("%s %s: %s", q.method, q.path, a.Body)
			case q.code == 503 && strings.Contains(a.Text("detail"), "may have been done") != (q.method == "POST"):
				t.Errorf("%s %s: %s", q.method, q.path, a.Body)
			}
		})
	}
	wait.Wait()
	started := time.Now()
	later := sendIssue(t, asked, number, 1)
	if a := sendGitHub(t, asked, "issues", fmt.Sprint("issue-", number, "-0"), fmt.Sprintf(`{"action": "opened", "issue": {"number": %d}, "repository": {"full_name": "octo-org/octo-repo"}}`, number)); a.Code/100 != 2 || a.Text("webhook_id") != id {
		t.Errorf("a delivery that came before: %d %s", a.Code, a.Body)
	}
	if took := time.Since(started); took > bound {
		t.Errorf("two deliveries took %v", took)
	}
	for _, m := range clusterOf(asked)["members"].([]any) {
		if m := m.(map[string]any); m["name"] == "member-1" && m["heartbeat_seconds"].(float64) < 1 {
			t.Errorf("the frozen member: %v", m)
		}
	}
	if err := syscall.Kill(frozen.Pid(), syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	daemontest.Eventually(t, "everything is answered again", func() bool {
		a, err := asked.Send("GET", "/api/v1/tasks?key="+url.QueryEscape(key), nil, nil)
		return err == nil && a.Code == 200 && strings.Contains(string(a.Body), later) && strings.Contains(string(a.Body), id)
	})
}

// TestTheStreamOfAMemberTellsOfAll follows one member's stream while things happen at another, which dies in the end.
func TestTheStreamOfAMemberTellsOfAll(t *testing.T) {
	all := membersOf(t, heldYAML, "2s", 2)
	number, key := issueOf(owners(t, all), "member-1", 0)
	events := follow(t, all[0], "")
	await := func(events <-chan told, what string, is func(told) bool) (at string) {
		t.Helper()
		for over := time.After(daemontest.Patience); ; {
			select {
			case e := <-events:
				if is(e) {
					return e.id
				}
			case <-over:
				t.Fatalf("the stream does not tell: %s", what)
			}
		}
	}
	await(events, "it is open", func(told) bool { return true })
	id := sendIssue(t, all[1], number, 0)
	at := await(events, "the task runs", func(e told) bool {
		return e.name == "task" && e.body["id"] == id && e.body["status"] == "processing" && e.body["key"] == key
	})
	all[1].Must("POST", "/api/v1/lanes/"+url.PathEscape(key)+"/pause", nil, nil)
	await(events, "the lane is paused", func(e told) bool { return e.name == "lane" && e.body["key"] == key && e.body["paused"] == true })

	// Who comes back hears of what was there in between, also if it comes back to another member: then, that something was missed.
	await(follow(t, all[0], at), "what came after", func(e told) bool { return e.name == "lane" && e.body["key"] == key })
	await(follow(t, all[1], at), "that something was missed", func(e told) bool { return e.name == "reset" })

	all[0].Must("POST", "/api/v1/lanes/"+url.PathEscape(key)+"/resume", nil, nil)
	await(events, "the lane goes on", func(e told) bool { return e.name == "lane" && e.body["key"] == key && e.body["paused"] == false })
	all[1].Kill()
	gone, again := false, false // in any order
	await(events, "the member is gone, and its task runs again, here", func(e told) bool {
		gone = gone || e.name == "reset"
		again = again || e.name == "task" && e.body["id"] == id && e.body["attempts"] == 2.0
		return gone && again
	})
}
