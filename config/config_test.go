package config_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/hooktroupe/hooktroupe/config"
)

const hush = "a-very-secret-word"

func load(t *testing.T, yaml string, environ ...string) (*config.Config, []string, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, warnings, err := config.Load(config.Options{File: file, Environ: environ})
	if err != nil {
		err = errors.New(strings.ReplaceAll(err.Error(), file, "c.yaml"))
	}
	return cfg, warnings, err
}

const good = `
num_workers: 7
MAX_RETRY_ATTEMPTS: 4
Cleanup_Age: 90
PERSISTENCE_INTERVAL: 2m
http: {max_body_bytes: 2MiB, allowed_hosts: [a.example, b.example]}
sources:
  github: {secret: env:S}
  gitlab:
    secrets: [env:S, {value: env:S, not_after: 2027-01-01T00:00:00Z}]
    aliases: [seed, /other]
  open: {type: generic, insecure: true}
handlers:
  sink: {type: forward, url: "http://127.0.0.1:1/", headers: {X.Dotted: env:S}, allow: [10.0.0.0/8]}
  run: {type: exec, command: [cat], set: {A: plain}}
routes:
  - {source: github, event: pull_request, handler: sink, timeout: 5s, max_attempts: 9}
  - {source: "*", event: "*", handler: run}
`

func TestFileIsRead(t *testing.T) {
	cfg, warnings, err := load(t, good, "S="+hush)
	if err != nil {
		t.Fatal(err)
	}
	checks := map[string]bool{
		"workers":   cfg.NumWorkers == 7,
		"attempts":  cfg.MaxRetryAttempts == 4,
		"age":       time.Duration(cfg.CleanupAge) == 90*time.Second,
		"interval":  time.Duration(cfg.PersistenceInterval) == 2*time.Minute,
		"body":      cfg.HTTP.MaxBodyBytes == 2<<20,
		"default":   cfg.HTTP.Listen == "127.0.0.1:8080" && cfg.MaxTasks == 100_000,
		"hosts":     len(cfg.HTTP.AllowedHosts) == 2,
		"type":      cfg.Sources["gitlab"].Type == "gitlab",
		"secrets":   len(cfg.Sources["gitlab"].Resolved) == 2 && string(cfg.Sources["gitlab"].Resolved[1].Value) == hush,
		"validity":  cfg.Sources["gitlab"].Resolved[1].NotAfter.Year() == 2027,
		"seed path": cfg.Sources["gitlab"].Aliases[0] == "/webhook",
		"header":    cfg.Handlers["sink"].Headers["X.Dotted"] == hush,
		"plain":     cfg.Handlers["run"].Set["A"] == "plain",
		"route":     cfg.Routes[0].MaxAttempts == 9 && time.Duration(cfg.Routes[0].Timeout) == 5*time.Second,
	}
	for what, ok := range checks {
		if !ok {
			t.Errorf("%s is wrong: %+v", what, cfg)
		}
	}
	if len(warnings) != 1 || !strings.Contains(warnings[0], "sources.open: insecure") {
		t.Errorf("warnings: %q", warnings)
	}
}

