package daemontest_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/hooktroupe/hooktroupe/daemon/daemontest"
)

// push sends a delivery signed with a secret.
func push(d *daemontest.Daemon, id, key string) daemontest.Answer {
	body := []byte(`{"repository": {"full_name": "o/r"}}`)
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write(body)
	return d.Must(http.MethodPost, "/webhooks/github", http.Header{
		"Content-Type": {"application/json"}, "X-Github-Event": {"push"}, "X-Github-Delivery": {id},
		"X-Hub-Signature-256": {"sha256=" + hex.EncodeToString(mac.Sum(nil))},
	}, body)
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
	reload(fmt.Sprintf(text, "second"), "sources reloaded")
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
