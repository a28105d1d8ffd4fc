package sources_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hooktroupe/hooktroupe/source"
	"github.com/hooktroupe/hooktroupe/source/sources"
)

// open builds an insecure source of a type.
func open(t *testing.T, name string) source.Source {
	t.Helper()
	c := source.Config{Name: "n", Type: name, Insecure: true}
	if name == "generic" {
		c.Generic = &source.Generic{Scheme: "hmac", Header: "X-Signature"}
	}
	s, err := sources.All()[name](c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The numbers stand here a second time, so that none changes by accident, and so that a new type needs its line.
func TestPatience(t *testing.T) {
	want := map[string]struct {
		ack      time.Duration
		failures int
	}{
		"azure_devops":      {0, 9},
		"bitbucket_cloud":   {10 * time.Second, 0},
		"bitbucket_server":  {20 * time.Second, 5},
		"cloudevents":       {0, 0},
		"forgejo":           {5 * time.Second, 0},
		"generic":           {0, 0},
		"gitea":             {5 * time.Second, 0},
		"github":            {10 * time.Second, 0},
		"gitlab":            {10 * time.Second, 4},
		"jira":              {0, 0},
		"shopify":           {5 * time.Second, 8},
		"slack":             {3 * time.Second, 0},
		"standard_webhooks": {15 * time.Second, 0},
		"stripe":            {0, 0},
	}
	for _, name := range sources.Types() {
		t.Run(name, func(t *testing.T) {
			s := open(t, name)
			if _, ok := s.(source.Patient); !ok {
				t.Fatal("not Patient")
			}
			p, w := source.PatienceOf(s), want[name]
			if p.AckWithin != w.ack || p.Failures != w.failures {
				t.Errorf("waits %v and bears %d failures, want %v and %d", p.AckWithin, p.Failures, w.ack, w.failures)
			}
			if !strings.HasSuffix(p.Then, ".") || p.Evidence == "" || strings.HasSuffix(p.Evidence, ".") {
				t.Errorf("no sentence, or no evidence: %q, %q", p.Then, p.Evidence)
			}
			if p.Transient != nil && (p.Failures == 0 || slices.Contains(p.Transient, 202)) {
				t.Errorf("transient %v with a limit of %d", p.Transient, p.Failures)
			}
		})
		delete(want, name)
	}
	for name := range want {
		t.Errorf("no type %s", name)
	}
}

// A source that nobody looked up bears nothing that is known.
func TestPatienceOfAnImpatientSource(t *testing.T) {
	var s struct{ source.Source }
	if p := source.PatienceOf(s); p.AckWithin != 0 || p.Failures != 0 || p.Transient != nil {
		t.Errorf("PatienceOf = %+v", p)
	}
}
