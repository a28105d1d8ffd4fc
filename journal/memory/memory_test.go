package memory_test

import (
	"testing"

	"github.com/hooktroupe/hooktroupe/journal"
	"github.com/hooktroupe/hooktroupe/journal/journaltest"
	"github.com/hooktroupe/hooktroupe/journal/memory"
)

func open(tb testing.TB, budget int64) journal.Journal {
	tb.Helper()
	j, err := memory.New(memory.Config{MaxBytes: budget})
	if err != nil {
		tb.Fatal(err)
	}
	return j
}

func TestConformance(t *testing.T) {
	journaltest.Run(t, journaltest.Features{
		Open:      open,
		Snapshots: func(testing.TB, journal.Journal) journal.Snapshots { return &memory.Snapshots{} },
		Budget:    256 << 10,
		Exact:     true,
	})
}

func TestConfig(t *testing.T) {
	for _, test := range []struct {
		name   string
		config memory.Config
		valid  bool
	}{
		{"defaults", memory.Config{}, true},
		{"bounded", memory.Config{MaxBytes: 1 << 20, HighWater: 1}, true},
		{"negative", memory.Config{MaxBytes: -1}, false},
		{"above one", memory.Config{HighWater: 1.01}, false},
		{"below zero", memory.Config{HighWater: -0.5}, false},
	} {
		if _, err := memory.New(test.config); (err == nil) != test.valid {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

// The offsets of a segment are 32 bits wide: a long life needs several.
func TestSegmentsFollow(t *testing.T) {
	j := open(t, 0)
	group := []journal.Entry{{Type: 1, Data: make([]byte, 30<<20)}}
	var last journal.Position
	for range 7 {
		at, err := j.Append(nil, group, journal.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if at[0].Compare(last) <= 0 {
			t.Fatalf("%v after %v", at[0], last)
		}
		last = at[0]
		if err := j.Compact(last, nil); err != nil {
			t.Fatal(err)
		}
	}
	if last.Segment < 3 {
		t.Errorf("210 MiB end in segment %d", last.Segment)
	}
	if got := j.Stats().Bytes; got > 31<<20 {
		t.Errorf("%d bytes are kept of one live record", got)
	}
}
