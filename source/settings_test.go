package source_test

import (
	"strings"
	"testing"
	"time"

	"github.com/hooktroupe/hooktroupe/source"
)

func TestCheck(t *testing.T) {
	secret := func(value string) source.Secret { return source.Secret{Value: []byte(value)} }
	noon := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	good := []source.Secret{secret("s3cr3t")}
	all := source.Uses{Username: true, Header: true, Tolerance: true, Generic: true}
	for name, test := range map[string]struct {
		config source.Config
		uses   source.Uses
		want   string // a part of the error; empty for none
	}{
		"secret":            {source.Config{Name: "n", Secrets: good}, source.Uses{}, ""},
		"insecure":          {source.Config{Name: "n", Insecure: true}, source.Uses{}, ""},
		"all used":          {source.Config{Name: "n", Secrets: good, Username: "u", Tolerance: 1, Generic: &source.Generic{}}, all, ""},
		"no name":           {source.Config{Secrets: good}, all, "needs a name"},
		"no secret":         {source.Config{Name: "n"}, all, "sources.n.secrets: at least one"},
		"secret, insecure":  {source.Config{Name: "n", Secrets: good, Insecure: true}, all, "sources.n.insecure: "},
		"empty secret":      {source.Config{Name: "n", Secrets: append(good, secret(""))}, all, "sources.n.secrets[1]: is empty"},
		"username unused":   {source.Config{Name: "n", Secrets: good, Username: "u"}, source.Uses{}, "sources.n.username: "},
		"header unused":     {source.Config{Name: "n", Secrets: good, Header: "X-Secret"}, source.Uses{}, "sources.n.header: "},
		"tolerance unused":  {source.Config{Name: "n", Secrets: good, Tolerance: 1}, source.Uses{}, "sources.n.tolerance: "},
		"generic unused":    {source.Config{Name: "n", Secrets: good, Generic: &source.Generic{}}, source.Uses{}, "sources.n.generic: "},
		"negative":          {source.Config{Name: "n", Secrets: good, Tolerance: -1}, all, "sources.n.tolerance: "},
		"tolerance of days": {source.Config{Name: "n", Secrets: good, Tolerance: 48 * time.Hour}, all, "sources.n.tolerance: "},
		"never valid": {source.Config{Name: "n", Secrets: []source.Secret{
			{Value: []byte("s3cr3t"), NotBefore: noon, NotAfter: noon}}}, all, "sources.n.secrets[0]: "},
	} {
		t.Run(name, func(t *testing.T) {
			err := test.config.Check(test.uses)
			switch {
			case test.want == "" && err != nil:
				t.Fatalf("Check() = %v", err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Fatalf("Check() = %v, want %q in it", err, test.want)
			case err != nil && strings.Contains(err.Error(), "s3cr3t"):
				t.Fatalf("Check() = %v: shows the secret", err)
			}
		})
	}
}

func TestCheckReportsAllAtOnce(t *testing.T) {
	err := source.Config{Name: "n", Username: "u", Generic: &source.Generic{}}.Check(source.Uses{})
	for _, key := range []string{"secrets", "username", "generic"} {
		if err == nil || !strings.Contains(err.Error(), "sources.n."+key) {
			t.Errorf("Check() = %v, want sources.n.%s in it", err, key)
		}
	}
}

func TestWindow(t *testing.T) {
	if got := (source.Config{}).Window(); got != source.DefaultTolerance {
		t.Errorf("Window() = %s by default", got)
	}
	if got := (source.Config{Tolerance: time.Second}).Window(); got != time.Second {
		t.Errorf("Window() = %s, want what was configured", got)
	}
}

func TestSecretValidAt(t *testing.T) {
	noon := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	s := source.Secret{NotBefore: noon, NotAfter: noon.Add(time.Hour)}
	for at, want := range map[time.Duration]bool{-1: false, 0: true, time.Hour - 1: true, time.Hour: false} {
		if got := s.ValidAt(noon.Add(at)); got != want {
			t.Errorf("ValidAt(noon%+d) = %t", at, got)
		}
	}
	if !(source.Secret{}).ValidAt(noon) {
		t.Error("a secret without bounds is not valid")
	}
}

func TestSensitive(t *testing.T) {
	for name, want := range map[string]bool{
		"Authorization": true, "AUTHORIZATION": true, "x-gitlab-token": true, "X-Hub-Signature-256": true,
		"Cookie": true, "proxy-authorization": true, "webhook-signature": true, "X-Gitea-Signature": true,
		"X-GitHub-Event": false, "Content-Type": false, "": false, "Authorizatio": false, "webhook-id": false,
	} {
		if got := source.Sensitive(name); got != want {
			t.Errorf("Sensitive(%q) = %t", name, got)
		}
	}
}

func TestHeader(t *testing.T) {
	h := source.Header{{Name: "A", Value: "1"}, {Name: "b", Value: "2"}, {Name: "a", Value: "3"}}
	if got := h.Get("B"); got != "2" {
		t.Errorf(`Get("B") = %q`, got)
	}
	if value, present, single := h.One("b"); value != "2" || !present || !single {
		t.Errorf(`One("b") = %q, %t, %t`, value, present, single)
	}
	if _, present, single := h.One("A"); !present || single {
		t.Errorf(`One("A") = %t, %t; it came twice`, present, single)
	}
	if _, present, single := h.One("c"); present || !single {
		t.Errorf(`One("c") = %t, %t; it did not come`, present, single)
	}
	more := h.With("c", "4")
	if h.Get("c") != "" || more.Get("c") != "4" {
		t.Error("With changed its receiver, or not its result")
	}
}
