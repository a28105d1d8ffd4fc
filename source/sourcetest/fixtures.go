package sourcetest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"github.com/hooktroupe/hooktroupe/source"
)

// Fixture is one delivery of testdata/deliveries with what is known of it from other hands than the code under test.
type Fixture struct {
	// File is its path below testdata/deliveries.
	File string
	// Header is what the sender sends, without what authenticates it.
	Header source.Header
	// Body is the body byte for byte.
	Body []byte
	// EventType is the one that Parse must find.
	EventType string
	// DeliveryID is the one that Parse must find; empty when there is none in the request.
	DeliveryID string
	// Key is the key that Parse must find, when it is set. Otherwise it must be made of Repository and Thing, either of
	// which may be empty, with one mark between them.
	Key, Repository, Thing string
}

// manifest is the part of MANIFEST.json that matters here. Numbers stay as they are written.
type manifest struct {
	Deliveries []struct {
		Source      string            `json:"source"`
		File        string            `json:"file"`
		RoutingName string            `json:"routing_name"`
		Headers     map[string]string `json:"headers"`
		DeliveryID  string            `json:"delivery_id"`
		NaturalKey  struct {
			Repository json.RawMessage `json:"repo"`
			Thing      json.RawMessage `json:"sub"`
		} `json:"natural_key"`
		SHA256 string `json:"sha256"`
	} `json:"deliveries"`
}

// Fixtures returns the deliveries of a type of source, in the order of the manifest. A missing or altered file fails the
// test, and so does a type that has none.
func Fixtures(t testing.TB, sourceType string) []Fixture {
	t.Helper()
	folder := filepath.Join(moduleRoot(t), "testdata", "deliveries")
	var m manifest
	if err := json.Unmarshal(read(t, filepath.Join(folder, "MANIFEST.json")), &m); err != nil {
		t.Fatalf("MANIFEST.json: %v", err)
	}
	var fixtures []Fixture
	for _, d := range m.Deliveries {
		if d.Source != sourceType {
			continue
		}
		body := read(t, filepath.Join(folder, filepath.FromSlash(d.File)))
		if sum := sha256.Sum256(body); hex.EncodeToString(sum[:]) != d.SHA256 {
			t.Fatalf("%s is not the delivery that the manifest names", d.File)
		}
		fixtures = append(fixtures, Fixture{
			File:       d.File,
			Header:     headerOf(d.Headers),
			Body:       body,
			EventType:  d.RoutingName,
			DeliveryID: d.DeliveryID,
			Repository: text(d.NaturalKey.Repository),
			Thing:      text(d.NaturalKey.Thing),
		})
	}
	if len(fixtures) == 0 {
		t.Fatalf("testdata/deliveries has nothing of %s", sourceType)
	}
	return fixtures
}

func headerOf(fields map[string]string) source.Header {
	header := make(source.Header, 0, len(fields))
	for name, value := range fields {
		header = append(header, source.Field{Name: name, Value: value})
	}
	sort.Slice(header, func(i, j int) bool { return header[i].Name < header[j].Name })
	return header
}

// text is a JSON string without its quotes, a number as it is written, and nothing of null.
func text(raw json.RawMessage) string {
	if string(raw) == "null" {
		return ""
	}
	return strings.Trim(string(raw), `"`)
}

// moduleRoot walks up from the package under test to go.mod.
func moduleRoot(t testing.TB) string {
	t.Helper()
	folder, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(folder, "go.mod")); err == nil {
			return folder
		}
		parent := filepath.Dir(folder)
		if parent == folder {
			t.Fatal("no go.mod above the test")
		}
		folder = parent
	}
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}
