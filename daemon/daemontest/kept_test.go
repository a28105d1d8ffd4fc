package daemontest_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hooktroupe/hooktroupe/daemon/daemontest"
)

// TestAReloadKeepsWhatIsUsedAndWhatRuns has an attempt run, a task wait for the rate of its route, and nearly all used of the
// rate of the source, and has two files taken over and one refused in the meantime: nothing of it begins anew.
func TestAReloadKeepsWhatIsUsedAndWhatRuns(t *testing.T) {
	const text = `
tasks: {backoff_base: 1ms, backoff_cap: 2ms}
sources: {github: {secret: word, rate: %[1]s, burst: 5}}
handlers:
  slow: {type: forward, url: %[2]q, timeout: %[3]s}
  l: {type: log}
routes:
  - {name: slow, source: github, event: push, handler: slow, max_attempts: 1}
  - {name: paced, source: github, event: star, handler: l, rate: %[4]s, burst: 1}
`
	arrived, release := make(chan string, 9), make(chan struct{}) // more than there are attempts; closed once
	sink := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		arrived <- r.Header.Get("X-Hooktroupe-Task-Id")
		<-release
	}))
	t.Cleanup(sink.Close)
	d := start(t, fmt.Sprintf(text, "1/h", sink.URL, "50s", "0.0001"))
	running := push(d, "d0", "word").Text("webhook_id")
	if id := <-arrived; id != running {
		t.Fatalf("%s runs, want %s", id, running)
	}
	first, second := event(d, "star", "d1", "word").Text("webhook_id"), event(d, "star", "d2", "word").Text("webhook_id")
	d.AwaitStatus(first, "completed")

	reloaded(d, t, succeeded, func() { d.Configure(fmt.Sprintf(text, "2/h", nobody(t), "49s", "0.0002")) })
	reloaded(d, t, failedTo, func() { d.Configure(fmt.Sprintf(text, "2/h", "no URL", "1ms", "5")) })
	reloaded(d, t, succeeded, func() { d.Configure(fmt.Sprintf(text, "3/h", nobody(t), "1ms", "0.0003")) })

	if answer := push(d, "d0", "word"); answer.Code != http.StatusOK || answer.Text("webhook_id") != running {
		t.Errorf("the delivery that runs, sent again: %d %s", answer.Code, answer.Body)
	}
	if answer := event(d, "star", "d3", "word"); answer.Code != http.StatusAccepted {
		t.Errorf("the last that the rate of the source lets through: %d %s", answer.Code, answer.Body)
	}
	if answer := event(d, "star", "d4", "word"); answer.Code != http.StatusServiceUnavailable || answer.Text("type") != "urn:hooktroupe:problem:rate-exceeded" {
		t.Errorf("one more than the rate of the source lets through: %d %s", answer.Code, answer.Body)
	}
	if status := d.Status(running).JSON(); status["status"] != "processing" || status["attempts"] != 1.0 {
		t.Errorf("what ran before: %v", status)
	}
	close(release)
	d.AwaitStatus(running, "completed")
	if attempts := d.Status(running).JSON()["attempts"]; attempts != 1.0 {
		t.Errorf("%v attempts of what ran before, at its own handler, under its own timeout", attempts)
	}
	if status := d.Status(second).JSON(); status["status"] != "queued" || status["attempts"] != 0.0 {
		t.Errorf("behind the rate of its route: %v", status)
	}

	reloaded(d, t, succeeded, func() { d.Configure(fmt.Sprintf(text, "1000/s", sink.URL, "50s", "1000")) })
	d.AwaitStatus(second, "completed")
	daemontest.Eventually(t, "the higher rate of the source holds", func() bool {
		return event(d, "star", "d5", "word").Code != http.StatusServiceUnavailable
	})
}

// TestMembersOfAClusterTakeOverAChangedFile has each of two members take over another target and another lease: the one
// holds at once, the other is named; what was accepted before is known, and a file that is invalid changes nothing.
func TestMembersOfAClusterTakeOverAChangedFile(t *testing.T) {
	before, after := daemontest.NewSink(t), daemontest.NewSink(t)
	all := members(t, before.URL, 2)
	accepted := make(map[string]string)
	send := func(label string, d *daemontest.Daemon, to *daemontest.Sink) {
		t.Helper()
		for i := range 5 {
			id, body := fmt.Sprint(label, i), []byte(`{"repository": {"full_name": "o/r`+fmt.Sprint(i)+`"}}`)
			answer, err := sendTo(t, d.URL, id, body)
			if err != nil || answer.Code != http.StatusAccepted {
				t.Fatalf("%v: %d %s", err, answer.Code, answer.Body)
			}
			accepted[id] = answer.Text("webhook_id")
			d.AwaitStatus(accepted[id], "completed")
			if times, same := to.Got(accepted[id], body); times != 1 || !same {
				t.Errorf("%s came to the sink %d times, the same: %t", id, times, same)
			}
		}
	}
	send("a", all[0], before)
	for _, d := range all {
		text, err := os.ReadFile(filepath.Join(d.Folder, "hooktroupe.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		changed := strings.NewReplacer(before.URL, after.URL, "lease: 2s", "lease: 3s").Replace(string(text))
		reloaded(d, t, succeeded, func() { d.Configure(changed) })
		if c := configured(t, d); fmt.Sprint(c["restart_needed"]) != "[cluster.lease]" {
			t.Errorf("/readyz: %v", c)
		}
		reloaded(d, t, failedTo, func() { d.Configure(strings.Replace(changed, "shards: 16", "shards: 0", 1)) })
		if c := configured(t, d); c["last_reload"] != "failed" || fmt.Sprint(c["restart_needed"]) != "[cluster.lease]" {
			t.Errorf("/readyz: %v", c)
		}
	}
	send("b", all[0], after)
	send("c", all[1], after)
	for id, task := range accepted {
		i := id[1:]
		answer, err := sendTo(t, all[1].URL, id, []byte(`{"repository": {"full_name": "o/r`+i+`"}}`))
		if err != nil || answer.Code != http.StatusOK || answer.Text("webhook_id") != task {
			t.Errorf("%s sent again: %v, %d %s, want task %s", id, err, answer.Code, answer.Body, task)
		}
	}
}