func TestProblemsNameLineAndRemedy(t *testing.T) {
	cases := []struct{ name, yaml, want string }{
		{"unknown key", "num_wrokers: 3", `c.yaml:1: num_wrokers: unknown key; did you mean "num_workers"?`},
		{"nested unknown key", "sources:\n  github:\n    secert: env:S", `c.yaml:3: sources.github.secert: unknown key; did you mean "secret"?`},
		{"in a list", "routes:\n  - {source: \"*\", event: \"*\", handlr: x}", `c.yaml:2: routes[0].handlr: unknown key; did you mean "handler"?`},
		{"no secret", "sources:\n  github: {}", "c.yaml:2: sources.github: has no secret: set secret, or say insecure: true to accept everything unverified"},
		{"secret and insecure", "sources:\n  github: {secret: env:S, insecure: true}", "c.yaml:2: sources.github.insecure: goes with no secret"},
		{"missing variable", "sources:\n  github: {secret: env:NONE}", "c.yaml:2: sources.github.secret: environment variable NONE is not set, or empty"},
		{"missing file", "sources:\n  github: {secret: file:/does/not/exist}", "c.yaml:2: sources.github.secret: open /does/not/exist: no such file or directory"},
		{"bounds", "NUM_WORKERS: 0", "c.yaml:1: num_workers: 0 is not within 1 and 10000"},
		{"duration", "cleanup_age: soon", "is not a time such as 90, 90s or 24h"},
		{"size", "http: {max_body_bytes: much}", "is not a size such as 1048576 or 25MiB"},
		{"rate", "sources:\n  github:\n    secret: env:S\n    rate: 5/d", `c.yaml:4: sources.github.rate: "5/d" is not a rate such as 100/s, 30/m or 5/h`},
		{"rate out of range", "sources: {github: {secret: env:S, rate: 1/h, burst: 1000001}}", "sources.github.burst: 1000001 is not within 0 and 1000000"},
		{"burst alone", "sources:\n  github: {secret: env:S, burst: 5}", "c.yaml:2: sources.github.burst: goes with a rate only"},
		{"allow", "sources:\n  github:\n    secret: env:S\n    allow: [10.0.0.0/8,\n      github.com]", `c.yaml:5: sources.github.allow[1]: "github.com" is neither an address nor a network`},
		{"allow within IPv6", "sources:\n  github: {secret: env:S, allow: [\"::ffff:10.0.0.0/104\"]}", "c.yaml:2: sources.github.allow[0]: \"::ffff:10.0.0.0/104\" is IPv4 within IPv6: write it in IPv4"},
		{"client address", "http:\n  client_address: x-real-ip", `c.yaml:2: http.client_address: "x-real-ip" is none of none, forwarded, x-forwarded-for, proxy-protocol`},
		{"client address of nobody", "http:\n  client_address: forwarded", "c.yaml:2: http.client_address: nobody is believed: set http.trusted_proxies"},
		{"proxies that say nothing", "http:\n  trusted_proxies: [10.0.0.1]", "c.yaml:2: http.trusted_proxies: nothing is read of them: set http.client_address"},
		{"proxies", "http:\n  client_address: forwarded\n  trusted_proxies: [lb.example]", `c.yaml:3: http.trusted_proxies[0]: "lb.example" is neither an address nor a network`},
		{"no handler", "routes: [{source: \"*\", event: \"*\", handler: x}]", `c.yaml:1: routes[0].handler: there is no handler "x"`},
		{"no source", "handlers: {l: {type: log}}\nroutes: [{source: s, event: \"*\", handler: l}]", `c.yaml:2: routes[0].source: there is no source "s"`},
		{"never used", "handlers: {l: {type: log}}\nroutes:\n  - {source: \"*\", event: \"*\", handler: l}\n  - {source: \"*\", event: \"*\", handler: l}",
			`c.yaml:4: routes[1]: has the name "any.any" of routes[0]: give it a name of its own`},
		{"quiet without debounce", "handlers: {l: {type: log}}\nroutes:\n  - {source: \"*\", event: \"*\", handler: l, quiet: 5s}",
			`c.yaml:3: routes[0].quiet: goes with policy debounce, and that with it`},
		{"no such policy", "handlers: {l: {type: log}}\nroutes:\n  - {source: \"*\", event: \"*\", handler: l, policy: fifo}",
			`c.yaml:3: routes[0].policy: "fifo" is none of`},
		{"handler and handlers", "handlers: {l: {type: log}}\nroutes:\n  - {source: \"*\", event: \"*\", handler: l, handlers: [l]}",
			`c.yaml:3: routes[0].handlers: goes without handler`},
		{"half a breaker", "handlers: {l: {type: log, breaker: {failures: 3}}}",
			`c.yaml:1: handlers.l.breaker: failures and open_for are above 0 together`},
		{"half a breaker of a route", "handlers: {l: {type: log}}\nroutes:\n  - {source: \"*\", event: \"*\", handler: l, breaker: {open_for: 5s}}",
			`c.yaml:3: routes[0].breaker: failures and open_for are above 0 together`},
		{"a breaker of a route below zero", "handlers: {l: {type: log}}\nroutes:\n  - {source: \"*\", event: \"*\", handler: l, breaker: {failures: -1}}",
			`c.yaml:3: routes[0].breaker: failures and open_for are above 0 together`},
		{"a breaker of a route misspelt", "handlers: {l: {type: log}}\nroutes:\n  - {source: \"*\", event: \"*\", handler: l, breaker: {failure: 3}}",
			`c.yaml:3: routes[0].breaker.failure: unknown key; did you mean "failures"?`},
		{"alias", "sources:\n  github: {secret: env:S, aliases: [/metrics]}", `c.yaml:2: sources.github.aliases[0]: "/metrics" is the daemon's own`},
		{"alias taken", "sources:\n  a: {type: github, secret: env:S, aliases: [/x]}\n  b: {type: github, secret: env:S, aliases: [/x]}",
			`c.yaml:3: sources.b.aliases[0]: "/x" belongs to source "a" already`},
		{"twice", "num_workers: 1\nNUM_WORKERS: 2", "c.yaml:2: num_workers: stands twice"},
		{"map for value", "num_workers: {a: 1}", "c.yaml:1: num_workers: is a single value, not a map"},
		{"handler type", "handlers: {h: {type: mail}}", `c.yaml:1: handlers.h.type: "mail" is none of log, forward, exec`},
		{"refers to itself", "routes: &x [*x]", "c.yaml: YAML: "},
		{"no YAML", "a: [", "c.yaml: YAML: "},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := load(t, c.yaml, "S="+hush)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestAllProblemsAreTold(t *testing.T) {
	_, _, err := load(t, "NUM_WORKERS: 0\nMAX_TASKS: 0\nsources: {github: {}}\n")
	if err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("want three lines, got:\n%v", err)
	}
}

func TestFlagsWinOverEnvironmentOverFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.yaml")
	text := "num_workers: 2\nmax_tasks: 2\nhttp: {listen: 127.0.0.1:2}\ndata_dir: two\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	flags.String("listen", "", "")
	flags.String("unset", "unset", "")
	if err := flags.Parse([]string{"--listen", "127.0.0.1:4"}); err != nil {
		t.Fatal(err)
	}
	cfg, _, err := config.Load(config.Options{
		File:    file,
		Environ: []string{"HOOKTROUPE_MAX_TASKS=3", "HOOKTROUPE_HTTP__LISTEN=127.0.0.1:3", "HOOKTROUPE_HTTP__ALLOWED_HOSTS=a, b", "HOOKTROUPE_SECRET=x", "OTHER=1"},
		Flags:   map[string]*pflag.Flag{"http.listen": flags.Lookup("listen"), "data_dir": flags.Lookup("unset")},
	})
	if err != nil {
		t.Fatal(err)
	}
	if cfg.NumWorkers != 2 || cfg.MaxTasks != 3 || cfg.HTTP.Listen != "127.0.0.1:4" || len(cfg.HTTP.AllowedHosts) != 2 {
		t.Errorf("got %+v", cfg)
	}
	if want := filepath.Join("two", "webhook_tasks.json"); cfg.DataDir != "two" || cfg.PersistenceFile != want {
		t.Errorf("task file %s in %s", cfg.PersistenceFile, cfg.DataDir)
	}
}

