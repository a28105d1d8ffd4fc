package daemontest_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hooktroupe/hooktroupe/daemon/daemontest"
)

// TestFullDiskRefusesAndComesBackByItself fills a small file system below the daemon.
func TestFullDiskRefusesAndComesBackByItself(t *testing.T) {
	sink := daemontest.NewSink(t)
	d := daemontest.New(t, configuration(sink.URL)+"\njournal: {segment_bytes: 1MiB}\n")
	d.Env = secrets()
	data := filepath.Join(d.Folder, "data")
	if err := os.MkdirAll(data, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", data, "tmpfs", 0, "size=16m"); err != nil {
		t.Skipf("SKIPPED, nothing about full disks was tested: no tmpfs can be mounted here: %v", err)
	}
	t.Cleanup(func() {
		d.Kill()
		if err := syscall.Unmount(data, 0); err != nil {
			t.Error(err)
		}
	})
	filler := filepath.Join(data, "filler")
	if err := os.WriteFile(filler, make([]byte, 9<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	d.Start()
	noise := make([]byte, 48<<10) // what cannot be packed into less
	_, _ = rand.NewChaCha8([32]byte{}).Read(noise)
	body := fmt.Appendf(nil, `{"fill":%q}`, base64.StdEncoding.EncodeToString(noise))
	var stored []string
	var full daemontest.Answer
	for n := 0; n < 1000 && full.Code == 0; n++ {
		answer := post(t, d, fmt.Sprint("full-", n), body)
		if answer.Code == http.StatusAccepted {
			stored = append(stored, answer.Text("webhook_id"))
		} else {
			full = answer
		}
	}
	if full.Code != http.StatusInsufficientStorage || full.Header.Get("Retry-After") == "" {
		t.Fatalf("a full disk is answered %d %s", full.Code, full.Body)
	}
	for _, id := range stored {
		d.AwaitStatus(id, "completed") // stored work goes on
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	room := time.Now()
	daemontest.Eventually(t, "deliveries are accepted again", func() bool {
		return post(t, d, fmt.Sprint("again-", time.Now().UnixNano()), body).Code == http.StatusAccepted
	})
	if took := time.Since(room); took > 10*time.Second {
		t.Errorf("it took %v to accept again", took)
	}
	d.Kill()
	d.Start()
	for _, id := range stored {
		if got := d.Status(id).Text("status"); got != "completed" {
			t.Errorf("after the restart task %s is %q", id, got)
		}
	}
}

// everyThreadIsTraced says whether no thread of a process is left whose system calls nobody sees: a tracer takes them one after
// the other, and a sync may be made by any.
func everyThreadIsTraced(pid int) bool {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(threads) == 0 {
		return false
	}
	for _, thread := range threads {
		status, err := os.ReadFile(thread)
		if err != nil || strings.Contains(string(status), "TracerPid:\t0\n") {
			return false
		}
	}
	return true
}

// TestFailedSyncConfirmsNothingAndEndsTheProcess has the kernel fail fdatasync under the real process.
func TestFailedSyncConfirmsNothingAndEndsTheProcess(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skipf("SKIPPED, nothing about failing syncs was tested: %v", err)
	}
	sink := daemontest.NewSink(t)
	d := start(t, configuration(sink.URL))
	before := post(t, d, "before", []byte(`{}`)).Text("webhook_id")
	d.AwaitStatus(before, "completed")
	var said bytes.Buffer
	tracer := exec.Command(strace, "-f", "-qq", "-p", strconv.Itoa(d.Pid()), "-e", "trace=fdatasync,fsync",
		"-e", "inject=fdatasync,fsync:error=EIO")
	tracer.Stderr = &said
	if err := tracer.Start(); err != nil {
		t.Fatal(err)
	}
	traced := make(chan struct{})
	go func() { // ends with the tracer, which ends with the process that it traces
		_ = tracer.Wait()
		close(traced)
	}()
	t.Cleanup(func() {
		_ = tracer.Process.Kill()
		<-traced
	})
	daemontest.Eventually(t, "the process is traced, or cannot be", func() bool {
		select {
		case <-traced:
			return true
		default:
			return everyThreadIsTraced(d.Pid())
		}
	})
	select {
	case <-traced:
		t.Skipf("SKIPPED, nothing about failing syncs was tested: strace cannot attach: %s", said.String())
	default:
	}
	refused := 0
	for n := range 20 {
		headers := map[string]string{
			"Content-Type": "application/json", "X-GitHub-Event": "push", "X-GitHub-Delivery": fmt.Sprint("during-", n),
		}
		body := []byte(`{}`)
		answer, err := d.Send(http.MethodPost, "/webhooks/github", signed(t, "github", headers, body, secret), body)
		if err != nil {
			break // the process has ended
		}
		if answer.Code < 500 {
			t.Errorf("delivery %d was answered %d %s while no sync succeeds", n, answer.Code, answer.Body)
		}
		refused++
	}
	if code := d.Wait(); code == 0 {
		t.Error("the process exits with 0 after a failed sync")
	}
	if log := d.Log(); !strings.Contains(log, "0000000001.wal") || !strings.Contains(log, "input/output error") {
		t.Errorf("the log names no file and error: %s", log)
	}
	d.Start()
	if got := d.Status(before).Text("status"); got != "completed" {
		t.Errorf("after the restart the first task is %q", got)
	}
	t.Logf("%d deliveries were refused before the process ended", refused)
}
