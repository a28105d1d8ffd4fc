package daemontest_test

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hooktroupe/hooktroupe/daemon/daemontest"
)

// post sends a signed GitHub delivery and returns the answer.
func post(t *testing.T, d *daemontest.Daemon, deliveryID string, body []byte) daemontest.Answer {
	t.Helper()
	headers := map[string]string{
		"Content-Type": "application/json", "X-GitHub-Event": "push", "X-GitHub-Delivery": deliveryID,
	}
	return d.Must(http.MethodPost, "/webhooks/github", signed(t, "github", headers, body, secret), body)
}

func TestBadInputIsRefusedByItsKind(t *testing.T) {
	sink := daemontest.NewSink(t)
	d := start(t, configuration(sink.URL)+"\nhttp: {max_body_bytes: 1MiB}\n")
	notJSON := []byte("this is no JSON")
	form := map[string]string{"Content-Type": "application/json", "X-GitHub-Event": "push", "X-GitHub-Delivery": "x"}
	// A sender that asks first learns of the refusal before it sends; one that does not may find the connection cut.
	expecting := map[string]string{
		"Content-Type": "application/json", "X-GitHub-Event": "push", "X-GitHub-Delivery": "x", "Expect": "100-continue",
	}
	large := []byte(`{"x":"` + strings.Repeat("a", 1<<20) + `"}`)
	cases := []struct {
		name, method, path string
		header             http.Header
		body               []byte
		want               int
		problem            string
	}{
		{"unknown source", "POST", "/webhooks/nobody", nil, []byte("{}"), 404, "unknown-source"},
		{"unknown path", "GET", "/nowhere", nil, nil, 404, ""},
		{"method", "PUT", "/webhooks/github", nil, []byte("{}"), 405, "method-not-allowed"},
		{"not JSON", "POST", "/webhooks/github", signed(t, "github", form, notJSON, secret), notJSON, 400, "malformed-delivery"},
		{"too large", "POST", "/webhooks/github", signed(t, "github", expecting, large, secret), large, 413, ""},
		{"unknown task", "GET", "/api/v1/webhook_status/0193570f-6f7c-7c1e-9d2a-0123456789ab", nil, nil, 404, "task-not-found"},
	}
	for _, c := range cases {
		answer := d.Must(c.method, c.path, c.header, c.body)
		if answer.Code != c.want {
			t.Errorf("%s: answered %d %s, want %d", c.name, answer.Code, answer.Body, c.want)
		}
		if c.problem != "" && answer.Text("type") != "urn:hooktroupe:problem:"+c.problem {
			t.Errorf("%s: problem type %q, want %s", c.name, answer.Text("type"), c.problem)
		}
	}
}

func TestFailuresAreRetriedThenStayAsFailed(t *testing.T) {
	sink := daemontest.NewSink(t)
	sink.Respond(func(_ string, nth int) int {
		if nth < 3 {
			return http.StatusBadGateway
		}
		return http.StatusOK
	})
	d := start(t, configuration(sink.URL))
	id := post(t, d, "retried", []byte(`{"n":1}`)).Text("webhook_id")
	d.AwaitStatus(id, "completed")
	if attempts := d.Status(id).JSON()["attempts"]; attempts != 3.0 {
		t.Errorf("attempts: %v, want 3", attempts)
	}
	sink.Respond(func(string, int) int { return http.StatusInternalServerError })
	failed := post(t, d, "failed", []byte(`{"n":2}`)).Text("webhook_id")
	d.AwaitStatus(failed, "failed")
	status := d.Status(failed).JSON()
	if status["attempts"] != 5.0 || status["error"] == nil || status["error"] == "" {
		t.Errorf("after the last attempt: %v", status)
	}
	// The sender sends the failed one again: it runs again, under the same ID.
	sink.Respond(func(string, int) int { return http.StatusOK })
	again := post(t, d, "failed", []byte(`{"n":2}`))
	if again.Code != http.StatusAccepted || again.Text("webhook_id") != failed {
		t.Errorf("redelivery: %d %s", again.Code, again.Body)
	}
	d.AwaitStatus(failed, "completed")
	// A duplicate of a finished task makes no new one.
	duplicate := post(t, d, "retried", []byte(`{"n":1}`))
	if duplicate.Code != http.StatusOK || duplicate.Text("webhook_id") != id || duplicate.Text("status") != "completed" {
		t.Errorf("duplicate: %d %s", duplicate.Code, duplicate.Body)
	}
}

