package sources_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/hooktroupe/hooktroupe/source"
	"github.com/hooktroupe/hooktroupe/source/sources"
)

// Every type fails closed, names the key at fault, and can sign and sample for trials.
func TestAll(t *testing.T) {
	for name, constructor := range sources.All() {
		t.Run(name, func(t *testing.T) {
			c := source.Config{Name: "n", Type: name}
			if name == "generic" {
				c.Generic = &source.Generic{Scheme: "hmac", Header: "X-Signature"}
			}
			if s, err := constructor(c); s != nil || err == nil || !strings.Contains(err.Error(), "sources.n.secrets") {
				t.Errorf("without a secret: %v, %v", s, err)
			}
			c.Insecure = true
			s, err := constructor(c)
			if err != nil {
				t.Fatal(err)
			}
			if _, ok := s.(source.Signer); !ok {
				t.Error("no Signer")
			}
			sampler, ok := s.(source.Sampler)
			if !ok {
				t.Fatal("no Sampler")
			}
			header, body, err := sampler.Sample("", "")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Parse(&source.Request{Method: "POST", Header: header, Body: body}); err != nil {
				t.Errorf("the usual sample: %v", err)
			}
		})
	}
}

func TestTypes(t *testing.T) {
	types := sources.Types()
	if !slices.IsSorted(types) || len(types) != len(sources.All()) {
		t.Errorf("Types = %v", types)
	}
	for _, name := range []string{"azure_devops", "bitbucket_server", "generic", "github", "gitlab"} {
		if !slices.Contains(types, name) {
			t.Errorf("no type %s", name)
		}
	}
	sources.All()["github"] = nil
	if sources.All()["github"] == nil {
		t.Error("the table can be changed")
	}
}
