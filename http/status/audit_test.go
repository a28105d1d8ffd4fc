package status_test

import (
	"fmt"
	"strings"
	"testing"
)

func TestAudit(t *testing.T) {
	a := newAPI(t)
	a.call("POST", "/api/v1/tasks/0190-a/cancel?reason=too+late", 200)
	a.call("POST", "/api/v1/tasks/0190-b/retry?access_token=never-kept", 409)
	a.call("POST", "/api/v1/lanes/r%231/pause?route=reviews", 200)
	a.call("POST", "/api/v1/replays", 202, `{}`)
	a.call("POST", "/api/v1/replays", 200, `{"dry_run": true}`) // changes nothing
	a.as("read", "POST", "/api/v1/tasks/0190-a/retry")
	a.call("GET", "/api/v1/tasks", 200)
	a.send("POST", "/api/v1/stream")
	var got struct{ Records []map[string]any }
	unmarshal(t, a.call("GET", "/api/v1/audit", 200), &got)
	want := []string{
		"tester read task.retry 0190-a  403", "tester admin replay.start 7  202",
		"tester admin lane.pause r#1 route=reviews 200", "tester admin task.retry 0190-b  409",
		"tester admin task.cancel 0190-a reason=too late 200",
	}
	var lines []string
	for _, r := range got.Records {
		lines = append(lines, fmt.Sprint(r["name"], " ", r["scope"], " ", r["action"], " ", r["target"], " ", r["parameters"], " ", r["status"]))
		if r["at"] != "2023-11-14T22:14:20Z" || r["client"] == "" {
			t.Errorf("the record is %v", r)
		}
	}
	if strings.Join(lines, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
	unmarshal(t, a.call("GET", "/api/v1/audit?limit=1", 200), &got)
	if len(got.Records) != 1 {
		t.Errorf("%d records", len(got.Records))
	}
	a.call("GET", "/api/v1/audit?limit=0", 400)
	for scope, want := range map[string]int{"read": 403, "operate": 403, "admin": 200} {
		if resp, body := a.as(scope, "GET", "/api/v1/audit"); resp.StatusCode != want {
			t.Errorf("%s: %d %s", scope, resp.StatusCode, body)
		}
	}
}

// TestAuditHoldsNothingThatATerminalActsOn: what a path says is kept bounded and printable.
func TestAuditHoldsNothingThatATerminalActsOn(t *testing.T) {
	a := newAPI(t)
	a.send("POST", "/api/v1/lanes/%1b%5b31m"+strings.Repeat("x", 1000)+"/pause?route="+strings.Repeat("y", 1000))
	var got struct {
		Records []struct{ Target, Parameters string }
	}
	unmarshal(t, a.call("GET", "/api/v1/audit", 200), &got)
	r := got.Records[0]
	if len(r.Target) != 512 || len(r.Parameters) != 512 || !strings.HasPrefix(r.Target, "?[31mxxx") {
		t.Errorf("the record is %+v", r)
	}
}
