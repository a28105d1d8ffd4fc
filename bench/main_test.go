//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/hooktroupe/hooktroupe/bench/internal/load"
	"github.com/hooktroupe/hooktroupe/bench/internal/report"
	"github.com/hooktroupe/hooktroupe/bench/internal/scenario"
	"github.com/hooktroupe/hooktroupe/bench/internal/target"
)

func TestFlags(t *testing.T) {
	var o options
	if err := o.parse([]string{"-short", "-only", "gap,depth", "-out", "x.json", "-dir", "/y"}, io.Discard); err != nil {
		t.Fatal(err)
	}
	if !o.short || o.markdown || o.out != "x.json" || o.dir != "/y" || !slices.Equal(o.only, []string{"gap", "depth"}) {
		t.Errorf("%+v", o)
	}
	var defaults options
	if err := defaults.parse(nil, io.Discard); err != nil {
		t.Fatal(err)
	}
	if defaults.short || defaults.only != nil || defaults.out != filepath.Join("bench", "results.json") {
		t.Errorf("%+v", defaults)
	}
}

func TestWrongUse(t *testing.T) {
	for _, args := range [][]string{{"gap"}, {"-fast"}, {"-short", "-out"}} {
		if err := run(t.Context(), args, io.Discard, io.Discard); err == nil {
			t.Errorf("%q is taken", args)
		}
	}
	var help bytes.Buffer
	if err := run(t.Context(), []string{"-h"}, io.Discard, &help); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("-h: %v", err)
	}
	for _, name := range scenario.Names() {
		if !bytes.Contains(help.Bytes(), []byte(name)) {
			t.Errorf("%s is not in\n%s", name, &help)
		}
	}
}

// The ceilings that a run executes itself as, on a real port: they end without an error when they are told to, and what the one
// that commits has accepted is in its log.
func TestCeilingsServeUntilTheyAreStopped(t *testing.T) {
	t.Run("verify", func(t *testing.T) { serves(t, verify) })
	t.Run("commit", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "log")
		serves(t, commit, path)
		log, err := os.ReadFile(path)
		if err != nil || bytes.Count(log, load.Body(1024)) != 50 {
			t.Errorf("%d deliveries are in the log, %v", bytes.Count(log, load.Body(1024)), err)
		}
	})
}

// serves runs a ceiling, sends it 50 deliveries and one that is forged, and stops it.
func serves(t *testing.T, command string, rest ...string) {
	t.Helper()
	address, err := target.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1) // the one end of run
	go func() { served <- run(ctx, slices.Concat([]string{command, address}, rest), io.Discard, io.Discard) }()
	plan := load.Plan{
		Address: address, Connections: 2, Count: 50,
		Requests: []load.Request{load.NewRequest(target.Secret, target.Completing, load.Body(1024))},
	}
	var result load.Result
	for deadline := time.Now().Add(time.Minute); ; { // until it listens
		result, err = load.Run(ctx, plan)
		if err == nil || time.Now().After(deadline) {
			break
		}
	}
	if err != nil || result.Accepted != 50 {
		t.Errorf("%d accepted, %v", result.Accepted, err)
	}
	forged := plan
	forged.Requests = []load.Request{load.NewRequest("another", target.Completing, load.Body(1024))}
	var refused *load.RefusedError
	if _, err := load.Run(ctx, forged); !errors.As(err, &refused) || refused.Status != 401 {
		t.Errorf("another secret: %v", err)
	}
	stop()
	if err := <-served; err != nil {
		t.Errorf("stopped: %v", err)
	}
}

func TestSave(t *testing.T) {
	path := filepath.Join(t.TempDir(), "results.json")
	r := &report.Report{}
	r.Tell("gap", "longest", 3, report.Milliseconds)
	if err := save(r, path); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil || !bytes.Contains(text, []byte(`"longest"`)) {
		t.Errorf("%v: %s", err, text)
	}
	if err := save(r, filepath.Join(path, "below a file")); err == nil {
		t.Error("saved below a file")
	}
}

func TestDescribe(t *testing.T) {
	m, err := describe(t.TempDir())
	if err != nil || m.Processors < 1 || m.Disk == "" || m.Go == "" || m.LoadBefore < 0 {
		t.Errorf("%+v, %v", m, err)
	}
}
