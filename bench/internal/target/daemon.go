//go:build linux

package target

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"text/template"
	"time"
)

// Secret is GitHub's, for every server that is measured.
const Secret = "It's a Secret to Everybody"

// The events that a Daemon's routes know, by what becomes of their tasks.
const (
	// Completing ones are completed at once, by a handler that logs.
	Completing = "push"
	// Pinning ones fail, and wait an hour for their next attempt.
	Pinning = "issues"
	// Blocking ones keep a worker busy until the process ends; behind as many as there are workers, every task waits.
	Blocking = "pull_request"
	// Serial ones are completed at once, one at a time for each repository; Unordered ones, by the same handler, are not held.
	Serial    = "create"
	Unordered = "delete"
	// Sleeping ones run a program that sleeps for an hour.
	Sleeping = "fork"
	// Held ones are as Blocking ones, in serial lanes: one for each repository.
	Held = "watch"
)

// Settings are what differs between the daemons that are measured. Everything else is the default.
type Settings struct {
	// Workers is NUM_WORKERS.
	Workers int
	// Remembered is MAX_TASKS: the bodies of so many finished tasks stay in the journal.
	Remembered int
	// SnapshotInterval is PERSISTENCE_INTERVAL.
	SnapshotInterval time.Duration
	// Store is the URL of a PostgreSQL database, which makes the daemon a cluster's only member; empty for a journal of its own.
	Store string
}

// DefaultSettings are the daemon's own defaults.
func DefaultSettings() Settings {
	return Settings{Workers: 5, Remembered: 100_000, SnapshotInterval: 5 * time.Minute}
}

// configuration takes a configuration's values. Pinning and Blocking deliveries go to a Sink.
var configuration = template.Must(template.New("hooktroupe.yaml").Parse(`
data_dir: {{printf "%q" .Folder}}
shutdown_timeout: 1s
log: {level: error}
http: {listen: "{{.Address}}"}
tasks: {timeout: 24h, max_waiting: 2000000}
NUM_WORKERS: {{.Workers}}
MAX_TASKS: {{.Remembered}}
PERSISTENCE_INTERVAL: {{.SnapshotInterval}}
sources:
  github: {secret: {{printf "%q" .Secret}}}
handlers:
  sink: {type: log}
  later: {type: forward, url: "http://{{.Sink}}/later"}
  never: {type: forward, url: "http://{{.Sink}}/never", timeout: 24h}
  sleep: {type: exec, command: [sleep, "3600"], timeout: 24h}
routes:
  - {source: github, event: push, handler: sink}
  - {source: github, event: issues, handler: later}
  - {source: github, event: pull_request, handler: never}
  - {source: github, event: create, handler: sink, policy: serial}
  - {source: github, event: delete, handler: sink}
  - {source: github, event: fork, handler: sleep}
  - {source: github, event: watch, handler: never, policy: serial}
{{- if .Store}}
cluster: {enabled: true, name: alone, advertise: "{{.Member}}", insecure: true, store: "env:` + storeVariable + `"}
{{- end}}
`))

// storeVariable is where the URL of the store is, which is a secret.
const storeVariable = "BENCH_STORE"

// Daemon is a daemon that runs.
type Daemon struct {
	*Process
	client *http.Client
}

// Build compiles the daemon into a folder and returns the program's path. It is to be run within the module.
func Build(ctx context.Context, folder string) (string, error) {
	path := filepath.Join(folder, "hooktroupe")
	const command = "github.com/hooktroupe/hooktroupe/cmd/hooktroupe"
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, command) //nolint:gosec // the path is ours
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, output)
	}
	return path, nil
}

