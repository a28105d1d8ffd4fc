package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/hooktroupe/hooktroupe/internal/pgserver"
	"github.com/hooktroupe/hooktroupe/internal/pgtest"
)

// command runs one and returns how it exits and what it prints.
func command(environ []string, args ...string) (exit int, out, errs string) {
	var stdout, stderr strings.Builder
	exit = run(args, environ, &stdout, &stderr)
	return exit, stdout.String(), stderr.String()
}

func TestMigrate(t *testing.T) {
	server, url := pgtest.Server(t, pgserver.Options{NoSync: true})
	environ := []string{storeVariable + "=" + url}
	var (
		running sync.WaitGroup
		mu      sync.Mutex
		printed []string
	)
	for range 4 { // at once
		running.Go(func() {
			exit, out, errs := command(environ, "migrate", "--shards", "8")
			mu.Lock()
			defer mu.Unlock()
			if printed = append(printed, out); exit != exitOK || errs != "" {
				t.Errorf("exit %d: %s", exit, errs)
			}
		})
	}
	running.Wait()
	worked := 0
	for _, out := range printed {
		switch {
		case strings.HasPrefix(out, "version 1: applied 0001_store.sql\n") && strings.HasSuffix(out, "made 8 shards\n"):
			worked++
		case out != "nothing to do\n":
			t.Errorf("printed %q", out)
		}
	}
	if worked != 1 {
		t.Errorf("%d did the work", worked)
	}
	file := filepath.Join(t.TempDir(), "store")
	if err := os.WriteFile(file, []byte(url+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if exit, out, errs := command(nil, "migrate", "--store-file", file); exit != exitOK || out != "nothing to do\n" {
		t.Errorf("from a file: exit %d: %s%s", exit, out, errs)
	}
	if exit, _, errs := command(environ, "migrate", "--shards", "9"); exit != exitFailed || !strings.Contains(errs, "8 shards") {
		t.Errorf("another number of shards: exit %d: %s", exit, errs)
	}
	yaml := filepath.Join(t.TempDir(), "hooktroupe.yaml")
	for _, enabled := range []bool{true, false} {
		if err := os.WriteFile(yaml, fmt.Appendf(nil, `
cluster: {enabled: %v, advertise: "127.0.0.1:7070", insecure: true, store: "env:MY_STORE", shards: 8}
handlers: {log: {type: log}}
`, enabled), 0o600); err != nil {
			t.Fatal(err)
		}
		exit, out, errs := command([]string{"MY_STORE=" + url}, "migrate", "--config", yaml)
		if exit != exitOK || out != "nothing to do\n" {
			t.Errorf("from a configuration, enabled %v: exit %d: %s%s", enabled, exit, out, errs)
		}
		if exit, _, errs := command([]string{"MY_STORE=" + url}, "migrate", "--config", yaml, "--shards", "9"); exit != exitFailed || !strings.Contains(errs, "8 shards") {
			t.Errorf("the flag is over the configuration: exit %d: %s", exit, errs)
		}
		if exit, _, errs := command(nil, "migrate", "--config", yaml); exit != exitConfiguration || !strings.Contains(errs, "MY_STORE") {
			t.Errorf("without the variable: exit %d: %s", exit, errs)
		}
		t.Chdir(filepath.Dir(yaml)) // where serve looks, too
		if exit, out, errs := command([]string{"MY_STORE=" + url}, "migrate"); exit != exitOK || out != "nothing to do\n" {
			t.Errorf("from the configuration that is there, enabled %v: exit %d: %s%s", enabled, exit, out, errs)
		}
	}
	if exit, _, _ := command(nil, "migrate", "--config", yaml, "--store-file", file); exit != exitUsage {
		t.Errorf("two places: exit %d", exit)
	}
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	exit, out, errs := command(environ, "migrate")
	if exit != exitUnreachable || strings.Contains(out+errs, server.Password()) {
		t.Errorf("no server: exit %d: %s%s", exit, out, errs)
	}
}

func TestMigrateUsage(t *testing.T) {
	for name, environ := range map[string][]string{"no URL": nil, "no database's": {storeVariable + "=https://u:hush@h/"}} {
		exit, out, errs := command(environ, "migrate")
		if exit != exitUsage || strings.Contains(out+errs, "hush") {
			t.Errorf("%s: exit %d: %s%s", name, exit, out, errs)
		}
	}
	if exit, _, _ := command([]string{storeVariable + "=postgres://h/d"}, "migrate", "--shards", "1025"); exit != exitUsage {
		t.Errorf("too many shards: exit %d", exit)
	}
}
