package status_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/hooktroupe/hooktroupe/http/ingress/health"
	"github.com/hooktroupe/hooktroupe/source"
)

// watched are the sources of a daemon.
type watched []health.Report

func (w watched) Reports() []health.Report { return w }

func TestSources(t *testing.T) {
	a := newAPI(t)
	a.sources = watched{
		{
			Source: health.Source{
				Name: "forge", Type: "gitlab", Paths: []string{"/webhooks/forge", "/hook"},
				Patience: source.Patience{AckWithin: 2500 * time.Millisecond, Failures: 4, Then: "It stops."},
			},
			State: health.Warning, LastAcceptedAt: time.Unix(1700000000, 5e8), ConsecutiveFailures: 3, SlowAcks: 2, Refused: 9,
		},
		{Source: health.Source{Name: "new", Type: "generic"}, State: health.Healthy},
		{Source: health.Source{Name: "gone", Type: "gitlab"}, State: health.SuspendedLikely},
	}
	var got, want any
	unmarshal(t, a.call("GET", "/api/v1/sources", 200), &got)
	unmarshal(t, []byte(`{"sources": [
		{"name": "forge", "type": "gitlab", "paths": ["/webhooks/forge", "/hook"], "state": "warning",
			"last_accepted_at": "2023-11-14T22:13:20.5Z", "consecutive_failures": 3, "limit": 4,
			"ack_within_seconds": 2.5, "slow_acks": 2, "refused": 9, "then": "It stops."},
		{"name": "new", "type": "generic", "paths": [], "state": "healthy", "last_accepted_at": null,
			"consecutive_failures": 0, "limit": null, "ack_within_seconds": null, "slow_acks": 0, "refused": 0, "then": ""},
		{"name": "gone", "type": "gitlab", "paths": [], "state": "suspended_likely", "last_accepted_at": null,
			"consecutive_failures": 0, "limit": null, "ack_within_seconds": null, "slow_acks": 0, "refused": 0, "then": ""}
	]}`), &want)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	a.sources = nil
	if got := string(a.call("GET", "/api/v1/sources", 200)); got != `{"sources":[]}` {
		t.Errorf("without sources: %s", got)
	}
	if resp, _ := a.send("POST", "/api/v1/sources"); resp.StatusCode != 405 {
		t.Errorf("POST: %d", resp.StatusCode)
	}
}
