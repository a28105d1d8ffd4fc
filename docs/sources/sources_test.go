// Package sources holds the pages about senders, and the test that keeps them true.
package sources_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/hooktroupe/hooktroupe/config"
	"github.com/hooktroupe/hooktroupe/daemon"
	"github.com/hooktroupe/hooktroupe/daemon/daemontest"
	"github.com/hooktroupe/hooktroupe/source"
	"github.com/hooktroupe/hooktroupe/source/sources"
)

// TestEveryTypeHasAPageWhoseConfigurationWorks loads the configuration of each page as the daemon would, and builds the
// source that it describes.
func TestEveryTypeHasAPageWhoseConfigurationWorks(t *testing.T) {
	index, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	example := regexp.MustCompile(`--event '([^']+)'`)
	reference := regexp.MustCompile(`env:([A-Z_]+)`)
	for _, kind := range sources.Types() {
		t.Run(kind, func(t *testing.T) {
			page, err := os.ReadFile(kind + ".md")
			if err != nil {
				t.Fatal(err)
			}
			_, rest, found := strings.Cut(string(page), "```yaml\n")
			yaml, _, closed := strings.Cut(rest, "```")
			if !found || !closed {
				t.Fatal("the page has no configuration")
			}
			var environ []string
			for _, name := range reference.FindAllStringSubmatch(yaml, -1) {
				environ = append(environ, name[1]+"=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=")
			}
			file := filepath.Join(t.TempDir(), "hooktroupe.yaml")
			if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
				t.Fatal(err)
			}
			cfg, _, err := config.Load(config.Options{File: file, Environ: environ})
			if err != nil {
				t.Fatal(err)
			}
			if err := daemontest.CheckSchema([]byte(yaml)); err != nil {
				t.Errorf("the schema refuses it: %v", err)
			}
			for name, s := range cfg.Sources {
				if s.Type != kind {
					t.Errorf("its source %s has the type %s", name, s.Type)
				}
				built, err := daemon.Source(cfg, name)
				if err != nil {
					t.Fatal(err)
				}
				if event := example.FindStringSubmatch(string(page)); event != nil {
					if _, _, err := built.(source.Sampler).Sample(event[1], ""); err != nil {
						t.Errorf("the event of its example: %v", err)
					}
				}
			}
			if !strings.Contains(string(index), "("+kind+".md)") {
				t.Error("the index does not name the page")
			}
			if !strings.Contains(string(page), "**At the sender.**") {
				t.Error("the page does not say what to do at the sender")
			}
			if !strings.Contains(string(page), "hooktroupe send --source "+kind) && !strings.Contains(string(page), "hooktroupe send --config") {
				t.Error("the page does not say how to try it")
			}
			if guide := sources.Guides()[kind]; guide.Sender == "" || guide.Needs == "" || guide.Verifies == "" {
				t.Errorf("the guide is incomplete: %+v", guide)
			}
		})
	}
	pages, err := fs.Glob(os.DirFS("."), "*.md")
	if err != nil || len(pages) != len(sources.Types())+1 {
		t.Errorf("%d pages for %d types, %v", len(pages), len(sources.Types()), err)
	}
}
