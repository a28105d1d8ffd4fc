package audit_test

import (
	"io"
	"sync"
	"testing"

	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"
	"pgregory.net/rapid"

	"github.com/hooktroupe/hooktroupe/http/audit"
	"github.com/hooktroupe/hooktroupe/http/auth"
)

func quiet() *logrus.Logger {
	log := logrus.New()
	log.SetOutput(io.Discard)
	log.SetLevel(logrus.ErrorLevel)
	return log
}

// TestNewestIsTheEndOfAll: whatever was added, the newest records come back, newest first, at most a thousand.
func TestNewestIsTheEndOfAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		trail := audit.New(quiet())
		n := rapid.IntRange(0, 2500).Draw(t, "records")
		for i := range n {
			trail.Add(audit.Record{Status: i})
		}
		limit := rapid.IntRange(1, 1500).Draw(t, "limit")
		got := trail.Newest(limit)
		if len(got) != min(n, limit, 1000) {
			t.Fatalf("%d of %d, asked for %d", len(got), n, limit)
		}
		for i, r := range got {
			if r.Status != n-1-i {
				t.Fatalf("place %d holds %d of %d", i, r.Status, n)
			}
		}
	})
}

func TestEveryRecordIsLoggedWithItsField(t *testing.T) {
	log, hook := logtest.NewNullLogger()
	audit.New(log).Add(audit.Record{
		Who: auth.Principal{Name: "ci", Scope: auth.Operate}, Client: "192.0.2.1:9", Action: "task.cancel", Target: "0190-a",
		Parameters: "reason=late", Status: 200,
	})
	e := hook.LastEntry()
	want := logrus.Fields{
		"audit": "task.cancel", "user.name": "ci", "user.scope": "operate", "client.address": "192.0.2.1:9", "target": "0190-a",
		"parameters": "reason=late", "http.response.status_code": 200,
	}
	if e == nil || e.Level != logrus.InfoLevel || len(e.Data) != len(want) {
		t.Fatalf("logged %+v", e)
	}
	for name, value := range want {
		if e.Data[name] != value {
			t.Errorf("%s is %v, want %v", name, e.Data[name], value)
		}
	}
}

func TestManyAddWhileManyAsk(t *testing.T) {
	trail := audit.New(quiet())
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for i := range 600 {
				trail.Add(audit.Record{Status: i})
			}
		})
		all.Go(func() {
			for range 100 {
				trail.Newest(10)
			}
		})
	}
	all.Wait()
	if got := len(trail.Newest(5000)); got != 1000 {
		t.Errorf("%d records are kept", got)
	}
}
