package daemontest_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/hooktroupe/hooktroupe/daemon/daemontest"
)

// health is how the API shows one source.
func health(d *daemontest.Daemon, name string) map[string]any {
	list, _ := d.Must("GET", "/api/v1/sources", nil, nil).JSON()["sources"].([]any)
	for _, entry := range list {
		if s, ok := entry.(map[string]any); ok && s["name"] == name {
			return s
		}
	}
	return nil
}

// Deliveries that the daemon refuses although they are authentic bring a sender to its limit; strangers never do, and
// one good answer ends it. Each change is told once.
func TestASourceNearsTheLimitOfItsSender(t *testing.T) {
	d := start(t, configuration(daemontest.NewSink(t).URL))
	gitlab := func(token, body string, want int) {
		t.Helper()
		header := http.Header{"X-Gitlab-Token": {token}, "X-Gitlab-Event": {"Push Hook"}, "Content-Type": {"application/json"}}
		if got := d.Must("POST", "/webhook", header, []byte(body)); got.Code != want {
			t.Fatalf("answered %d, want %d", got.Code, want)
		}
	}
	expect := func(state string, failures, refused float64) {
		t.Helper()
		s := health(d, "gitlab")
		if s["state"] != state || s["consecutive_failures"] != failures || s["refused"] != refused || s["limit"] != 4.0 {
			t.Errorf("want %s after %v, refused %v; the API shows %v", state, failures, refused, s)
		}
	}
	for range 20 {
		gitlab("a stranger's", "{}", 401)
	}
	expect("healthy", 0, 20)
	for range 2 {
		gitlab(secret, "no JSON", 400)
	}
	expect("warning", 2, 20)
	for range 3 {
		gitlab(secret, "no JSON", 400)
	}
	expect("suspended_likely", 5, 20)
	if got := string(d.Must("GET", "/metrics", nil, nil).Body); !strings.Contains(got,
		`hooktroupe_source_consecutive_failures{source="gitlab"} 5`) || !strings.Contains(got, `hooktroupe_source_limit{source="gitlab"} 4`) {
		t.Error("the metrics do not show it")
	}
	gitlab(secret, `{"object_kind":"push"}`, 202)
	expect("healthy", 0, 20)
	if health(d, "gitlab")["last_accepted_at"] == nil || health(d, "github")["last_accepted_at"] != nil {
		t.Error("the wrong source was accepted last")
	}
	daemontest.Eventually(t, "the recovery is logged", func() bool { return strings.Contains(d.Log(), "healthy again") })
	for text, want := range map[string]int{"halfway to the failures": 1, "has reached the failures": 1, "healthy again": 1} {
		if got := strings.Count(d.Log(), text); got != want {
			t.Errorf("%q was logged %d times, want %d", text, got, want)
		}
	}
}
