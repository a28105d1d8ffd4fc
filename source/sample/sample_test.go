package sample_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/hooktroupe/hooktroupe/source"
	"github.com/hooktroupe/hooktroupe/source/sample"
)

func set() sample.Set {
	files := fstest.MapFS{
		"opened.json": {Data: []byte("{ \"id\": \"old\",\n  \"n\": 1 }\n")},
		"number.json": {Data: []byte(`{"id": 7}`)},
	}
	header := source.Header{{Name: "X-Event", Value: "thing"}}
	return sample.NewSet(files,
		sample.Sample{Event: "thing.opened", File: "opened.json", Header: header, IDHeaders: []string{"X-Id", "X-Too"}, IDPath: "id"},
		sample.Sample{Event: "plain", File: "opened.json"},
		sample.Sample{Event: "number", File: "number.json", IDPath: "id"},
		sample.Sample{Event: "lost", File: "lost.json"},
	)
}

// The delivery ID is put where it belongs, and every other byte stays.
func TestSample(t *testing.T) {
	for _, event := range []string{"", "thing", "thing.opened"} {
		header, body, err := set().Sample(event, `new"id`)
		if err != nil {
			t.Fatalf("%q: %v", event, err)
		}
		if want := "{ \"id\": \"new\\\"id\",\n  \"n\": 1 }\n"; string(body) != want {
			t.Errorf("%q: body %q, want %q", event, body, want)
		}
		if header.Get("X-Id") != `new"id` || header.Get("X-Too") != `new"id` || header.Get("X-Event") != "thing" {
			t.Errorf("%q: header %v", event, header)
		}
	}
	header, body, err := set().Sample("plain", "new")
	if err != nil || len(header) != 0 || !strings.Contains(string(body), "old") {
		t.Errorf("a sample without an ID is %v, %q, %v", header, body, err)
	}
}

func TestFreshIDs(t *testing.T) {
	seen := map[string]bool{}
	for range 10 {
		header, _, err := set().Sample("thing", "")
		if err != nil {
			t.Fatal(err)
		}
		seen[header.Get("X-Id")] = true
	}
	if len(seen) != 10 || seen[""] {
		t.Errorf("delivery IDs %v", seen)
	}
}

func TestErrors(t *testing.T) {
	for event, want := range map[string]string{
		"other": "thing.opened, plain, number, lost", "thin": "thing.opened", "thing.": "no sample",
		"number": "no string at id", "lost": "lost.json",
	} {
		if _, _, err := set().Sample(event, "x"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Sample(%q): %v, want %q in it", event, err, want)
		}
	}
}
