// Package daemontest runs the real binary as a process, for tests that send it deliveries over HTTP, kill it and start it
// again. The binary is built once for each test run, with the race detector.
package daemontest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Patience bounds every wait of a test. It is generous, for the machine may be busy; a healthy daemon needs far less.
const Patience = 60 * time.Second

var binary = sync.OnceValues(build)

// build compiles the command into a folder that the operating system cleans up.
func build() (string, error) {
	folder, err := os.MkdirTemp("", "hooktroupe-test-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(folder, "hooktroupe")
	command := exec.Command("go", "build", "-race", "-o", path, "github.com/hooktroupe/hooktroupe/cmd/hooktroupe")
	if output, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, output)
	}
	return path, nil
}

// Binary returns the path of the binary.
func Binary(t testing.TB) string {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// Daemon is one process, or, after Kill or Stop, the data that it left.
type Daemon struct {
	// Folder holds configuration, data and log.
	Folder string
	// URL is where it listens: a new port after every start.
	URL string

	t       testing.TB
	command *exec.Cmd
	log     *logBuffer
	exited  chan struct{} // closed when the process has ended
	err     error         // of the process; read after exited
	Env     []string

	// Prefix is a command that runs the daemon, such as one that enters a network namespace and becomes the daemon. None
	// means that it is run as it is.
	Prefix []string
	// Listen is where it listens; a free port of 127.0.0.1 when empty.
	Listen string
	// Program is the daemon's binary; the one of the working tree when empty.
	Program string
}

// New prepares a folder with a configuration file. The text may hold %DATA% for the folder of data, and leaves
// http.listen to the flag.
func New(t testing.TB, yaml string) *Daemon {
	t.Helper()
	d := &Daemon{Folder: t.TempDir(), t: t}
	d.Configure(yaml)
	t.Cleanup(func() {
		if d.command != nil {
			d.Kill()
		}
		if t.Failed() {
			t.Logf("log of the daemon:\n%s", d.Log())
		}
	})
	return d
}

// Configure replaces the configuration file.
func (d *Daemon) Configure(yaml string) {
	d.t.Helper()
	if err := os.WriteFile(filepath.Join(d.Folder, "hooktroupe.yaml"), []byte(yaml), 0o600); err != nil {
		d.t.Fatal(err)
	}
}

// Start runs the daemon and waits until it is ready. What it started with must be what its schema accepts.
func (d *Daemon) Start() {
	d.t.Helper()
	d.Launch()
	d.Await("/readyz", http.StatusOK)
	text, err := os.ReadFile(filepath.Join(d.Folder, "hooktroupe.yaml"))
	if err == nil {
		err = CheckSchema(text)
	}
	if err != nil {
		d.t.Errorf("the daemon takes a configuration that its schema refuses: %v", err)
	}
}

var listening = regexp.MustCompile(`http://[\d.]+:\d+`)

// Launch runs the daemon and waits until it listens, ready or not.
func (d *Daemon) Launch(args ...string) {
	d.t.Helper()
	d.Run(args...)
	deadline := time.Now().Add(Patience)
	for {
		if url := listening.FindString(d.log.String()); url != "" {
			d.URL = url
			return
		}
		select {
		case <-d.exited:
			d.t.Fatalf("the daemon ended before it listened: %v\n%s", d.err, d.Log())
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			d.t.Fatalf("the daemon does not listen\n%s", d.Log())
		}
	}
}

// Run runs the daemon and waits for nothing.
func (d *Daemon) Run(args ...string) {
	d.t.Helper()
	all := append(slices.Clone(d.Prefix), cmp.Or(d.Program, Binary(d.t)),
		"serve", "--config", filepath.Join(d.Folder, "hooktroupe.yaml"), "--listen", cmp.Or(d.Listen, "127.0.0.1:0"),
		"--data-dir", filepath.Join(d.Folder, "data"))
	all = append(all, args...)
	d.command = exec.Command(all[0], all[1:]...)
	d.command.Dir = d.Folder
	d.command.Env = append(os.Environ(), d.Env...)
	d.log = &logBuffer{}
	d.command.Stdout, d.command.Stderr = d.log, d.log
	if err := d.command.Start(); err != nil {
		d.t.Fatal(err)
	}
	exited := make(chan struct{})
	d.exited = exited
	go func() { // ends with the process
		d.err = d.command.Wait()
		close(exited)
	}()
}

// Kill ends the process as a power cut would, without giving it a moment.
func (d *Daemon) Kill() { d.end(syscall.SIGKILL) }

// Stop asks the process to end, waits for it, and returns its exit code.
func (d *Daemon) Stop() int { return d.end(syscall.SIGTERM) }

// Wait waits until the process ends by itself and returns its exit code.
func (d *Daemon) Wait() int {
	d.t.Helper()
	select {
	case <-d.exited:
	case <-time.After(Patience):
		d.t.Fatalf("the daemon does not end\n%s", d.Log())
	}
	d.command = nil
	var failed *exec.ExitError
	if errors.As(d.err, &failed) {
		return failed.ExitCode()
	}
	return 0
}

func (d *Daemon) end(signal syscall.Signal) int {
	d.t.Helper()
	if d.command == nil {
		return 0
	}
	_ = d.command.Process.Signal(signal) // it may have ended already
	return d.Wait()
}

// Signal sends the process a signal.
func (d *Daemon) Signal(s syscall.Signal) {
	d.t.Helper()
	if err := d.command.Process.Signal(s); err != nil {
		d.t.Fatal(err)
	}
}

// Pid is the process's.
func (d *Daemon) Pid() int { return d.command.Process.Pid }

// Log is what the process has printed so far.
func (d *Daemon) Log() string {
	if d.log == nil {
		return ""
	}
	return d.log.String()
}

// Await asks for a path until the answer has that status.
func (d *Daemon) Await(path string, status int) {
	d.t.Helper()
	Eventually(d.t, fmt.Sprintf("%s answers %d", path, status), func() bool {
		response, err := http.Get(d.URL + path)
		if err != nil {
			return false
		}
		_ = response.Body.Close()
		return response.StatusCode == status
	})
}

// Answer is a response with its body read.
type Answer struct {
	Code   int
	Header http.Header
	Body   []byte
}

// JSON decodes the body into a map.
func (a Answer) JSON() map[string]any {
	var m map[string]any
	_ = json.Unmarshal(a.Body, &m)
	return m
}

// Text is a member of the body, as text; empty if it is none.
func (a Answer) Text(member string) string {
	text, _ := a.JSON()[member].(string)
	return text
}

// Send sends one request and returns the answer; an error is that of the connection.
func (d *Daemon) Send(method, path string, header http.Header, body []byte) (Answer, error) {
	request, err := http.NewRequest(method, d.URL+path, bytes.NewReader(body))
	if err != nil {
		return Answer{}, err
	}
	if header != nil {
		request.Header = header.Clone()
	}
	response, err := client.Do(request)
	if err != nil {
		return Answer{}, err
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	return Answer{Code: response.StatusCode, Header: response.Header, Body: content}, err
}

// client reuses connections, and gives up long after a healthy daemon would have answered.
var client = &http.Client{
	Timeout:       Patience,
	Transport:     &http.Transport{MaxIdleConnsPerHost: 256, ExpectContinueTimeout: Patience},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// Must is Send for a daemon that is there.
func (d *Daemon) Must(method, path string, header http.Header, body []byte) Answer {
	d.t.Helper()
	answer, err := d.Send(method, path, header, body)
	if err != nil {
		d.t.Fatalf("%s %s: %v", method, path, err)
	}
	return answer
}

// Status returns what the seed's endpoint says of a task.
func (d *Daemon) Status(id string) Answer {
	d.t.Helper()
	return d.Must(http.MethodGet, "/api/v1/webhook_status/"+id, nil, nil)
}

// AwaitStatus waits until a task has that status.
func (d *Daemon) AwaitStatus(id, status string) {
	d.t.Helper()
	last := ""
	Eventually(d.t, fmt.Sprintf("task %s is %s", id, status), func() bool {
		last = d.Status(id).Text("status")
		return last == status
	})
}

// Eventually waits until a condition holds.
func Eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(Patience)
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("not so within %v: %s", Patience, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// logBuffer collects what a process prints.
type logBuffer struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

// Write is called by the process's copying goroutine.
func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// String is what was printed so far.
func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