func TestUnknownVariableIsRefused(t *testing.T) {
	_, _, err := load(t, "", "HOOKTROUPE_NUM_WORKER=3")
	want := `environment: HOOKTROUPE_NUM_WORKER: unknown key; did you mean "num_workers"?`
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestSecretsAreNeverShown(t *testing.T) {
	cfg, warnings, err := load(t, strings.ReplaceAll(good, "secret: env:S", "secret: "+hush), "S="+hush)
	if err != nil {
		t.Fatal(err)
	}
	shown, err := config.Show(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for what, text := range map[string]string{
		"show": string(shown), "warnings": strings.Join(warnings, "\n"),
		"resolved": fmt.Sprintf("%v %+v %#v", cfg.Sources["gitlab"].Resolved, cfg.Sources["gitlab"].Resolved, cfg.Sources["gitlab"].Resolved),
	} {
		if strings.Contains(text, hush) {
			t.Errorf("%s holds the secret: %s", what, text)
		}
	}
	if !strings.Contains(strings.Join(warnings, "\n"), "sources.github.secret: the secret stands in the configuration") {
		t.Errorf("no warning of a literal secret: %q", warnings)
	}
	_, _, err = load(t, "sources: {github: {secret: "+hush+", insecure: true}}")
	if err == nil || strings.Contains(err.Error(), hush) {
		t.Errorf("the error: %v", err)
	}
}

func TestDemoKeepsItsSecret(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "data")
	for range 2 {
		if _, err := config.Demo(folder, strings.NewReader(strings.Repeat("x", 32))); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(folder, config.DemoSecretFile)
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info, err)
	}
	first, _ := os.ReadFile(file)
	if _, err := config.Demo(folder, strings.NewReader(strings.Repeat("y", 32))); err != nil {
		t.Fatal(err)
	}
	if second, _ := os.ReadFile(file); string(first) != string(second) || len(first) != 65 {
		t.Errorf("the secret changed from %q to %q", first, second)
	}
}

func FuzzLoad(f *testing.F) {
	f.Add(good)
	f.Add("a: &x [*x]")
	f.Add("sources: [1, 2]\nroutes: {a: b}")
	f.Fuzz(func(t *testing.T, yaml string) {
		cfg, _, err := load(t, yaml, "S="+hush)
		if (cfg == nil) == (err == nil) {
			t.Errorf("configuration %v and error %v", cfg, err)
		}
	})
}
