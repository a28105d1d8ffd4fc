package status_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/hooktroupe/hooktroupe/messages"
)

// replays is a daemon with one replay, 7, that remembers what it was asked.
type replays struct {
	err    error
	filter *messages.Filter
	rate   float64
}

func replaySeven() *messages.Replay {
	return &messages.Replay{
		Id: 7, State: messages.ReplayState_REPLAY_STATE_RUNNING, Rate: 2.5, Total: 100, Replayed: 30, Refused: 1,
		StartedAt: 1700000000 * second,
		Filter: &messages.Filter{
			Statuses: []messages.Status{messages.Status_STATUS_FAILED}, Text: "timeout", From: 1600000000 * second,
		},
	}
}

func (f *replays) StartReplay(
	_ context.Context, filter *messages.Filter, rate float64,
) (*messages.Replay, *messages.ReplayRefused, error) {
	f.filter, f.rate = filter, rate
	if filter.GetSource() == "busy" {
		return nil, &messages.ReplayRefused{Detail: "too many"}, nil
	}
	return replaySeven(), nil, f.err
}

func (f *replays) CancelReplay(_ context.Context, id uint64) (*messages.Replay, *messages.ReplayRefused, error) {
	if id != 7 {
		return nil, &messages.ReplayRefused{NotFound: true}, nil
	}
	return replaySeven(), nil, f.err
}

func (f *replays) Replays(context.Context) ([]*messages.Replay, error) {
	return []*messages.Replay{replaySeven()}, f.err
}

func (f *replays) CountReplayable(_ context.Context, filter *messages.Filter) (int, error) {
	f.filter = filter
	return 42, f.err
}

func TestReplays(t *testing.T) {
	a := newAPI(t)
	const filter = `{"filter": {"status": ["failed", "cancelled"], "source": "github", "event": "push", "key": "o/r",
		"route": "x", "error": "timeout", "from": "2020-09-13T12:26:40Z", "until": "2023-11-14T22:13:20Z"}, "rate": 2.5`
	a.call("POST", "/api/v1/replays", 202, filter+"}")
	want := &messages.Filter{
		Statuses: []messages.Status{messages.Status_STATUS_FAILED, messages.Status_STATUS_CANCELLED}, Source: "github",
		EventType: "push", Key: "o/r", Route: "x", Text: "timeout", From: 1600000000 * second, Until: 1700000000 * second,
	}
	if !proto.Equal(a.replays.filter, want) || a.replays.rate != 2.5 {
		t.Errorf("asked %v at %g, want %v", a.replays.filter, a.replays.rate, want)
	}
	if body := string(a.call("POST", "/api/v1/replays", 200, filter+`, "dry_run": true}`)); body != `{"dry_run":true,"matches":42}` {
		t.Errorf("dry run: %s", body)
	}
	for _, target := range []string{"/api/v1/replays", "/api/v1/replays/7"} {
		if body := string(a.call("GET", target, 200)); !strings.Contains(body, `"state":"running"`) ||
			!strings.Contains(body, `"status":["failed"]`) || !strings.Contains(body, `"from":"2020-09-13T12:26:40Z"`) {
			t.Errorf("%s: %s", target, body)
		}
	}
	a.call("POST", "/api/v1/replays/7/cancel", 200)
}

func TestReplaysRefuse(t *testing.T) {
	a := newAPI(t)
	for name, body := range map[string]string{
		"not JSON": "all of them", "unknown field": `{"filters": {}}`, "unfinished": `{"filter": {"status": ["queued"]}}`,
		"no status": `{"filter": {"status": ["done"]}}`, "rate": `{"rate": -1}`, "no body": "",
		"time": `{"filter": {"from": "yesterday"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			a.call("POST", "/api/v1/replays", 400, body)
			if a.replays.filter != nil {
				t.Error("it was asked for all the same")
			}
		})
	}
	large := `{"filter": {"key": "` + strings.Repeat("x", 20_000) + `"}}`
	if body := a.call("POST", "/api/v1/replays", 413, large); !strings.Contains(string(body), ":body-too-large") || a.replays.filter != nil {
		t.Errorf("too large: %s", body)
	}
	a.call("POST", "/api/v1/replays", 409, `{"filter": {"source": "busy"}}`)
	a.call("GET", "/api/v1/replays/8", 404)
	a.call("POST", "/api/v1/replays/8/cancel", 404)
	a.call("POST", "/api/v1/replays/x/cancel", 404)
	a.replays.err = errors.New("away")
	a.call("GET", "/api/v1/replays", 503)
	a.call("POST", "/api/v1/replays", 503, `{}`)
}
