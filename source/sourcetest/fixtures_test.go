package sourcetest_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hooktroupe/hooktroupe/source/sources"
	"github.com/hooktroupe/hooktroupe/source/sourcetest"
)

const deliveries = "../../testdata/deliveries"

// TestNoDeliveryIsForgotten compares folder, manifest, table of licences and types of sources with each other. That each
// body is the one of the manifest, Fixtures checks.
func TestNoDeliveryIsForgotten(t *testing.T) {
	var manifest struct {
		Deliveries []struct {
			File, Source, Licence string
			Origin                struct{ Repository, Commit, Path string }
		}
	}
	text, err := os.ReadFile(filepath.Join(deliveries, "MANIFEST.json"))
	if err == nil {
		err = json.Unmarshal(text, &manifest)
	}
	if err != nil {
		t.Fatal(err)
	}
	listed, origins := map[string]bool{}, map[string]int{}
	for _, d := range manifest.Deliveries {
		listed[d.File] = true
		origins[fmt.Sprintf("| `%s/` | %%d | %s | %s |", d.Source, d.Origin.Repository, d.Licence)]++
	}
	err = filepath.WalkDir(deliveries, func(path string, entry fs.DirEntry, err error) error {
		file, _ := filepath.Rel(deliveries, path)
		if err == nil && !entry.IsDir() && filepath.Dir(file) != "." && !listed[filepath.ToSlash(file)] {
			t.Errorf("%s is not in the manifest", file)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	fixtures := 0
	for _, kind := range sources.Types() {
		if kind != "generic" {
			fixtures += len(sourcetest.Fixtures(t, kind))
		}
	}
	if fixtures != len(manifest.Deliveries) || fixtures != len(listed) {
		t.Errorf("%d deliveries are listed, %d of them once, and %d are of known types", len(manifest.Deliveries), len(listed), fixtures)
	}
	licences, err := os.ReadFile(filepath.Join(deliveries, "LICENCES.md"))
	if err != nil {
		t.Fatal(err)
	}
	for row, n := range origins {
		if row = fmt.Sprintf(row, n); !strings.Contains(string(licences), row) {
			t.Errorf("LICENCES.md has no row %s", row)
		}
	}
	if rows := strings.Count(string(licences), "\n| `"); rows != len(origins) {
		t.Errorf("LICENCES.md has %d rows for %d origins", rows, len(origins))
	}
}
