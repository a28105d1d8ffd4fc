package importhooks_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/hooktroupe/hooktroupe/cmd/hooktroupe/internal/importhooks"
	"github.com/hooktroupe/hooktroupe/config"
	"github.com/hooktroupe/hooktroupe/daemon"
	"github.com/hooktroupe/hooktroupe/route"
)

// tester is what a test and a property have in common.
type tester interface {
	Helper()
	Fatalf(format string, args ...any)
}

// imported imports a file, writes what comes out below a folder, and loads and checks it as the daemon would.
func imported(t tester, folder, file string) (*importhooks.Result, *config.Config) {
	t.Helper()
	result, cfg := written(t, folder, file)
	for _, f := range daemon.Examine(cfg) {
		if !f.Warning {
			t.Fatalf("Examine: %+v", f)
		}
	}
	return result, cfg
}

// written is imported without the check.
func written(t tester, folder, file string) (*importhooks.Result, *config.Config) {
	t.Helper()
	hooks, err := importhooks.Parse([]byte(file))
	if err != nil {
		t.Fatalf("Parse: %v", err)
	}
	result := importhooks.Import(hooks, filepath.Join(folder, "secrets"))
	return result, loaded(t, folder, result)
}

func loaded(t tester, folder string, result *importhooks.Result) *config.Config {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(folder, "secrets"), 0o700); err != nil {
		t.Fatalf("%v", err)
	}
	yaml, err := result.YAML()
	if err != nil {
		t.Fatalf("YAML: %v", err)
	}
	for _, s := range result.Secrets {
		if value := strings.TrimSuffix(string(s.Value), "\n"); len(value) > 3 && strings.Contains(string(yaml), value) {
			t.Fatalf("a secret stands in the configuration:\n%s", yaml)
		}
		if err := os.WriteFile(s.Path, s.Value, 0o600); err != nil {
			t.Fatalf("%v", err)
		}
	}
	name := filepath.Join(folder, "hooktroupe.yaml")
	if err := os.WriteFile(name, yaml, 0o600); err != nil {
		t.Fatalf("%v", err)
	}
	cfg, _, err := config.Load(config.Options{File: name})
	if err != nil {
		t.Fatalf("Load: %v\n%s", err, yaml)
	}
	return cfg
}

// hook is a file of one hook with a rule.
func hook(rule string) string {
	return `[{"id":"h","execute-command":"/bin/true","trigger-rule":` + rule + `}]`
}

func matching(kind, value, source, name string) string {
	key := map[bool]string{true: "regex", false: "value"}[kind == "regex"]
	if strings.HasPrefix(kind, "payload-") {
		key = "secret"
	}
	text, _ := json.Marshal(map[string]any{"match": map[string]any{
		"type": kind, key: value, "parameter": map[string]any{"source": source, "name": name},
	}})
	return string(text)
}

func and(rules ...string) string { return `{"and":[` + strings.Join(rules, ",") + `]}` }
func or(rules ...string) string  { return `{"or":[` + strings.Join(rules, ",") + `]}` }
func not(rule string) string     { return `{"not":` + rule + `}` }

func TestFilters(t *testing.T) {
	ref := matching("value", "refs/heads/main", "payload", "ref")
	for rule, want := range map[string]string{
		ref:      `payload.ref == "refs/heads/main"`,
		and():    "",
		and(ref): `payload.ref == "refs/heads/main"`,
		and(ref, matching("value", "push", "header", "x-github-event")): `payload.ref == "refs/heads/main" and header("X-Github-Event") == "push"`,
		or(ref, matching("value", "x", "payload", "ref")):               `payload.ref == "refs/heads/main" or payload.ref == "x"`,
		matching("value", "1", "payload", "a.b"):                        `string(payload.a.b) == "1"`,
		matching("value", "true", "payload", "a-b.not"):                 `string(payload["a-b"]["not"]) == "true"`,
		matching("value", "x", "payload", "commits.0.id"):               `payload.commits[0].id == "x"`,
		matching("regex", `^v\d+"`, "payload", "ref"):                   `"ref" in payload and string(payload.ref) matches "^v\\d+\""`,
		matching("regex", "x", "header", "X-A"):                         `"X-A" in headers and header("X-A") matches "x"`,
		matching("value", "", "header", "X-A"):                          `"X-A" in headers and header("X-A") == ""`,
		matching("value", "POST", "request", "method"):                  "",
		not(ref): `not (type(payload) == "map" and payload.ref == "refs/heads/main")`,
		or(ref, matching("value", "ping", "header", "X-E")): `(type(payload) == "map" and payload.ref == "refs/heads/main") or header("X-E") == "ping"`,
		and(not(matching("value", "x", "header", "X-A"))):   `"X-A" in headers and not (header("X-A") == "x")`,
	} {
		result, cfg := imported(t, t.TempDir(), hook(rule))
		if len(cfg.Routes) != 1 {
			t.Errorf("%s: left out: %v", rule, result.Warnings)
			continue
		}
		if got := cfg.Routes[0].Filter; got != want {
			t.Errorf("%s\n got %s\nwant %s", rule, got, want)
		}
	}
}

