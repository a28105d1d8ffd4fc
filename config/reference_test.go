package config_test

import (
	"flag"
	"os"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/hooktroupe/hooktroupe/config"
	"github.com/hooktroupe/hooktroupe/daemon/daemontest"
	"github.com/hooktroupe/hooktroupe/source/sources"
)

var update = flag.Bool("update", false, "write the reference, the example and the schema below docs/")

const (
	reference = "../docs/CONFIGURATION.md"
	example   = "../docs/hooktroupe.example.yaml"
	schema    = "../docs/hooktroupe.schema.json"
)

// marker separates what people write from what is generated.
const marker = "<!-- generated from config/config.go: go test ./config -update -->\n"

// upToDate compares a file with what it should hold, or writes it.
func upToDate(t *testing.T, file, want string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if data, err := os.ReadFile(file); err != nil || string(data) != want {
		t.Errorf("%s is stale: go test ./config -update (%v)", file, err)
	}
}

func TestReferenceIsUpToDate(t *testing.T) {
	data, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	written, _, found := strings.Cut(string(data), marker)
	if !found {
		t.Fatalf("%s has no marker", reference)
	}
	upToDate(t, reference, written+marker+"\n"+config.Reference())
}

func TestExampleAndSchemaAreUpToDate(t *testing.T) {
	upToDate(t, example, string(config.Example()))
	upToDate(t, schema, string(config.Schema(sources.Types()...)))
}

// TestTheExampleIsValidAsItStandsAndWhole loads the example, and once more with every key that is commented out.
func TestTheExampleIsValidAsItStandsAndWhole(t *testing.T) {
	stands := string(config.Example())
	whole := regexp.MustCompile(`(?m)^( *)#(\S)`).ReplaceAllString(stands, "$1$2")
	for what, text := range map[string]string{"as it stands": stands, "whole": whole} {
		cfg, warnings, err := load(t, text, allSet(text)...)
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		for _, w := range warnings {
			if !strings.Contains(w, "sources.trial: insecure") {
				t.Errorf("%s: %s", what, w)
			}
		}
		if what == "whole" != (cfg.Handlers["worker"].Concurrency > 0) {
			t.Errorf("%s: %+v", what, cfg.Handlers)
		}
		if what == "as it stands" && (len(cfg.Sources) != 1 || len(cfg.Handlers) != 1 || len(cfg.Routes) != 1) {
			t.Errorf("%+v", cfg)
		}
	}
	var content any
	if err := yaml.Unmarshal([]byte(whole), &content); err != nil {
		t.Fatal(err)
	}
	there := make(map[string]bool)
	paths(there, "", content)
	for _, row := range regexp.MustCompile("(?m)^\\| `([^`]+)`").FindAllStringSubmatch(config.Reference(), -1) {
		if !there[strings.ToLower(row[1])] && row[1] != "sources.NAME.secrets[].value" {
			if name := regexp.MustCompile(`(?i)\.name\.`).ReplaceAllString(strings.ToLower(row[1]), ".name."); !there[name] {
				t.Errorf("the example has no %s", row[1])
			}
		}
	}
}

// paths collects the keys of a file as the reference names them, in small letters.
func paths(there map[string]bool, path string, content any) {
	switch content := content.(type) {
	case map[string]any:
		for name, value := range content {
			below := strings.TrimPrefix(path+"."+strings.ToLower(name), ".")
			if path == "sources" || path == "handlers" {
				below = path + ".name"
			}
			there[below] = true
			paths(there, below, value)
		}
	case []any:
		for _, value := range content {
			paths(there, path+"[]", value)
		}
	}
}

// allSet sets every variable that a file refers to.
func allSet(text string) []string {
	environ := []string{}
	for _, name := range regexp.MustCompile(`env:([A-Z0-9_]+)`).FindAllStringSubmatch(text, -1) {
		environ = append(environ, name[1]+"=x")
	}
	return environ
}

// TestTheSchemaRefusesWhatTheDaemonDoes has a mistake of each kind that a schema can tell.
func TestTheSchemaRefusesWhatTheDaemonDoes(t *testing.T) {
	for name, text := range map[string]string{
		"unknown key": "num_wrokers: 1", "nested": "http: {lisen: x}", "in a list": "routes: [{source: a, handlr: b}]",
		"in an entry": "sources: {a: {secert: x}}", "text for a number": "num_workers: many", "fraction": "num_workers: 1.5",
		"below": "num_workers: 0", "above": "NUM_WORKERS: 10001", "number for text": "data_dir: 7", "a word": "log: {level: loud}",
		"time": "cleanup_age: soon", "size": "http: {max_body_bytes: 5XB}", "rate": "sources: {a: {rate: 5/d}}", "negative": "cleanup_age: -1",
		"a list": "sources: {a: {allow: 10.0.0.1}}", "no list": "sources: [a]", "nothing": "sources: {a: {allow: }}",
		"left out": "handlers: {h: {url: x}}", "a name": "sources: {Git Hub: {insecure: true}}", "yes": "detailed_logging: yes",
		"a type": "sources: {a: {type: gitbuh, insecure: true}}", "a secret": "sources: {a: {secrets: [{not_after: 2027-01-01T00:00:00Z}]}}",
		"a handler's type": "handlers: {h: {type: mail}}", "capitals below": "http: {LISTEN: x}",
	} {
		if err := daemontest.CheckSchema([]byte(text)); err == nil {
			t.Errorf("%s: the schema accepts %s", name, text)
		}
		if name == "a type" {
			continue // which package daemon knows
		}
		if _, _, err := load(t, text); err == nil {
			t.Errorf("%s: the daemon accepts %s", name, text)
		}
	}
}

func TestEveryKeyHasItsSentence(t *testing.T) {
	data, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	if empty := regexp.MustCompile(`(?m)^.*\|  \|$`).FindAllString(string(data), -1); len(empty) > 0 {
		t.Errorf("no sentence: %q", empty)
	}
}

// TestExamplesOfTheReferenceLoad loads every YAML block of the document.
func TestExamplesOfTheReferenceLoad(t *testing.T) {
	for _, document := range []string{reference, "../README.md"} {
		data, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(data), -1)
		if len(blocks) == 0 {
			t.Errorf("%s has no example", document)
		}
		for _, block := range blocks {
			if _, _, err := load(t, block[1], allSet(block[1])...); err != nil {
				t.Errorf("%s: %v in\n%s", document, err, block[1])
			}
		}
	}
}
