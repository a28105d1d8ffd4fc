package client

import (
	"strings"
	"testing"
)

// FuzzRead holds that no stream makes the reader panic or tell an event of two kinds.
func FuzzRead(f *testing.F) {
	f.Add("id: 1\nevent: task\ndata: {\"id\":\"a\"}\n\n")
	f.Add("event: reset\r\n\r\n:\n\n")
	f.Add("data\ndata:\nevent\n\n")
	f.Fuzz(func(t *testing.T, text string) {
		follower := &follower{fn: func(e Event) error {
			kinds := 0
			for _, set := range []bool{e.Task != nil, e.Lane != nil, e.Replay != nil} {
				if set {
					kinds++
				}
			}
			if kinds > 1 {
				t.Errorf("one event of %d kinds", kinds)
			}
			return nil
		}}
		_ = follower.read(strings.NewReader(text), func() {})
	})
}
