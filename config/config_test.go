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
	"github.com/hooktroupe/hooktroupe/daemon/daemontest"
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
	} else if err := daemontest.CheckSchema([]byte(yaml)); err != nil {
		t.Errorf("the schema refuses what is loaded: %v in\n%s", err, yaml)
	}
	var told []string
	for _, w := range warnings {
		told = append(told, strings.ReplaceAll(w.String(), file, "c.yaml"))
	}
	return cfg, told, err
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
		{"unknown key", "num_wrokers: 3", `c.yaml:1:1: num_wrokers: unknown key; did you mean "num_workers"?`},
		{"nested unknown key", "sources:\n  github:\n    secert: env:S", `c.yaml:3:5: sources.github.secert: unknown key; did you mean "secret"?`},
		{"in a list", "routes:\n  - {source: \"*\", event: \"*\", handlr: x}", `c.yaml:2:31: routes[0].handlr: unknown key; did you mean "handler"?`},
		{"no secret", "sources:\n  github: {}", "c.yaml:2:3: sources.github: has no secret: set secret, or say insecure: true to accept everything unverified"},
		{"secret and insecure", "sources:\n  github: {secret: env:S, insecure: true}", "c.yaml:2:37: sources.github.insecure: goes with no secret"},
		{"missing variable", "sources:\n  github: {secret: env:NONE}", "c.yaml:2:20: sources.github.secret: environment variable NONE is not set, or empty"},
		{"missing file", "sources:\n  github: {secret: file:/does/not/exist}", "c.yaml:2:20: sources.github.secret: open /does/not/exist: no such file or directory"},
		{"bounds", "NUM_WORKERS: 0", "c.yaml:1:14: num_workers: 0 is not within 1 and 10000"},
		{"duration", "cleanup_age: soon", `c.yaml:1:14: cleanup_age: "soon" is not a time such as 90, 90s or 24h`},
		{"size", "http: {max_body_bytes: much}", `c.yaml:1:24: http.max_body_bytes: "much" is not a size such as 1048576 or 25MiB`},
		{"rate", "sources:\n  github:\n    secret: env:S\n    rate: 5/d", `c.yaml:4:11: sources.github.rate: "5/d" is not a rate such as 100/s, 30/m or 5/h`},
		{"rate out of range", "sources: {github: {secret: env:S, rate: 1/h, burst: 1000001}}", "sources.github.burst: 1000001 is not within 0 and 1000000"},
		{"burst alone", "sources:\n  github: {secret: env:S, burst: 5}", "c.yaml:2:34: sources.github.burst: goes with a rate only"},
		{"allow", "sources:\n  github:\n    secret: env:S\n    allow: [10.0.0.0/8,\n      github.com]", `c.yaml:5:7: sources.github.allow[1]: "github.com" is neither an address nor a network`},
		{"allow within IPv6", "sources:\n  github: {secret: env:S, allow: [\"::ffff:10.0.0.0/104\"]}", "c.yaml:2:35: sources.github.allow[0]: \"::ffff:10.0.0.0/104\" is IPv4 within IPv6: write it in IPv4"},
		{"client address", "http:\n  client_address: x-real-ip", `c.yaml:2:19: http.client_address: "x-real-ip" is none of none, forwarded, x-forwarded-for, proxy-protocol`},
		{"client address of nobody", "http:\n  client_address: forwarded", "c.yaml:2:19: http.client_address: nobody is believed: set http.trusted_proxies"},
		{"proxies that say nothing", "http:\n  trusted_proxies: [10.0.0.1]", "c.yaml:2:3: http.trusted_proxies: nothing is read of them: set http.client_address"},
		{"proxies", "http:\n  client_address: forwarded\n  trusted_proxies: [lb.example]", `c.yaml:3:21: http.trusted_proxies[0]: "lb.example" is neither an address nor a network`},
		{"no handler", "routes: [{source: \"*\", event: \"*\", handler: x}]", `c.yaml:1:45: routes[0].handler: there is no handler "x"`},
		{"no source", "handlers: {l: {type: log}}\nroutes: [{source: s, event: \"*\", handler: l}]", `c.yaml:2:19: routes[0].source: there is no source "s"`},
		{"never used", "handlers: {l: {type: log}}\nroutes:\n  - {source: \"*\", event: \"*\", handler: l}\n  - {source: \"*\", event: \"*\", handler: l}",
			`c.yaml:4:5: routes[1]: has the name "any.any" of routes[0]: give it a name of its own`},
		{"quiet without debounce", "handlers: {l: {type: log}}\nroutes:\n  - {source: \"*\", event: \"*\", handler: l, quiet: 5s}",
			`c.yaml:3:50: routes[0].quiet: goes with policy debounce, and that with it`},
		{"no such policy", "handlers: {l: {type: log}}\nroutes:\n  - {source: \"*\", event: \"*\", handler: l, policy: fifo}",
			`c.yaml:3:51: routes[0].policy: "fifo" is none of`},
		{"handler and handlers", "handlers: {l: {type: log}}\nroutes:\n  - {source: \"*\", event: \"*\", handler: l, handlers: [l]}",
			`c.yaml:3:43: routes[0].handlers: goes without handler`},
		{"half a breaker", "handlers: {l: {type: log, breaker: {failures: 3}}}",
			`c.yaml:1:27: handlers.l.breaker: failures and open_for are above 0 together`},
		{"half a breaker of a route", "handlers: {l: {type: log}}\nroutes:\n  - {source: \"*\", event: \"*\", handler: l, breaker: {open_for: 5s}}",
			`c.yaml:3:43: routes[0].breaker: failures and open_for are above 0 together`},
		{"a breaker of a route below zero", "handlers: {l: {type: log}}\nroutes:\n  - {source: \"*\", event: \"*\", handler: l, breaker: {failures: -1}}",
			`c.yaml:3:43: routes[0].breaker: failures and open_for are above 0 together`},
		{"a breaker of a route misspelt", "handlers: {l: {type: log}}\nroutes:\n  - {source: \"*\", event: \"*\", handler: l, breaker: {failure: 3}}",
			`c.yaml:3:53: routes[0].breaker.failure: unknown key; did you mean "failures"?`},
		{"alias", "sources:\n  github: {secret: env:S, aliases: [/metrics]}", `c.yaml:2:37: sources.github.aliases[0]: "/metrics" is the daemon's own`},
		{"alias taken", "sources:\n  a: {type: github, secret: env:S, aliases: [/x]}\n  b: {type: github, secret: env:S, aliases: [/x]}",
			`c.yaml:3:46: sources.b.aliases[0]: "/x" belongs to source "a" already`},
		{"twice", "num_workers: 1\nNUM_WORKERS: 2", "c.yaml:2:1: num_workers: stands twice"},
		{"map for value", "num_workers: {a: 1}", "c.yaml:1:14: num_workers: is a single value, not a map"},
		{"handler type", "handlers: {h: {type: mail}}", `c.yaml:1:22: handlers.h.type: "mail" is none of log, forward, exec`},
		{"refers to itself", "routes: &x [*x]", "c.yaml:1:13: routes[0]: is a map of keys, not a list"},
		{"merges itself", "http: &x {<<: *x}", "c.yaml:1:15: http.<<: *x refers to itself"},
		{"no YAML", "a: [", "c.yaml:1: YAML: did not find"},
		{"a tab", "http:\n\tlisten: 127.0.0.1:1", "c.yaml:2:1: YAML: a tab indents this line; YAML takes spaces only"},
		{"a tab behind spaces", "http:\n  tls:\n  \tcert: x", "c.yaml:3:3: YAML: a tab indents this line"},
		{"a second document", "num_workers: 1\n---\nnum_workers: 2", "c.yaml:2:1: YAML: a second document begins here; everything must stand in one"},
		{"no map", "- num_workers", "c.yaml:1:1: is a map of keys, not a list"},
		{"a word", "num_workers", "c.yaml:1:1: is not a single value"},
		{"a number for text", "sources:\n  a: {type: github, secret: env:S, username: 007}", "c.yaml:2:46: sources.a.username: is a number where text is wanted: write it in quotes"},
		{"a truth for text", "log: {level: true}", "c.yaml:1:14: log.level: is true or false where text is wanted: write it in quotes"},
		{"a date for text", "data_dir: 2026-01-31", "c.yaml:1:11: data_dir: is a date where text is wanted: write it in quotes"},
		{"a fraction", "num_workers: 1.5", "c.yaml:1:14: num_workers: is no whole number"},
		{"quoted number", "num_workers: \"5\"", "c.yaml:1:14: num_workers: is text: write a number, without quotes"},
		{"octal", "max_tasks: 0100", "c.yaml:1:12: max_tasks: begins with a 0, as an octal number does: leave the 0 out"},
		{"octal seconds", "cleanup_age: 090", "cleanup_age: begins with a 0"},
		{"too large", "max_tasks: 99999999999999999999", "c.yaml:1:12: max_tasks: is "},
		{"no number", "journal: {high_water: .nan}", "c.yaml:1:23: journal.high_water: is no number to count with"},
		{"yes", "detailed_logging: yes", "c.yaml:1:19: detailed_logging: is text: write true or false"},
		{"nothing", "sources:\n  a:\n    type: github\n    secret: env:S\n    allow:\n", "c.yaml:5:5: sources.a.allow: stands without a value: give it one, or leave the key out"},
		{"text for a list", "sources: {a: {type: github, secret: env:S, allow: 10.0.0.1}}", "c.yaml:1:51: sources.a.allow: is a list: write [one, another]"},
		{"a list of numbers", "handlers: {h: {type: exec, command: [run, 5]}}", "c.yaml:1:43: handlers.h.command[1]: is a number where text is wanted"},
		{"a tag", "data_dir: !secret x", "c.yaml:1:11: data_dir: the tag !secret is not understood"},
		{"merges text", "http:\n  <<: x\n", "c.yaml:2:3: http.<<: merges maps only: write <<: *anchor of a map"},
		{"merged and unknown", "handlers:\n  a: &a {type: log, colour: red}\n  b: {<<: *a}", "c.yaml:2:21: handlers.b.colour: unknown key"},
		{"a key that is no text", "http: {[a]: b}", "c.yaml:1:8: http: a key is text"},
		{"left out", "handlers: {h: {}}", "c.yaml:1:15: handlers.h.type: is needed: log, forward, exec or remote."},
		{"a token's scope", "http:\n  tokens: [{name: ci, hash: x, scope: write}]", `c.yaml:2:39: http.tokens[0].scope: "write" is none of read, operate, admin`},
		{"a date that is none", "sources: {a: {type: github, secrets: [{value: env:S, not_after: soon}]}}", "sources.a.secrets[0].not_after: is not a time such as 2027-01-31T00:00:00Z"},
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

