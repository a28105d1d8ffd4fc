package config_test

import (
	"flag"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/hooktroupe/hooktroupe/config"
)

var update = flag.Bool("update", false, "write docs/CONFIGURATION.md")

const reference = "../docs/CONFIGURATION.md"

// marker separates what people write from what is generated.
const marker = "<!-- generated from config/config.go: go test ./config -update -->\n"

func TestReferenceIsUpToDate(t *testing.T) {
	data, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	written, _, found := strings.Cut(string(data), marker)
	if !found {
		t.Fatalf("%s has no marker", reference)
	}
	var table strings.Builder
	table.WriteString("\n| key | default | meaning |\n|---|---|---|\n")
	rows(&table, "", reflect.ValueOf(*config.Default()))
	want := written + marker + table.String()
	if *update {
		if err := os.WriteFile(reference, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(data) != want {
		t.Errorf("%s is stale: go test ./config -update", reference)
	}
}

// rows writes a line for each key below a struct.
func rows(out *strings.Builder, path string, v reflect.Value) {
	for i := range v.NumField() {
		field := v.Type().Field(i)
		name := field.Tag.Get("koanf")
		if name == "-" {
			continue
		}
		if path == "" && field.Tag.Get("doc") != "" && i < 8 {
			name = strings.ToUpper(name)
		}
		key := path + name
		value := v.Field(i)
		switch {
		case value.Kind() == reflect.Struct && field.Type.PkgPath() != "time":
			rows(out, key+".", value)
		case value.Kind() == reflect.Pointer:
			rows(out, key+".", reflect.New(field.Type.Elem()).Elem())
		case value.Kind() == reflect.Map && field.Type.Elem().Kind() == reflect.Struct:
			rows(out, key+".NAME.", reflect.New(field.Type.Elem()).Elem())
		case value.Kind() == reflect.Slice && field.Type.Elem().Kind() == reflect.Struct:
			rows(out, key+"[].", reflect.New(field.Type.Elem()).Elem())
		default:
			restart := ""
			if field.Tag.Get("reload") == "restart" {
				restart = " *restart*"
			}
			fmt.Fprintf(out, "| `%s` | %s | %s%s |\n", key, defaultOf(value), field.Tag.Get("doc"), restart)
		}
	}
}

func defaultOf(v reflect.Value) string {
	if v.IsZero() && v.Kind() != reflect.Bool {
		return ""
	}
	return fmt.Sprintf("`%v`", v.Interface())
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
			environ := []string{}
			for _, name := range regexp.MustCompile(`env:([A-Z0-9_]+)`).FindAllStringSubmatch(block[1], -1) {
				environ = append(environ, name[1]+"=x")
			}
			if _, _, err := load(t, block[1], environ...); err != nil {
				t.Errorf("%s: %v in\n%s", document, err, block[1])
			}
		}
	}
}
