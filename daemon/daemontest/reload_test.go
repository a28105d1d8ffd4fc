package daemontest_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/hooktroupe/hooktroupe/daemon/daemontest"
)

// push sends a delivery signed with a secret.
func push(d *daemontest.Daemon, id, key string) daemontest.Answer { return event(d, "push", id, key) }

// event sends an event signed with a secret.
func event(d *daemontest.Daemon, name, id, key string) daemontest.Answer {
	body := []byte(`{"repository": {"full_name": "o/r"}}`)
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write(body)
	return d.Must(http.MethodPost, "/webhooks/github", http.Header{
		"Content-Type": {"application/json"}, "X-Github-Event": {name}, "X-Github-Delivery": {id},
		"X-Hub-Signature-256": {"sha256=" + hex.EncodeToString(mac.Sum(nil))},
	}, body)
}

// metric is the value of one without labels, or with those given.
func metric(d *daemontest.Daemon, name string) float64 {
	found := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + ` (\S+)$`).
		FindSubmatch(d.Must(http.MethodGet, "/metrics", nil, nil).Body)
	if found == nil {
		return -1
	}
	value, _ := strconv.ParseFloat(string(found[1]), 64)
	return value
}

const (
	succeeded = `hooktroupe_config_reloads_total{outcome="success"}`
	failedTo  = `hooktroupe_config_reloads_total{outcome="failure"}`
)

// reloaded changes something and waits until the daemon has taken it over, or has refused it.
func reloaded(d *daemontest.Daemon, t *testing.T, counter string, change func()) {
	t.Helper()
	before := metric(d, counter)
	change()
	daemontest.Eventually(t, counter+" grows", func() bool { return metric(d, counter) > before })
}

// configured is what /readyz says of the configuration; it must answer 200.
func configured(t *testing.T, d *daemontest.Daemon) map[string]any {
	t.Helper()
	answer := d.Must(http.MethodGet, "/readyz", nil, nil)
	if answer.Code != http.StatusOK {
		t.Errorf("/readyz answers %d: %s", answer.Code, answer.Body)
	}
	details, _ := answer.JSON()["details"].(map[string]any)
	config, _ := details["config"].(map[string]any)
	return config
}

// TestAnEditedFileIsTakenOverUnderLoad renames the route of what is coming in, again and again, and adds one, while
// deliveries come in as fast as they can: none is refused, and none is lost.
func TestAnEditedFileIsTakenOverUnderLoad(t *testing.T) {
	const text = `
max_tasks: 100000
sources: {github: {secret: word}}
handlers: {%[1]s: {type: log}}
routes:
  - {name: %[1]s, source: github, event: push, handler: %[1]s, policy: %[2]s, concurrency: 3}
%[3]s`
	d := start(t, fmt.Sprintf(text, "r0", "serial", ""))
	var (
		senders sync.WaitGroup
		done    = make(chan struct{})
		mu      sync.Mutex // guards what follows
		ids     []string
	)
	for s := range 4 {
		senders.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-done:
					return
				default:
				}
				answer := push(d, fmt.Sprintf("s%d-%d", s, i), "word")
				if answer.Code != http.StatusAccepted {
					t.Errorf("answered %d: %s", answer.Code, answer.Body)
				}
				mu.Lock()
				ids = append(ids, answer.Text("webhook_id"))
				mu.Unlock()
			}
		})
	}
	senders.Go(func() { // somebody looks at the dashboard in the meantime
		for {
			select {
			case <-done:
				return
			default:
				if answer := d.Must(http.MethodGet, "/api/v1/overview", nil, nil); answer.Code != http.StatusOK {
					t.Errorf("the overview: %d %s", answer.Code, answer.Body)
				}
			}
		}
	})
	for i := range 8 {
		policy := []string{"serial", "parallel"}[i%2]
		reloaded(d, t, succeeded, func() { d.Configure(fmt.Sprintf(text, fmt.Sprint("r", i+1), policy, "")) })
	}
	if answer := event(d, "ping2", "nobody", "word"); answer.Code != http.StatusOK {
		t.Errorf("an event that no route wants: %d %s", answer.Code, answer.Body)
	}
	const more = "  - {source: github, event: ping2, handler: r9}\n"
	reloaded(d, t, succeeded, func() { d.Configure(fmt.Sprintf(text, "r9", "serial", more)) })
	added := event(d, "ping2", "somebody", "word")
	if added.Code != http.StatusAccepted {
		t.Errorf("the new route: %d %s", added.Code, added.Body)
	}
	close(done)
	senders.Wait()
	for _, id := range append(ids, added.Text("webhook_id")) {
		d.AwaitStatus(id, "completed")
	}
	if accepted := metric(d, `hooktroupe_tasks_accepted_total{source="github"}`); int(accepted) != len(ids)+1 {
		t.Errorf("%v accepted of %d", accepted, len(ids)+1)
	}
	if strings.Contains(d.Log(), "DATA RACE") {
		t.Error("a reload races with who looks")
	}
	t.Logf("%d deliveries over 9 reloads", len(ids))
}

