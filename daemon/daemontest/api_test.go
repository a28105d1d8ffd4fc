package daemontest_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hooktroupe/hooktroupe/daemon/daemontest"
)

// told is one event of a stream.
type told struct {
	id, name string
	body     map[string]any
}

// follow opens the stream of a daemon and returns what it tells; closed at its end.
func follow(t *testing.T, d *daemontest.Daemon, lastID string) <-chan told {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.URL+"/api/v1/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	if lastID != "" {
		req.Header.Set("Last-Event-ID", lastID)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	events, done := make(chan told, 1000), make(chan struct{})
	t.Cleanup(func() { cancel(); <-done })
	go func() {
		defer close(done)
		defer close(events)
		defer func() { _ = resp.Body.Close() }()
		var e told
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			name, value, _ := strings.Cut(lines.Text(), ": ")
			switch name {
			case "id":
				e.id = value
			case "event":
				e.name = value
			case "data":
				_ = json.Unmarshal([]byte(value), &e.body)
			case "":
				events <- e
				e = told{}
			}
		}
	}()
	return events
}

// next waits for the next event of that name.
func next(t *testing.T, events <-chan told, name string) told {
	t.Helper()
	for deadline := time.After(20 * time.Second); ; {
		select {
		case e, open := <-events:
			if !open {
				t.Fatalf("the stream ended before a %s", name)
			}
			if e.name == name {
				return e
			}
		case <-deadline:
			t.Fatalf("no %s", name)
		}
	}
}

func TestStreamOfTheWholeProcess(t *testing.T) {
	sink := daemontest.NewSink(t)
	d := start(t, configuration(sink.URL))
	events := follow(t, d, "")
	f := first(t, "github")
	answer := d.Must("POST", "/webhooks/github", signed(t, "github", f.Headers, f.body(t), secretOf("github")), f.body(t))
	var statuses []string
	var firstID string
	for len(statuses) < 3 {
		e := next(t, events, "task")
		if e.body["id"] != answer.Text("webhook_id") {
			t.Fatalf("told of %v", e.body)
		}
		if firstID == "" {
			firstID = e.id
		}
		statuses = append(statuses, e.body["status"].(string))
	}
	if want := []string{"queued", "processing", "completed"}; !slices.Equal(statuses, want) {
		t.Errorf("told %v, want %v", statuses, want)
	}
	if e := next(t, follow(t, d, firstID), "task"); e.body["status"] != "processing" {
		t.Errorf("goes on with %v", e.body)
	}
	shown := d.Must("GET", "/api/v1/tasks/"+answer.Text("webhook_id"), nil, nil).JSON()
	delivery, _ := shown["delivery"].(map[string]any)
	if delivery["text"] != string(f.body(t)) || delivery["payload"] == nil {
		t.Errorf("shown as %v", shown)
	}
	if d.Stop() != 0 {
		t.Error("did not end in order")
	}
	for range events {
	}
	d.Start()
	next(t, follow(t, d, firstID), "reset")
}

// TestTokensOfTheWholeProcess: a token that the command made opens what its scope says, and what it changed is written down.
func TestTokensOfTheWholeProcess(t *testing.T) {
	sink := daemontest.NewSink(t)
	tokens, yaml := map[string]string{}, "http:\n  tokens:\n"
	for _, scope := range []string{"read", "operate", "admin"} {
		command := exec.CommandContext(t.Context(), daemontest.Binary(t), "token", "--name", "the-"+scope, "--scope", scope)
		var line strings.Builder
		command.Stderr = &line
		token, err := command.Output()
		if err != nil {
			t.Fatal(err)
		}
		tokens[scope] = strings.TrimSpace(string(token))
		_, entry, _ := strings.Cut(line.String(), "tokens:\n")
		yaml += entry
	}
	d := start(t, yaml+configuration(sink.URL))
	f := first(t, "github")
	id := d.Must("POST", "/webhooks/github", signed(t, "github", f.Headers, f.body(t), secretOf("github")), f.body(t)).Text("webhook_id")
	path := "/api/v1/tasks/" + id
	ask := func(scope, method, path string) daemontest.Answer {
		header := http.Header{}
		if scope != "" {
			header.Set("Authorization", "Bearer "+tokens[scope])
		}
		return d.Must(method, path, header, nil)
	}
	daemontest.Eventually(t, "the task is completed", func() bool { return ask("read", "GET", path).Text("status") == "completed" })
	for _, c := range []struct {
		scope, method, path string
		code                int
	}{
		{"", "GET", path, 401}, {"read", "POST", path + "/retry", 403}, {"operate", "GET", "/api/v1/audit", 403},
		{"operate", "POST", path + "/retry", 200}, {"admin", "GET", "/api/v1/audit", 200},
	} {
		if answer := ask(c.scope, c.method, c.path); answer.Code != c.code {
			t.Errorf("%+v: %d %s", c, answer.Code, answer.Body)
		}
	}
	if ask("read", "GET", path).JSON()["delivery"] != nil || ask("operate", "GET", path).JSON()["delivery"] == nil {
		t.Error("the delivery is not shown to whom it may be")
	}
	var names []string
	for _, r := range ask("admin", "GET", "/api/v1/audit").JSON()["records"].([]any) {
		record := r.(map[string]any)
		names = append(names, fmt.Sprint(record["name"], " ", record["action"], " ", record["status"]))
	}
	if want := []string{"the-operate task.retry 200", "the-read task.retry 403"}; !slices.Equal(names, want) {
		t.Errorf("the audit holds %q, want %q", names, want)
	}
	if !strings.Contains(d.Log(), `"audit":"task.retry"`) {
		t.Error("the audit is not logged")
	}
	for _, token := range tokens {
		if strings.Contains(d.Log(), token) {
			t.Error("a token is logged")
		}
	}
}

// TestListenForwardsFromTheWholeProcess runs the command beside the daemon.
func TestListenForwardsFromTheWholeProcess(t *testing.T) {
	sink, near := daemontest.NewSink(t), daemontest.NewSink(t)
	d := start(t, configuration(sink.URL))
	ctx, stop := context.WithCancel(t.Context())
	command := exec.CommandContext(ctx, daemontest.Binary(t), "listen", "--url", d.URL, "--forward", near.URL, "--source", "github")
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	f := first(t, "github")
	sent := 0
	daemontest.Eventually(t, "a delivery is forwarded", func() bool {
		sent++ // until the command listens
		f.Headers["X-GitHub-Delivery"] = fmt.Sprintf("listened-%d", sent)
		header := signed(t, "github", f.Headers, f.body(t), secretOf("github"))
		id := d.Must("POST", "/webhooks/github", header, f.body(t)).Text("webhook_id")
		d.AwaitStatus(id, "completed")
		times, same := near.Got(id, f.body(t))
		return times == 1 && same
	})
	stop()
	if err := command.Wait(); err != nil && ctx.Err() == nil {
		t.Errorf("ended with %v", err)
	}
	if code := command.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code %d after an interrupt", code)
	}
}
