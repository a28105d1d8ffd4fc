package status_test

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// answered holds the operations of which a test has held an answer against the contract.
var answered sync.Map

// elsewhere are the operations whose answers are held against it in other packages: the ingress's and the listener's.
var elsewhere = []string{"deliver", "getSession", "openSession", "closeSession", "stream"}

func TestMain(m *testing.M) {
	code := m.Run()
	if run := flag.Lookup("test.run").Value.String(); code == 0 && run == "" && flag.Lookup("test.fuzz").Value.String() == "" {
		code = uncovered()
	}
	os.Exit(code)
}

// uncovered fails the package where an operation of the contract was never answered in a test.
func uncovered() (code int) {
	doc, err := openapi3.NewLoader().LoadFromFile("openapi.yaml")
	if err != nil {
		fmt.Println("FAIL:", err)
		return 1
	}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			if _, tested := answered.Load(op.OperationID); !tested && !slices.Contains(elsewhere, op.OperationID) {
				fmt.Printf("FAIL: no test holds an answer of %s %s against the contract\n", method, path)
				code = 1
			}
		}
	}
	return code
}

var (
	operationID = regexp.MustCompile(`^[a-z][A-Za-z]*$`)
	parameter   = regexp.MustCompile(`^[a-z_]+$|^Last-Event-ID$|^If-None-Match$`)
)

// TestContractLint holds the document to the habits of the rest of it: what the validation of OpenAPI does not ask for.
func TestContractLint(t *testing.T) {
	doc, err := openapi3.NewLoader().LoadFromFile("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context()); err != nil {
		t.Fatal(err)
	}
	known := make(map[string]bool)
	for _, tag := range doc.Tags {
		known[tag.Name] = tag.Description != ""
	}
	ids := make(map[string]bool)
	for path, item := range doc.Paths.Map() {
		if strings.HasSuffix(path, "/") || strings.ContainsAny(path, "?# ") || strings.ToLower(path) != path {
			t.Errorf("%s: not a path of ours", path)
		}
		for method, op := range item.Operations() {
			where := method + " " + path
			switch {
			case !operationID.MatchString(op.OperationID) || ids[op.OperationID]:
				t.Errorf("%s: operationId %q is missing, taken or not in camel case", where, op.OperationID)
			case op.Summary == "" || strings.HasSuffix(op.Summary, "."):
				t.Errorf("%s: a summary is one sentence without its full stop", where)
			case len(op.Tags) != 1 || !known[op.Tags[0]]:
				t.Errorf("%s: exactly one tag that has a description, not %v", where, op.Tags)
			case strings.HasPrefix(path, "/api/") && op.Responses.Default() == nil:
				t.Errorf("%s: refusals are not described", where)
			case method == "GET" && op.RequestBody != nil:
				t.Errorf("%s: a question has no body", where)
			}
			ids[op.OperationID] = true
			lintParameters(t, where, slices.Concat(item.Parameters, op.Parameters))
			lintBodies(t, where, op)
		}
	}
	lintUse(t, doc)
}

func lintParameters(t *testing.T, where string, parameters openapi3.Parameters) {
	t.Helper()
	for _, p := range parameters {
		if !parameter.MatchString(p.Value.Name) || p.Value.Schema == nil {
			t.Errorf("%s: parameter %q is not in snake case or has no schema", where, p.Value.Name)
		}
	}
}

// lintBodies wants every object that is answered to be closed, so that a test finds what the contract does not promise.
func lintBodies(t *testing.T, where string, op *openapi3.Operation) {
	t.Helper()
	for code, r := range op.Responses.Map() {
		if r.Value.Description == nil || *r.Value.Description == "" {
			t.Errorf("%s: %s is not described", where, code)
		}
		for kind, media := range r.Value.Content {
			if code == "default" && kind != "application/problem+json" {
				t.Errorf("%s: a refusal is a problem, not %s", where, kind)
			}
			if strings.HasSuffix(kind, "json") && media.Schema == nil {
				t.Errorf("%s: %s has no schema", where, code)
			}
		}
	}
}

// lintUse wants no component that nothing refers to.
func lintUse(t *testing.T, doc *openapi3.T) {
	t.Helper()
	text, err := os.ReadFile("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	check := func(kind string, names []string) {
		for _, name := range names {
			if !strings.Contains(string(text), `"#/components/`+kind+"/"+name+`"`) {
				t.Errorf("components/%s/%s is not used", kind, name)
			}
		}
	}
	check("schemas", keys(doc.Components.Schemas))
	check("responses", keys(doc.Components.Responses))
	check("parameters", keys(doc.Components.Parameters))
	check("headers", keys(doc.Components.Headers))
}

func keys[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	return names
}
