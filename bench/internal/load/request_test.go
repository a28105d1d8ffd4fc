//go:build linux

package load_test

import (
	"encoding/json"
	"testing"

	"pgregory.net/rapid"

	"github.com/hooktroupe/hooktroupe/bench/internal/load"
)

func TestBodyHasItsSizeAndIsJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(512, 64<<10).Draw(t, "size")
		body := load.Body(size)
		if len(body) != size {
			t.Fatalf("%d bytes, want %d", len(body), size)
		}
		var m struct {
			Action     string
			Repository struct {
				Name string `json:"full_name"`
			}
			PullRequest struct{ Number int } `json:"pull_request"`
		}
		if err := json.Unmarshal(body, &m); err != nil {
			t.Fatalf("no JSON: %v\n%s", err, body)
		}
		if m.Action != "opened" || m.Repository.Name == "" || m.PullRequest.Number == 0 {
			t.Fatalf("members are missing: %+v", m)
		}
	})
}

func TestBodyRefusesWhatIsTooSmall(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a body of 511 bytes was made")
		}
	}()
	load.Body(511)
}
