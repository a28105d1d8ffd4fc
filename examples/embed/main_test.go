package main

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hooktroupe/hooktroupe/client"
	"github.com/hooktroupe/hooktroupe/config"
	"github.com/hooktroupe/hooktroupe/daemon"
	"github.com/hooktroupe/hooktroupe/source"
	"github.com/hooktroupe/hooktroupe/source/sources"
)

func TestHandlerOfTheProgramWorksTheDelivery(t *testing.T) {
	data := t.TempDir()
	cfg, err := configure(data)
	if err != nil {
		t.Fatal(err)
	}
	cfg.HTTP.Listen = "127.0.0.1:0"
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan daemon.Info, 1), make(chan error, 1)
	reader, writer := io.Pipe()
	go func() { done <- run(ctx, cfg, writer, func(info daemon.Info) { ready <- info }) }()
	var info daemon.Info
	select {
	case info = <-ready:
	case err := <-done:
		t.Fatal(err)
	}
	header, body := delivery(t, filepath.Join(data, config.DemoSecretFile))
	receipt, err := client.New(info.URL, "").Deliver(ctx, "/webhooks/github", header, body)
	if err != nil || receipt.Code != http.StatusAccepted {
		t.Fatalf("%d %s, %v", receipt.Code, receipt.Body, err)
	}
	line := make([]byte, 256)
	n, err := reader.Read(line)
	if err != nil || !strings.HasPrefix(string(line[:n]), "attempt 1 at pull_request.opened, ") {
		t.Errorf("the handler printed %q, %v", line[:n], err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// delivery is a signed sample.
func delivery(t *testing.T, secretFile string) (http.Header, []byte) {
	t.Helper()
	secret, err := os.ReadFile(secretFile)
	if err != nil {
		t.Fatal(err)
	}
	github, err := sources.All()["github"](source.Config{
		Name: "github", Type: "github", Secrets: []source.Secret{{Value: []byte(strings.TrimSpace(string(secret)))}},
	})
	if err != nil {
		t.Fatal(err)
	}
	block, body, err := github.(source.Sampler).Sample("pull_request", "")
	if err == nil {
		block, err = github.(source.Signer).Sign(block, body, time.Now())
	}
	if err != nil {
		t.Fatal(err)
	}
	header := make(http.Header)
	for _, field := range block {
		header.Set(field.Name, field.Value)
	}
	return header, body
}