// StartDaemon runs the program with its data in a folder, which may hold what another one left, and returns once it is
// ready: /readyz says 200.
func StartDaemon(ctx context.Context, program, folder string, sink *Sink, s Settings) (*Daemon, error) {
	address, err := FreeAddress()
	if err != nil {
		return nil, err
	}
	member, err := FreeAddress()
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	err = configuration.Execute(&text, map[string]any{
		"Folder": filepath.Join(folder, "data"), "Address": address, "Secret": Secret, "Sink": sink.Address(),
		"Workers": s.Workers, "Remembered": s.Remembered, "SnapshotInterval": s.SnapshotInterval,
		"Store": s.Store, "Member": member,
	})
	if err != nil {
		return nil, err
	}
	file := filepath.Join(folder, "hooktroupe.yaml")
	if err := os.WriteFile(file, text.Bytes(), 0o600); err != nil {
		return nil, err
	}
	var environ []string
	if s.Store != "" {
		environ = append(environ, storeVariable+"="+s.Store)
	}
	p, err := start(ctx, address, environ, program, "serve", "--config", file)
	if err != nil {
		return nil, err
	}
	d := &Daemon{Process: p, client: &http.Client{Timeout: startPatience}}
	if err := d.await(ctx, stopPatience, pollInterval, func() (bool, error) { return d.ready(ctx), nil }); err != nil {
		_ = d.Kill() // the error that counts is the first
		return nil, fmt.Errorf("the daemon does not get ready: %w", err)
	}
	return d, nil
}

// Newest returns the ID of the task that was accepted last.
func (d *Daemon) Newest(ctx context.Context) (string, error) {
	var text bytes.Buffer
	if _, err := d.get(ctx, "/api/v1/webhook_statuses?limit=1", &text); err != nil {
		return "", err
	}
	var page struct {
		Webhooks []struct {
			ID string `json:"webhook_id"`
		} `json:"webhooks"`
	}
	if err := json.Unmarshal(text.Bytes(), &page); err != nil || len(page.Webhooks) == 0 {
		return "", fmt.Errorf("no task is listed: %.100s", text.Bytes())
	}
	return page.Webhooks[0].ID, nil
}

// Lanes says how many lanes there are.
func (d *Daemon) Lanes(ctx context.Context) (int, error) {
	var text bytes.Buffer
	if _, err := d.get(ctx, "/api/v1/lanes?limit=1", &text); err != nil {
		return 0, err
	}
	var page struct {
		Total *int `json:"total"`
	}
	if err := json.Unmarshal(text.Bytes(), &page); err != nil || page.Total == nil {
		return 0, fmt.Errorf("lanes are not told: %.100s", text.Bytes())
	}
	return *page.Total, nil
}

// Cancel ends a task.
func (d *Daemon) Cancel(ctx context.Context, id string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+d.Address+"/api/v1/tasks/"+id+"/cancel", http.NoBody)
	if err != nil {
		return err
	}
	response, err := d.client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("cancel: %s", response.Status)
	}
	return nil
}

// ready asks /readyz. A connection that fails is a no.
func (d *Daemon) ready(ctx context.Context) bool {
	status, err := d.get(ctx, "/readyz", io.Discard)
	return err == nil && status == http.StatusOK
}

// Counts asks /metrics.
func (d *Daemon) Counts(ctx context.Context) (Counts, error) {
	var text bytes.Buffer
	status, err := d.get(ctx, "/metrics", &text)
	if err != nil {
		return Counts{}, err
	}
	if status != http.StatusOK {
		return Counts{}, fmt.Errorf("/metrics answers %d: %.200s", status, &text)
	}
	return ParseCounts(&text)
}

// Until asks /metrics again and again until they satisfy the condition, and returns them as they were then; with an error,
// as they were last.
func (d *Daemon) Until(ctx context.Context, holds func(Counts) bool) (Counts, error) {
	var last Counts
	err := d.await(ctx, untilPatience, scrapeInterval, func() (bool, error) {
		c, err := d.Counts(ctx)
		if err != nil {
			return false, err
		}
		last = c
		return holds(c), nil
	})
	return last, err
}

func (d *Daemon) get(ctx context.Context, path string, to io.Writer) (status int, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+d.Address+path, nil)
	if err != nil {
		return 0, err
	}
	response, err := d.client.Do(request)
	if err != nil {
		return 0, err
	}
	defer func() { _ = response.Body.Close() }()
	_, err = io.Copy(to, response.Body)
	return response.StatusCode, err
}

// JournalFolder is where a daemon keeps its journal, below the folder that StartDaemon was given.
func JournalFolder(folder string) string { return filepath.Join(folder, "data", "journal") }