func TestUnwantedEventsAreAnsweredAndCountedAsIgnored(t *testing.T) {
	sink := daemontest.NewSink(t)
	yaml := strings.ReplaceAll(configuration(sink.URL), `{source: "*", event: "*", handler: sink}`,
		`{source: github, event: pull_request, handler: sink}`)
	d := start(t, yaml)
	answer := post(t, d, "unwanted", []byte(`{}`))
	if answer.Code != http.StatusOK || answer.Text("status") != "ignored" {
		t.Errorf("answered %d %s", answer.Code, answer.Body)
	}
	metrics := string(d.Must(http.MethodGet, "/metrics", nil, nil).Body)
	if !strings.Contains(metrics, `hooktroupe_ingress_ignored_total{source="github"} 1`) {
		t.Error("it was not counted")
	}
	if count := d.Must(http.MethodGet, "/api/v1/webhook_statuses", nil, nil).JSON()["count"]; count != 0.0 {
		t.Errorf("%v tasks were made", count)
	}
}

func TestSeedEndpointsHaveTheSeedsShape(t *testing.T) {
	sink := daemontest.NewSink(t)
	d := start(t, configuration(sink.URL))
	before := float64(time.Now().UnixMilli()) / 1000
	id := post(t, d, "shape", []byte(`{}`)).Text("webhook_id")
	d.AwaitStatus(id, "completed")
	status := d.Status(id).JSON()
	for _, field := range []string{"webhook_id", "status", "created_at", "updated_at", "attempts", "source", "event_type", "error"} {
		if _, there := status[field]; !there {
			t.Errorf("no %s in %v", field, status)
		}
	}
	created, isNumber := status["created_at"].(float64)
	if !isNumber || math.Abs(created-before) > 60 {
		t.Errorf("created_at is %v, now is %v", status["created_at"], before)
	}
}

func TestKillLosesNothingAndRestartGoesOn(t *testing.T) {
	sink := daemontest.NewSink(t)
	sink.Respond(func(string, int) int { return http.StatusServiceUnavailable })
	d := start(t, configuration(sink.URL)+"\nPERSISTENCE_INTERVAL: 1\n")
	bodies := make(map[string][]byte)
	for i := range 50 {
		body := fmt.Appendf(nil, `{"n":%d}`, i)
		answer := post(t, d, fmt.Sprintf("kill-%d", i), body)
		if answer.Code != http.StatusAccepted {
			t.Fatalf("delivery %d: %d %s", i, answer.Code, answer.Body)
		}
		bodies[answer.Text("webhook_id")] = body
	}
	d.Kill()
	sink.Respond(func(string, int) int { return http.StatusOK })
	d.Start()
	for id, body := range bodies {
		status := d.Status(id)
		if status.Code != http.StatusOK {
			t.Fatalf("task %s is gone: %d %s", id, status.Code, status.Body)
		}
		if status.Text("status") == "failed" { // it used its attempts up before the kill
			d.Must(http.MethodPost, "/api/v1/tasks/"+id+"/retry", nil, nil)
		}
		d.AwaitStatus(id, "completed")
		if times, same := sink.Got(id, body); times == 0 || !same {
			t.Errorf("task %s reached the sink %d times, same bytes: %v", id, times, same)
		}
	}
}