func TestSources(t *testing.T) {
	ref := matching("value", "main", "payload", "ref")
	hub := matching("payload-hmac-sha256", "hub", "header", "X-Hub-Signature-256")
	old := matching("payload-hash-sha1", "old", "header", "x-hub-signature")
	network := func(ranges string) string { return `{"match":{"type":"ip-whitelist","ip-range":"` + ranges + `"}}` }
	type source struct {
		typ, header, algorithm, prefix string
		secrets, allow                 []string
	}
	for rule, want := range map[string]source{
		hub:                {typ: "github", secrets: []string{"hub"}},
		and(and(hub), ref): {typ: "github", secrets: []string{"hub"}},
		old:                {typ: "generic", header: "X-Hub-Signature", algorithm: "sha1", prefix: "sha1=", secrets: []string{"old"}},
		matching("payload-hash-sha256", "s", "header", "X-Gogs-Signature"):                {typ: "generic", header: "X-Gogs-Signature", algorithm: "sha256", secrets: []string{"s"}},
		matching("payload-hmac-sha512", "s", "header", "X-Sig"):                           {typ: "generic", header: "X-Sig", algorithm: "sha512", secrets: []string{"s"}},
		matching("payload-hmac-sha256", "s", "header", "X-Gitea-Signature"):               {typ: "gitea", secrets: []string{"s"}},
		matching("value", "tok", "header", "X-Gitlab-Token"):                              {typ: "gitlab", secrets: []string{"tok"}},
		matching("value", "whsec_x", "header", "X-Gitlab-Token"):                          {typ: "generic", header: "X-Gitlab-Token", secrets: []string{"whsec_x"}},
		and(matching("value", "Bearer x", "header", "Authorization"), ref):                {typ: "generic", header: "Authorization", secrets: []string{"Bearer x"}},
		or(hub, matching("payload-hmac-sha256", "next", "header", "X-Hub-Signature-256")): {typ: "github", secrets: []string{"hub", "next"}},
		network("104.192.143.7/24 ::1"):                                                   {typ: "generic", allow: []string{"104.192.143.0/24", "::1"}},
		and(hub, network("10.0.0.1")):                                                     {typ: "github", secrets: []string{"hub"}, allow: []string{"10.0.0.1"}},
		or(network("10.0.0.1"), network("10.0.0.2/31")):                                   {typ: "generic", allow: []string{"10.0.0.1", "10.0.0.2/31"}},
	} {
		result, cfg := imported(t, t.TempDir(), hook(rule))
		s, there := cfg.Sources["h"]
		if !there {
			t.Errorf("%s: left out: %v", rule, result.Warnings)
			continue
		}
		got := source{typ: s.Type, allow: s.Allow}
		if s.Generic != nil {
			got.header, got.algorithm, got.prefix = s.Generic.Header, s.Generic.Algorithm, s.Generic.Prefix
		}
		for _, secret := range s.Resolved {
			got.secrets = append(got.secrets, string(secret.Value))
		}
		if got.typ != want.typ || got.header != want.header || got.algorithm != want.algorithm || got.prefix != want.prefix ||
			!slices.Equal(got.secrets, want.secrets) || !slices.Equal(got.allow, want.allow) {
			t.Errorf("%s\n got %+v\nwant %+v", rule, got, want)
		}
		if s.Insecure != (len(want.secrets) == 0) || !slices.Equal(s.Aliases, []string{"/hooks/h"}) {
			t.Errorf("%s: insecure %t, aliases %q", rule, s.Insecure, s.Aliases)
		}
	}
}

