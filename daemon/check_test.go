package daemon_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/hooktroupe/hooktroupe/config"
	"github.com/hooktroupe/hooktroupe/daemon"
)

// examined reads a file as the daemon would, and has its parts judged.
func examined(t *testing.T, text string) *config.Report {
	t.Helper()
	file := filepath.Join(t.TempDir(), "hooktroupe.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var environ []string
	for _, name := range regexp.MustCompile(`env:([A-Z_]+)`).FindAllStringSubmatch(text, -1) {
		environ = append(environ, name[1]+"=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=")
	}
	r, err := config.Inspect(config.Options{File: file, Environ: environ})
	if err != nil {
		t.Fatal(err)
	}
	r.Add(daemon.Examine(r.Config)...)
	return r
}

// TestTheExampleCanBeBuilt builds what the example describes, as it stands and with every key. Of that, only files are
// missing that it names as samples.
func TestTheExampleCanBeBuilt(t *testing.T) {
	stands := string(config.Example())
	if r := examined(t, stands); len(r.Problems)+len(r.Warnings) > 0 {
		t.Errorf("as it stands: %v %v", r.Problems, r.Warnings)
	}
	r := examined(t, regexp.MustCompile(`(?m)^( *)#(\S)`).ReplaceAllString(stands, "$1$2"))
	for _, p := range r.Problems {
		if !strings.Contains(p.Message, "/etc/hooktroupe/") && !strings.Contains(p.Message, "/usr/local/bin/review") || p.Line == 0 {
			t.Errorf("with every key: %v", p)
		}
	}
	if len(r.Problems) < 5 {
		t.Errorf("the samples' files are here? %v", r.Problems)
	}
	for _, w := range r.Warnings {
		if !strings.Contains(w.Message, "insecure") {
			t.Errorf("with every key: %v", w)
		}
	}
}

// TestAPlaceWithinAnExpressionIsTold points at the character, however the text is quoted; where a text spans lines, at it.
func TestAPlaceWithinAnExpressionIsTold(t *testing.T) {
	for filter, want := range map[string]int{
		`payload.a == wrong`:                        26,
		`"payload.a == wrong"`:                      27,
		`'payload.ä == wrong'`:                      27,
		`"payload[\"a\"] == wrong"`:                 13,
		"|\n      payload.a ==\n        wrong\n   ": 13,
	} {
		r := examined(t, "sources: {github: {secret: env:S}}\nhandlers: {l: {type: log}}\nroutes:\n"+
			"  - source: github\n    event: push\n    handler: l\n    filter: "+filter+"\n")
		if len(r.Problems) != 1 {
			t.Errorf("%s: %v", filter, r.Problems)
			continue
		}
		if p := r.Problems[0]; p.Path != "routes[0].filter" || p.Message != "unknown name wrong" || p.Line != 7 || p.Column != want {
			t.Errorf("%s: %v, want column %d", filter, p, want)
		}
	}
}
