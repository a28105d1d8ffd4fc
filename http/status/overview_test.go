package status_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hooktroupe/hooktroupe/http/history"
	"github.com/hooktroupe/hooktroupe/http/status"
)

// hour is a daemon with one sample, one route and one handler.
type hour struct{ err error }

func (hour) Samples() []history.Sample {
	half := 0.5
	return []history.Sample{{At: time.Unix(1700000000, 0).UTC(), Accepted: 3, AckP50: &half}}
}

func (h hour) Routes(context.Context) ([]status.Route, error) {
	why := "handler bot: its breaker is open"
	return []status.Route{{Waiting: 3, Running: 1, Blocked: &why, Name: "reviews", Source: "github", Events: []string{"push"}, Policy: "serial", Handlers: []string{"bot"}}}, h.err
}

func (h hour) Handlers(context.Context) ([]status.HandlerState, error) {
	open := "open"
	return []status.HandlerState{{Routes: []string{"reviews"}, Name: "bot", Type: "forward", Concurrency: 2, Breaker: &open, Members: []status.Member{{
		Address: "10.0.0.1:8091", Identity: "CN=worker", Credits: 8, Since: "2026-01-31T12:00:00Z", Heard: "2026-01-31T12:00:01Z",
	}}}}, h.err
}

func TestOverviewAndRoutes(t *testing.T) {
	a := newAPI(t)
	body := string(a.call("GET", "/api/v1/overview", 200))
	for _, want := range []string{`"queued":1`, `"oldest_age":60`, `"ack_p50":0.5`, `"ack_p99":null`, `"sources":[`} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s in %s", want, body)
		}
	}
	if !strings.Contains(body, `"budgets":[{"name":"journal","unit":"bytes","used":1,"limit":2}]`) {
		t.Errorf("no budgets in %s", body)
	}
	body = string(a.call("GET", "/api/v1/routes", 200))
	if !strings.Contains(body, `"blocked":"handler bot: its breaker is open"`) || !strings.Contains(body, `"policy":"serial"`) {
		t.Errorf("routes: %s", body)
	}
	if body = string(a.call("GET", "/api/v1/handlers", 200)); !strings.Contains(body, `"breaker":"open"`) || !strings.Contains(body, `"routes":["reviews"]`) {
		t.Errorf("handlers: %s", body)
	}
	a.tasks.err = errors.New("away")
	a.call("GET", "/api/v1/overview", 503)
	a.past.err = errors.New("away")
	a.call("GET", "/api/v1/routes", 503)
	a.call("GET", "/api/v1/handlers", 503)
}