func TestSIGTERMDrainsSnapshotsAndExitsZero(t *testing.T) {
	sink := daemontest.NewSink(t)
	d := start(t, configuration(sink.URL))
	id := post(t, d, "drain", []byte(`{"payload": true}`)).Text("webhook_id")
	d.AwaitStatus(id, "completed")
	if code := d.Stop(); code != 0 {
		t.Fatalf("exit code %d\n%s", code, d.Log())
	}
	data, err := os.ReadFile(filepath.Join(d.Folder, "data", "webhook_tasks.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file map[string]map[string]any
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatalf("%v in %s", err, data)
	}
	if file[id]["status"] != "completed" || file[id]["source"] != "github" {
		t.Errorf("the task file says %v", file[id])
	}
	d.Start()
	if got := d.Status(id).Text("status"); got != "completed" {
		t.Errorf("after the restart the task is %q", got)
	}
}

func TestSeedSnapshotLoadsAndItsUnfinishedTasksRun(t *testing.T) {
	sink := daemontest.NewSink(t)
	d := daemontest.New(t, configuration(sink.URL))
	d.Env = secrets()
	const unfinished, finished = "5f0c9d1e-3b7a-4a54-9d3c-0a3d5c1b2e4f", "6a1d0e2f-4c8b-4b65-8e4d-1b4e6d2c3f50"
	seed := fmt.Sprintf(`{
  %q: {"webhook_id": %q, "source": "github", "event_type": "pull_request", "payload": {"action": "opened", "number": 7},
       "status": "processing", "created_at": 1732000000.123456, "updated_at": 1732000001.5, "attempts": 1,
       "max_attempts": 3, "error": null, "result": null},
  %q: {"webhook_id": %q, "source": "gitlab", "event_type": "note", "payload": {"a": 1},
       "status": "completed", "created_at": 1732000000.0, "updated_at": 1732000002.25, "attempts": 1,
       "max_attempts": 3, "error": null, "result": {"ok": true}}
}`, unfinished, unfinished, finished, finished)
	data := filepath.Join(d.Folder, "data")
	if err := os.MkdirAll(data, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(data, "webhook_tasks.json"), []byte(seed), 0o600); err != nil {
		t.Fatal(err)
	}
	d.Configure(configuration(sink.URL) + "\nCLEANUP_AGE: 1000000000\n")
	d.Start()
	d.AwaitStatus(unfinished, "completed")
	if times, same := sink.Got(unfinished, []byte(`{"action": "opened", "number": 7}`)); times != 1 || !same {
		t.Errorf("the unfinished task reached the sink %d times, same bytes: %v", times, same)
	}
	if status := d.Status(finished).JSON(); status["status"] != "completed" || status["updated_at"] != 1732000002.25 {
		t.Errorf("the finished task: %v", status)
	}
}

func TestBadConfigurationIsRefusedWithItsLine(t *testing.T) {
	d := daemontest.New(t, "sources:\n  github: {}\n")
	d.Run()
	if code := d.Wait(); code != 3 {
		t.Errorf("exit code %d, want 3", code)
	}
	if log := d.Log(); !strings.Contains(log, "hooktroupe.yaml:2") || !strings.Contains(log, "insecure") {
		t.Errorf("it says: %s", log)
	}
}

// TestDeliveriesAreTakenWhileBalancersLearn asks a daemon to stop that gives load balancers a minute to see it: it says that it
// is not ready, and what comes all the same is stored.
func TestDeliveriesAreTakenWhileBalancersLearn(t *testing.T) {
	sink := daemontest.NewSink(t)
	d := start(t, configuration(sink.URL)+"\nhttp: {drain_delay: 1m}\nshutdown_timeout: 2m\n")
	d.Signal(syscall.SIGTERM)
	d.Await("/readyz", http.StatusServiceUnavailable)
	answer := post(t, d, "late", []byte(`{"late":true}`))
	if answer.Code != http.StatusAccepted {
		t.Fatalf("within the delay, a delivery is answered with %d %s", answer.Code, answer.Body)
	}
	d.AwaitStatus(answer.Text("webhook_id"), "completed")
	d.Kill() // nobody waits for the minute
	d.Start()
	if status := d.Status(answer.Text("webhook_id")).Text("status"); status != "completed" && status != "queued" && status != "processing" {
		t.Errorf("what was taken is %q after the next start", status)
	}
}