// What a source or a route cannot demand is not dropped: the hook is.
func TestHooksThatAreLeftOut(t *testing.T) {
	ref := matching("value", "main", "payload", "ref")
	hub := matching("payload-hmac-sha256", "hush-hub", "header", "X-Hub-Signature-256")
	token := matching("value", "hush-token", "header", "X-Token")
	for rule, why := range map[string]string{
		or(hub, ref):    "can only be demanded of every delivery",
		not(hub):        "can only be demanded of every delivery",
		not(token):      "a credential",
		or(token, ref):  "a credential",
		and(hub, token): "one kind of signature",
		or(hub, matching("payload-hmac-sha1", "hush", "header", "X-Hub-Signature")): "can only be demanded",
		matching("payload-hmac-sha1", "", "header", "X-Hub-Signature"):              "secret is empty",
		matching("payload-hmac-sha256", "{{ getenv \"X\" }}", "header", "X-S"):      "template",
		matching("payload-hmac-sha256", "hush", "url", "sig"):                       "must stand in a header",
		matching("payload-hmac-md5", "hush", "header", "X-S"):                       "not known",
		matching("value", "hush-payload", "payload", "secret"):                      "no credentials",
		matching("regex", "^hush$", "payload", "hook.token"):                        "no credentials",
		matching("value", "42", "url", "token"):                                     "query",
		matching("value", "42", "query", "n"):                                       "query",
		matching("value", "GET", "request", "method"):                               "never true",
		matching("value", "10.0.0.1:1", "request", "remote-addr"):                   "is not kept",
		matching("regex", "(", "payload", "ref"):                                    "regex",
		matching("value", "x", "payload", "a..b"):                                   "is no path",
		matching("value", "x", "entire-payload", ""):                                "as a whole",
		matching("value", "x", "context", "a"):                                      "not known",
		matching("glob", "x", "payload", "a"):                                       "glob",
		`{}`:                                                                        "never true",
		or():                                                                        "never true",
		`{"match":{"type":"scalr-signature","secret":"hush"}}`:                      "scalr-signature",
		`{"match":{"type":"ip-whitelist","ip-range":"all"}}`:                        "no network",
		not(`{"match":{"type":"ip-whitelist","ip-range":"10.0.0.0/8"}}`):            "can only be demanded",
		matching("value", strings.Repeat("x", 5000), "payload", "a"):                "refused",
	} {
		result, cfg := imported(t, t.TempDir(), hook(rule))
		if len(cfg.Sources)+len(cfg.Handlers)+len(cfg.Routes)+len(result.Secrets) > 0 || !slices.Equal(result.LeftOut, []string{"h"}) {
			t.Errorf("%.200s is not left out", rule)
		}
		if len(result.Warnings) != 1 || !strings.Contains(result.Warnings[0].String(), why) || strings.Contains(result.Warnings[0].String(), "hush") {
			t.Errorf("%.200s: %v, want one that says %q", rule, result.Warnings, why)
		}
	}
}

// decide runs a filter as the daemon would.
func decide(t tester, filter, body string, headers map[string]string) bool {
	table, err := route.New([]route.Config{{Name: "r", Filter: filter, Handlers: []string{"h"}}})
	if err != nil {
		t.Fatalf("%v", err)
	}
	d := &route.Delivery{Body: []byte(body)}
	for name, value := range headers {
		d.Headers = append(d.Headers, route.Header{Name: name, Value: value})
	}
	assigned, _ := table.Route(d)
	return len(assigned) > 0
}