// TestAllProblemsAreTold has one problem of each stage: keys, types, words and bounds, forms, references and rules across
// keys, the environment. What one of them alone brings about is not told.
func TestAllProblemsAreTold(t *testing.T) {
	const text = `NUM_WORKERS: 0
max_task: 5
cleanup_age: soon
sources:
  github: {secert: env:S}
  gitlab: {secret: env:NONE}
  open: {}
handlers:
  l: {type: log, timeout: [1]}
  f: {type: forward}
routes:
  - {source: github, event: "*", handlr: l}
  - {source: nobody, event: push, handler: m, policy: fifo, quiet: 5s, rate: fast, burst: 5}
log: {level: loud}
`
	_, _, err := load(t, text, "S="+hush, "HOOKTROUPE_MAX_TASKS=many", "HOOKTROUPE_NOTHING=1")
	want := `c.yaml:1:14: num_workers: 0 is not within 1 and 10000
c.yaml:2:1: max_task: unknown key; did you mean "max_tasks"?
c.yaml:3:14: cleanup_age: "soon" is not a time such as 90, 90s or 24h
c.yaml:5:12: sources.github.secert: unknown key; did you mean "secret"?
c.yaml:6:20: sources.gitlab.secret: environment variable NONE is not set, or empty
c.yaml:7:3: sources.open: has no secret: set secret, or say insecure: true to accept everything unverified
c.yaml:9:27: handlers.l.timeout: is a single value, not a list
c.yaml:10:3: handlers.f.url: type forward needs it
c.yaml:12:34: routes[0].handlr: unknown key; did you mean "handler"?
c.yaml:13:14: routes[1].source: there is no source "nobody"
c.yaml:13:44: routes[1].handler: there is no handler "m"
c.yaml:13:55: routes[1].policy: "fifo" is none of parallel, serial, coalesce, debounce, supersede
c.yaml:13:78: routes[1].rate: is text: write a number, without quotes
c.yaml:14:14: log.level: "loud" is none of debug, info, warn, error
environment: HOOKTROUPE_NOTHING: unknown key
environment: max_tasks: cannot parse value as 'int': strconv.ParseInt: invalid syntax`
	if err == nil || err.Error() != want {
		t.Errorf("got:\n%v\nwant:\n%s", err, want)
	}
}

