package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hooktroupe/hooktroupe/client"
	"github.com/hooktroupe/hooktroupe/config"
	"github.com/hooktroupe/hooktroupe/daemon"
)

func TestTriageRemembersItsPullRequest(t *testing.T) {
	data := t.TempDir()
	cfg, err := configure(data)
	if err != nil {
		t.Fatal(err)
	}
	cfg.HTTP.Listen = "127.0.0.1:0"
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan daemon.Info, 1), make(chan error, 1)
	go func() { done <- run(ctx, cfg, func(info daemon.Info) { ready <- info }) }()
	var info daemon.Info
	select {
	case info = <-ready:
	case err := <-done:
		t.Fatal(err)
	}
	secret, err := os.ReadFile(filepath.Join(data, config.DemoSecretFile))
	if err != nil {
		t.Fatal(err)
	}
	api := client.New(info.URL, "")
	for i, step := range []struct {
		number, additions int
		want              string
	}{
		{1, 10, `{"size":"small","remarks":["the description says too little"],"changed":true}`},
		{1, 20, `{"size":"small","remarks":["the description says too little"],"changed":false}`},
		{2, 10, `{"size":"small","remarks":["the description says too little"],"changed":true}`},
		{1, 900, `{"size":"large","remarks":["900 lines in 3 files: consider several pull requests","the description says too little"],"changed":true}`},
	} {
		body := fmt.Sprintf(`{"action": "opened", "number": %d, "repository": {"full_name": "o/r"},
			"pull_request": {"number": %d, "additions": %d, "changed_files": 3}}`, step.number, step.number, step.additions)
		if got := deliver(ctx, t, api, strings.TrimSpace(string(secret)), fmt.Sprint("d", i), body); got != step.want {
			t.Errorf("step %d: %s, want %s", i, got, step.want)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// deliver sends a pull_request event and returns the task's result.
func deliver(ctx context.Context, t *testing.T, api *client.Client, secret, id, body string) string {
	t.Helper()
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	receipt, err := api.Deliver(ctx, "/webhooks/github", http.Header{
		"Content-Type": {"application/json"}, "X-Github-Event": {"pull_request"}, "X-Github-Delivery": {id},
		"X-Hub-Signature-256": {"sha256=" + hex.EncodeToString(mac.Sum(nil))},
	}, []byte(body))
	if err != nil || receipt.Code != http.StatusAccepted {
		t.Fatalf("%d %s, %v", receipt.Code, receipt.Body, err)
	}
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		task, err := api.Get(ctx, receipt.TaskID())
		if err != nil {
			t.Fatal(err)
		}
		if task.Final() {
			return string(task.Result)
		}
	}
	t.Fatal("the task is not final")
	return ""
}