// Whatever the rule and whatever comes, the filter is true where the rule is.
func TestFilterMeansTheRule(t *testing.T) {
	folder := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		rule := genRule(3).Draw(rt, "rule")
		text, _ := json.Marshal(rule)
		result, cfg := written(rt, folder, hook(string(text)))
		body, _ := json.Marshal(genBody().Draw(rt, "body"))
		headers := rapid.MapOfN(rapid.SampledFrom([]string{"X-A", "X-B"}), rapid.SampledFrom(values()), 0, 2).Draw(rt, "headers")
		want, _ := request{headers: headers, payload: reading(string(body))}.evaluate(rule)
		got := false
		if len(cfg.Routes) == 1 {
			got = decide(rt, cfg.Routes[0].Filter, string(body), headers)
		} else if !strings.Contains(result.Warnings[0].Why, "never true") && !strings.Contains(result.Warnings[0].Why, "refused") {
			rt.Fatalf("left out: %v", result.Warnings)
		} else if strings.Contains(result.Warnings[0].Why, "refused") {
			rt.Skip("too large for an expression")
		}
		if got != want {
			filter := ""
			if len(cfg.Routes) == 1 {
				filter = cfg.Routes[0].Filter
			}
			rt.Fatalf("rule %s\nfilter %s\nbody %s, headers %v: %t, want %t", text, filter, body, headers, got, want)
		}
	})
}

func values() []string { return []string{"", "x", "1", "true", "\"\\\n", "é", "-2.5", "<nil>"} }

// genRule draws rules over a handful of names, so that they often find something.
func genRule(depth int) *rapid.Generator[map[string]any] {
	return rapid.Custom(func(t *rapid.T) map[string]any {
		kinds := []string{"match", "match", "and", "or", "not"}
		if depth == 0 {
			kinds = kinds[:1]
		}
		switch kind := rapid.SampledFrom(kinds).Draw(t, "kind"); kind {
		case "and", "or":
			list := []any{}
			for range rapid.IntRange(0, 3).Draw(t, "rules") {
				list = append(list, genRule(depth-1).Draw(t, "rule"))
			}
			return map[string]any{kind: list}
		case "not":
			return map[string]any{"not": genRule(depth-1).Draw(t, "rule")}
		}
		m := map[string]any{"type": "value", "value": rapid.SampledFrom(values()[:7]).Draw(t, "value")}
		if rapid.Bool().Draw(t, "regex") {
			m = map[string]any{"type": "regex", "regex": rapid.SampledFrom([]string{".*", "^x$", "", "^[0-9]+$", "(?i)X"}).Draw(t, "regex")}
		}
		source := rapid.SampledFrom([]string{"header", "payload", "payload"}).Draw(t, "source")
		names := map[string][]string{"header": {"X-A", "X-B"}, "payload": {"a", "b.a", "b.b-c", "l.0", "l.1.a", "b.in"}}
		m["parameter"] = map[string]any{"source": source, "name": rapid.SampledFrom(names[source]).Draw(t, "name")}
		return map[string]any{"match": m}
	})
}

// genBody draws payloads of those names, and things that are no object.
func genBody() *rapid.Generator[any] {
	single := rapid.OneOf(
		rapid.Map(rapid.SampledFrom(values()), func(s string) any { return s }),
		rapid.Map(rapid.Bool(), func(b bool) any { return b }),
		rapid.SampledFrom([]any{1, -2.5, 9007199254740993, nil}),
	)
	object := rapid.Map(rapid.MapOfN(rapid.SampledFrom([]string{"a", "b-c", "in"}), single, 0, 3), func(m map[string]any) any { return m })
	list := rapid.Map(rapid.SliceOfN(object, 0, 2), func(l []any) any { return l })
	whole := rapid.Custom(func(t *rapid.T) any {
		m := map[string]any{}
		if rapid.Bool().Draw(t, "has a") {
			m["a"] = single.Draw(t, "a")
		}
		if rapid.Bool().Draw(t, "has b") {
			m["b"] = rapid.OneOf(object, object, single).Draw(t, "b")
		}
		if rapid.Bool().Draw(t, "has l") {
			m["l"] = rapid.OneOf(list, list, single).Draw(t, "l")
		}
		return m
	})
	return rapid.OneOf(whole, whole, whole, single)
}
