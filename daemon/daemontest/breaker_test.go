package daemontest_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/hooktroupe/hooktroupe/daemon/daemontest"
)

// TestABreakerOfARouteHoldsUpThatRouteAlone has one handler fail for one of two routes: that one's tasks wait and use up no
// attempt, also over a reload, while the other route's tasks are worked; a probe that succeeds lets them through again.
func TestABreakerOfARouteHoldsUpThatRouteAlone(t *testing.T) {
	mended := filepath.Join(t.TempDir(), "mended")
	text := `
tasks: {backoff_base: 1ms, backoff_cap: 2ms}
sources: {github: {secret: word}}
handlers:
  bot: {type: exec, command: [sh, -c, 'test "$EVENT" = star || test -e "$0"', ` + mended + `], variables: {EVENT: event}, breaker: {failures: 50, open_for: 1h}}
routes:
  - {name: reviews, source: github, event: push, handler: bot, max_attempts: %d, breaker: {failures: 2, open_for: %s}}
  - {name: stars, source: github, event: star, handler: bot}
`
	d := start(t, fmt.Sprintf(text, 5, "1h"))
	const gauge = `hooktroupe_tasks_breaker_open{handler="route reviews"}`
	if metric(d, gauge) != 0 || metric(d, `hooktroupe_tasks_breaker_open{handler="bot"}`) != 0 {
		t.Error("the gauges do not begin at zero")
	}
	failing := push(d, "d0", "word").Text("webhook_id")
	daemontest.Eventually(t, "the breaker is open", func() bool { return metric(d, gauge) == 1 })
	behind := push(d, "d1", "word").Text("webhook_id")
	held := func() {
		t.Helper()
		for i := range 5 {
			id := event(d, "star", fmt.Sprint("s", i, metric(d, succeeded)), "word").Text("webhook_id")
			d.AwaitStatus(id, "completed")
		}
		for id, want := range map[string]float64{failing: 2, behind: 0} {
			if got := d.Status(id).JSON()["attempts"]; got != want {
				t.Errorf("%v attempts behind an open breaker, want %v", got, want)
			}
		}
		routes, _ := d.Must(http.MethodGet, "/api/v1/routes", nil, nil).JSON()["routes"].([]any)
		for i, want := range []any{"route reviews: its breaker is open", nil} {
			if r, _ := routes[i].(map[string]any); r["blocked"] != want {
				t.Errorf("%v is blocked by %v, want %v", r["name"], r["blocked"], want)
			}
		}
		if metric(d, gauge) != 1 || metric(d, `hooktroupe_tasks_breaker_open{handler="bot"}`) != 0 {
			t.Error("the gauges are not those of an open route and a closed handler")
		}
	}
	held()
	reloaded(d, t, succeeded, func() { d.Configure(fmt.Sprintf(text, 6, "1h")) })
	held()
	if err := os.WriteFile(mended, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	reloaded(d, t, succeeded, func() { d.Configure(fmt.Sprintf(text, 6, "50ms")) })
	for id, want := range map[string]float64{failing: 3, behind: 1} {
		d.AwaitStatus(id, "completed")
		if got := d.Status(id).JSON()["attempts"]; got != want {
			t.Errorf("%v attempts in all, want %v", got, want)
		}
	}
	daemontest.Eventually(t, "the gauge says that it is closed", func() bool { return metric(d, gauge) == 0 })
	reloaded(d, t, succeeded, func() {
		d.Configure("sources: {github: {secret: word}}\nhandlers: {l: {type: log}}\nroutes: [{name: reviews, source: github, event: push, handler: l}]\n")
	})
	if metric(d, gauge) != -1 {
		t.Error("a breaker that is not configured any more is still in scrapes")
	}
}