func TestABadFileChangesNothingAndSaysSo(t *testing.T) {
	const good = "sources: {github: {secret: word}}\nhandlers: {l: {type: log}}\nroutes: [{source: github, event: \"*\", handler: l}]\n"
	d := start(t, good)
	if c := configured(t, d); c != nil {
		t.Errorf("/readyz before any reload: %v", c)
	}
	if metric(d, "hooktroupe_config_last_reload_successful") != 1 {
		t.Error("the start counts as no success")
	}
	for i, c := range []struct{ yaml, logged string }{
		{"sources: [", "did not find expected node content"},
		{strings.Replace(good, "handler: l", "handler: m", 1), `routes[0].handler: there is no handler \"m\"`},
		{good + "\nhttp: {listen: 0.0.0.0:1, max_header_bytes: 1}\nsources2: {}\n", "sources2: unknown key"},
		{strings.Replace(good, "event:", "filter: \"payload.x ==\", event:", 1), "filter"},
		{strings.Replace(good, "{type: log}", "{type: exec, command: [/does/not/exist]}", 1), "/does/not/exist"},
	} {
		reloaded(d, t, failedTo, func() { d.Configure(c.yaml) })
		if !strings.Contains(d.Log(), c.logged) {
			t.Errorf("not logged: %s", c.logged)
		}
		config := configured(t, d)
		if config["last_reload"] != "failed" || strings.Contains(fmt.Sprint(config), "word") || config["problem"] == "" {
			t.Errorf("/readyz: %v", config)
		}
		if metric(d, "hooktroupe_config_last_reload_successful") != 0 {
			t.Error("the metric says that all is well")
		}
		if answer := push(d, fmt.Sprint("d", i), "word"); answer.Code != http.StatusAccepted {
			t.Errorf("under the old configuration: %d %s", answer.Code, answer.Body)
		}
	}
	reloaded(d, t, succeeded, func() {
		d.Configure(good + "http: {listen: \"127.0.0.1:1\", idle_timeout: 9s}\nnum_workers: 9\ntasks: {timeout: 9s}\n")
	})
	config := configured(t, d)
	if got := fmt.Sprint(config["last_reload"], config["restart_needed"]); got != "successful[num_workers http.idle_timeout]" {
		t.Errorf("/readyz: %v", config)
	}
	if metric(d, "hooktroupe_config_last_reload_successful") != 1 || metric(d, "hooktroupe_config_restart_needed_keys") != 2 {
		t.Error("the metrics of a reload that keeps something back")
	}
}