// TestAliasesAndMergesAreRead says what YAML's shorthands come to, and that those that multiply are refused.
func TestAliasesAndMergesAreRead(t *testing.T) {
	const text = `
sources: {github: {secret: env:S}}
handlers:
  a: &a {type: forward, url: "http://127.0.0.1:1/a", timeout: 5s}
  b: {<<: *a, url: "http://127.0.0.1:1/b"}
  c: {<<: [{concurrency: 2, timeout: 7s}, *a]}
routes:
  - &r {source: github, event: push, handler: a}
  - {<<: *r, event: create, handler: b}
`
	cfg, _, err := load(t, text, "S="+hush)
	if err != nil {
		t.Fatal(err)
	}
	b, c := cfg.Handlers["b"], cfg.Handlers["c"]
	if b.URL != "http://127.0.0.1:1/b" || b.Timeout.String() != "5s" || c.Timeout.String() != "7s" || c.Concurrency != 2 || c.Type != "forward" {
		t.Errorf("%+v\n%+v", b, c)
	}
	if r := cfg.Routes[1]; r.Source != "github" || r.Event != "create" || r.Handler != "b" {
		t.Errorf("%+v", r)
	}
	multiplied := "http:\n  allowed_hosts: &a [x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x]\nhandlers:\n"
	for i := range 1300 {
		multiplied += fmt.Sprintf("  h%d: {type: exec, command: [x], env: *a, arguments: *a, signing_keys: *a, pass_headers: *a}\n", i)
	}
	_, _, err = load(t, multiplied)
	if err == nil || strings.Count(err.Error(), "the file comes to too much") != 1 {
		t.Errorf("%.300v", err)
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
