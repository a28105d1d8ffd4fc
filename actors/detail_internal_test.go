package actors

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/hooktroupe/hooktroupe/task"
)

func TestDetailsOutlivePacking(t *testing.T) {
	var known sayings
	texts := rapid.SampledFrom([]string{"", "503", "timeout", "é\x00", strings.Repeat("stack ", 1000)})
	line := rapid.Custom(func(t *rapid.T) attempt {
		return attempt{
			number: rapid.Uint32().Draw(t, "number"), startedAt: rapid.Int64().Draw(t, "start"),
			endedAt: rapid.Int64().Draw(t, "end"), outcome: task.Outcome(rapid.Uint8Max(9).Draw(t, "outcome")),
			err: texts.Draw(t, "error"),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		d := &detail{
			err: texts.Draw(t, "error"), order: rapid.Int64().Draw(t, "order"), burst: rapid.Int64().Draw(t, "burst"),
		}
		if log := rapid.SliceOfN(line, 0, maxAttemptLog).Draw(t, "log"); len(log) > 0 {
			d.log = log
		}
		if result := rapid.SliceOf(rapid.Byte()).Draw(t, "result"); len(result) > 0 {
			d.result = result
		}
		p := known.pack(d)
		if got := p.unpack(); !reflect.DeepEqual(got, d) {
			t.Fatalf("%+v has become %+v", d, got)
		}
		if order, burst := p.place(); p.err() != d.err || order != d.order || burst != d.burst {
			t.Fatalf("%+v is %q, %d, %d at a glance", d, p.err(), order, burst)
		}
	})
}

func TestWhatFailsAlikeSharesItsTexts(t *testing.T) {
	var known sayings
	failed := func(errs ...string) packedDetail {
		d := &detail{err: errs[len(errs)-1]}
		for i, err := range errs {
			d.log = append(d.log, attempt{number: uint32(i + 1), err: err})
		}
		return known.pack(d)
	}
	one, other := failed("503", "timeout", "503"), failed("503", "timeout")
	if one.said != other.said || one.said.place != 2 {
		t.Errorf("%+v and %+v", one.said, other.said)
	}
	long := strings.Repeat("x", maxShared+1)
	for i := range 2 * maxSayings {
		failed(long, "after it")
		failed(fmt.Sprint(i))
		if len(known) > maxSayings {
			t.Fatalf("%d texts are remembered", len(known))
		}
	}
	for key := range known {
		if key.text == long || key.before != nil && key.before.text == long {
			t.Fatal("a long text is remembered")
		}
	}
}

// TestADetailIsSmall holds the bound that a million waiting retries rely on.
func TestADetailIsSmall(t *testing.T) {
	var known sayings
	p := known.pack(&detail{
		err: "503",
		log: []attempt{{number: 1, startedAt: 1 << 60, endedAt: 1<<60 + 1e9, outcome: task.Retry, err: "503"}},
	})
	if len(p.rest) > 24 {
		t.Errorf("%d bytes for one failed attempt", len(p.rest))
	}
}