func TestASecretThatIsRotatedIsTakenOver(t *testing.T) {
	d := daemontest.New(t, "")
	secret := filepath.Join(d.Folder, "secret")
	rotate := func(word string) {
		if err := os.WriteFile(secret+".new", []byte(word+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(secret+".new", secret); err != nil {
			t.Fatal(err)
		}
	}
	rotate("first")
	d.Configure("sources: {github: {secret: \"file:" + secret + "\"}}\nhandlers: {l: {type: log}}\n" +
		"routes: [{source: github, event: \"*\", handler: l}]\n")
	d.Start()
	if answer := push(d, "d1", "first"); answer.Code != http.StatusAccepted {
		t.Fatalf("%d %s", answer.Code, answer.Body)
	}
	reloaded(d, t, succeeded, func() { rotate("second") })
	if answer := push(d, "d2", "first"); answer.Code != http.StatusUnauthorized {
		t.Errorf("the old secret: %d", answer.Code)
	}
	if answer := push(d, "d2", "second"); answer.Code != http.StatusAccepted {
		t.Errorf("the new secret: %d %s", answer.Code, answer.Body)
	}
	reloaded(d, t, failedTo, func() {
		if err := os.Remove(secret); err != nil {
			t.Fatal(err)
		}
	})
	if answer := push(d, "d3", "second"); answer.Code != http.StatusAccepted {
		t.Errorf("while the file is gone: %d %s", answer.Code, answer.Body)
	}
	reloaded(d, t, succeeded, func() { rotate("third") })
	if answer := push(d, "d4", "third"); answer.Code != http.StatusAccepted {
		t.Errorf("once it is back: %d %s", answer.Code, answer.Body)
	}
}

// TestALinkThatIsSwappedIsTakenOver lays the file out as Kubernetes does, and replaces it as it does.
func TestALinkThatIsSwappedIsTakenOver(t *testing.T) {
	d := daemontest.New(t, "")
	publish := func(version, word string) {
		t.Helper()
		folder := filepath.Join(d.Folder, version)
		for _, err := range []error{
			os.Mkdir(folder, 0o700),
			os.WriteFile(filepath.Join(folder, "hooktroupe.yaml"), []byte("sources: {github: {secret: "+word+"}}\n"+
				"handlers: {l: {type: log}}\nroutes: [{source: github, event: \"*\", handler: l}]\n"), 0o600),
			os.Symlink(version, filepath.Join(d.Folder, "..data_tmp")),
			os.Rename(filepath.Join(d.Folder, "..data_tmp"), filepath.Join(d.Folder, "..data")),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	publish("..1", "first")
	file := filepath.Join(d.Folder, "hooktroupe.yaml")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join("..data", "hooktroupe.yaml"), file); err != nil {
		t.Fatal(err)
	}
	d.Start()
	for i, word := range []string{"second", "third"} {
		version := fmt.Sprint("..", i+2)
		reloaded(d, t, succeeded, func() { publish(version, word) })
		if answer := push(d, version, word); answer.Code != http.StatusAccepted {
			t.Errorf("%s: %d %s", version, answer.Code, answer.Body)
		}
		if err := os.RemoveAll(filepath.Join(d.Folder, fmt.Sprint("..", i+1))); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSIGHUPTakesOverSourcesAndForgetsNothing(t *testing.T) {
	const text = "sources: {github: {secret: %s}}\nhandlers: {l: {type: log}}\nroutes: [{source: github, event: \"*\", handler: l}]\n"
	d := start(t, fmt.Sprintf(text, "first"))
	first := push(d, "d1", "first")
	d.AwaitStatus(first.Text("webhook_id"), "completed")
	reload := func(yaml, logged string) {
		t.Helper()
		d.Configure(yaml)
		before := strings.Count(d.Log(), logged)
		if err := syscall.Kill(d.Pid(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		daemontest.Eventually(t, "it is logged that "+logged, func() bool { return strings.Count(d.Log(), logged) > before })
	}
	reload(fmt.Sprintf(text, "second"), "configuration reloaded")
	if answer := push(d, "d2", "first"); answer.Code != http.StatusUnauthorized {
		t.Errorf("the old secret: %d", answer.Code)
	}
	if answer := push(d, "d1", "second"); answer.Code != http.StatusOK || answer.Text("webhook_id") != first.Text("webhook_id") {
		t.Errorf("a duplicate after the reload: %d %s", answer.Code, answer.Body)
	}
	reload("sources: {github: {}}", "not reloaded")
	if answer := push(d, "d3", "second"); answer.Code != http.StatusAccepted {
		t.Errorf("after an invalid configuration: %d %s", answer.Code, answer.Body)
	}
	d.Kill()
	d.Configure(fmt.Sprintf(text, "second"))
	d.Start()
	if answer := push(d, "d1", "second"); answer.Code != http.StatusOK || answer.JSON()["duplicate"] != true {
		t.Errorf("a duplicate after a restart: %d %s", answer.Code, answer.Body)
	}
}
