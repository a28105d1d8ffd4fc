package importhooks_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hooktroupe/hooktroupe/cmd/hooktroupe/internal/importhooks"
	"github.com/hooktroupe/hooktroupe/config"
)

func jsonText(s string) string {
	text, _ := json.Marshal(s)
	return string(text)
}

// output is what an import of a file comes to.
func output(t *testing.T, file string) string {
	t.Helper()
	hooks, err := importhooks.Parse([]byte(file))
	if err != nil {
		t.Fatalf("Parse: %v", err)
	}
	yaml, err := importhooks.Import(hooks, "/secrets").YAML()
	if err != nil {
		t.Fatal(err)
	}
	return string(yaml)
}

func TestJSONAndYAMLAreTheSame(t *testing.T) {
	const inJSON = "[\n\t{\"id\": \"a\", \"execute-command\": \"/bin/true\", \"http-methods\": [\"POST\"],\n\t\"trigger-rule\": {\"and\": [" +
		`{"match": {"type": "value", "value": "42", "parameter": {"source": "payload", "name": "n"}}},` +
		`{"not": {"match": {"type": "value", "value": "true", "parameter": {"source": "payload", "name": "b"}}}}]}}]`
	const inYAML = `
# a comment
- id: a
  execute-command: /bin/true
  http-methods: [POST]
  trigger-rule:
    and:
      - match: {type: value, value: 42, parameter: &p {source: payload, name: n}}
      - not: {match: {type: value, value: true, parameter: {<<: *p, name: b}}}
`
	if a, b := output(t, inJSON), output(t, inYAML); a != b {
		t.Errorf("JSON gives\n%s\nYAML gives\n%s", a, b)
	}
}

// The configuration in the recipe is what its hook comes to.
func TestRecipe(t *testing.T) {
	const file = `[{"id":"redeploy","execute-command":"redeploy.sh","command-working-directory":"/home/ann",
		"pass-arguments-to-command":[{"source":"string","name":"--"},{"source":"payload","name":"head_commit.id"},
			{"source":"payload","name":"pusher.name"}],
		"pass-environment-to-command":[{"source":"payload","name":"ref","envname":"BRANCH"}],
		"trigger-rule":{"and":[
			{"match":{"type":"payload-hmac-sha256","secret":"s","parameter":{"source":"header","name":"X-Hub-Signature-256"}}},
			{"match":{"type":"value","value":"refs/heads/master","parameter":{"source":"payload","name":"ref"}}}]}}]`
	hooks, err := importhooks.Parse([]byte(file))
	if err != nil {
		t.Fatal(err)
	}
	yaml, err := importhooks.Import(hooks, "/etc/hooktroupe/secrets").YAML()
	if err != nil {
		t.Fatal(err)
	}
	recipe, err := os.ReadFile("../../../../docs/recipes/adnanh-webhook.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(recipe), "```yaml\n")
	block, _, _ = strings.Cut(block, "```")
	if _, made, _ := strings.Cut(string(yaml), "sources:"); "sources:"+made != block {
		t.Errorf("the recipe shows\n%s\nbut the hook comes to\n%s", block, yaml)
	}
}

func TestParseErrors(t *testing.T) {
	deep := strings.Repeat(`{"not":`, 40) + "{}" + strings.Repeat("}", 40)
	wide := `{"or":[{}` + strings.Repeat(",{}", 250) + "]}"
	for file, want := range map[string]string{
		`[{"trigger-rule":` + wide + `}]`: "252 rules, 2 deep",
		"":                                "",
		"[{\"id\": \"hush\",]":            "neither JSON nor YAML",
		"- id: hush\n  a: [":              "neither JSON nor YAML",
		"- a: b\n   c: d":                 "line 2",
		`{"id":"hush"}`:                   "not a list of hooks",
		`["hush"]`:                        "not a list of hooks",
		"hush":                            "not a list of hooks",
		"- {1: 2}":                        "keys",
		`[{"id":["hush"]}]`:               "hook 1: id is not of its form",
		`[{},{"trigger-rule":"hush"}]`:    "hook 2: trigger-rule is not of its form",
		`[{"pass-arguments-to-command":{"a":1}}]`:       "pass-arguments-to-command is not of its form",
		`[{"trigger-rule":` + deep + `}]`:               "41 rules, 41 deep",
		strings.Repeat("#", importhooks.MaxFileBytes+1): "more than",
	} {
		_, err := importhooks.Parse([]byte(file))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("Parse(%.40q) = %v, want %q in it", file, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "hush") {
			t.Errorf("the error quotes the file: %v", err)
		}
	}
}

// Whatever can be parsed comes to a configuration that can be loaded, and every hook is accounted for.
func FuzzImport(f *testing.F) {
	for _, rule := range []string{
		"{}", matching("value", "x", "payload", "a.0.b"), matching("payload-hash-sha1", "s", "header", "X-Hub-Signature"),
		or(not(matching("regex", "^(a|b)*$", "header", "X-A")), and()), `{"match":{"type":"ip-whitelist","ip-range":"::/0 10.1"}}`,
	} {
		f.Add([]byte(hook(rule)))
	}
	nested := matching("value", "x", "payload", "a.0.b")
	for range 3 {
		nested = not(and(nested, nested))
	}
	f.Add([]byte(hook(nested)))
	f.Add([]byte("- id: a\n  execute-command: x\n  pass-environment-to-command: [{source: payload, name: a, envname: B}]\n"))
	f.Add([]byte(with(`"pass-arguments-to-command":[{"source":"payload","name":"a\"\\\u0000.é"},{"source":"string","name":"\u0000"}]`)))
	folder := f.TempDir()
	f.Fuzz(func(t *testing.T, file []byte) {
		hooks, err := importhooks.Parse(file)
		if err != nil {
			return
		}
		result := importhooks.Import(hooks, folder)
		if result.Imported+len(result.LeftOut) != len(hooks) {
			t.Errorf("%d imported and %d left out of %d", result.Imported, len(result.LeftOut), len(hooks))
		}
		yaml, err := result.YAML()
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range result.Secrets {
			if filepath.Dir(s.Path) != folder {
				t.Fatalf("a secret outside its folder: %s", s.Path)
			}
			if err := os.WriteFile(s.Path, s.Value, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		name := filepath.Join(t.TempDir(), "hooktroupe.yaml")
		if err := os.WriteFile(name, yaml, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := config.Load(config.Options{File: name}); err != nil {
			t.Errorf("%v\n%s", err, yaml)
		}
	})
}
