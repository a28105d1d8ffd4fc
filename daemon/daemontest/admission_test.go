package daemontest_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/hooktroupe/hooktroupe/daemon/daemontest"
)

const admission = `
log: {format: json, level: debug}
http: {client_address: x-forwarded-for, trusted_proxies: [127.0.0.1]}
sources:
  github: {secret: env:TEST_SECRET, allow: [192.0.2.0/24]}
  gitlab: {secret: env:TEST_SECRET, rate: 2/h, burst: 2}
handlers:
  log: {type: log}
routes:
  - {source: "*", event: "*", handler: log}
`

// TestAdmissionOfTheWholeProcess refuses by address and by rate, stores nothing of it, counts it, and never logs what an
// address holds behind its question mark.
func TestAdmissionOfTheWholeProcess(t *testing.T) {
	const query = "?access_token=never-to-be-logged"
	d := start(t, admission)
	send := func(source, client string, want int, kind string) {
		t.Helper()
		f := first(t, source)
		body := f.body(t)
		header := signed(t, source, f.Headers, body, secret)
		header.Set("X-Forwarded-For", client)
		answer := d.Must(http.MethodPost, "/webhooks/"+source+query, header, body)
		if answer.Code != want || kind != "" && answer.Text("type") != "urn:hooktroupe:problem:"+kind {
			t.Errorf("%s from %s: %d %s, want %d", source, client, answer.Code, answer.Body, want)
		}
		if retry := answer.Header.Get("Retry-After"); (want == http.StatusServiceUnavailable) != (retry != "") {
			t.Errorf("%s from %s: %d with Retry-After %q", source, client, answer.Code, retry)
		}
	}
	send("github", "198.51.100.9", http.StatusForbidden, "address-refused")
	send("github", "192.0.2.7, 198.51.100.9", http.StatusForbidden, "address-refused")
	send("github", "192.0.2.7, unknown", http.StatusForbidden, "address-refused")
	send("github", "198.51.100.9, 192.0.2.7", http.StatusAccepted, "")
	send("gitlab", "198.51.100.9", http.StatusAccepted, "")
	send("gitlab", "198.51.100.9", http.StatusOK, "") // a duplicate is a delivery as well
	send("gitlab", "198.51.100.9", http.StatusServiceUnavailable, "rate-exceeded")

	if counts := d.Must(http.MethodGet, "/api/v1/webhook_statuses", nil, nil).JSON(); counts["count"] != 2.0 {
		t.Errorf("stored: %v, want 2", counts)
	}
	metrics := string(d.Must(http.MethodGet, "/metrics", nil, nil).Body)
	for _, want := range []string{
		`ingress_rejected_total{reason="address_refused",source="github"} 3`,
		`ingress_rejected_total{reason="rate_exceeded",source="gitlab"} 1`,
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("no %s", want)
		}
	}
	if code := d.Stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if strings.Contains(d.Log(), "never-to-be-logged") {
		t.Error("the query is logged")
	}
	if !strings.Contains(d.Log(), `"client.address":"198.51.100.9"`) {
		t.Error("no refusal is logged with its client")
	}
}

// first is the first fixture of a source that makes a task.
func first(t *testing.T, source string) fixture {
	t.Helper()
	for _, f := range fixtures(t, source) {
		if !f.makesNoTask() {
			return f
		}
	}
	t.Fatalf("no fixture of %s makes a task", source)
	return fixture{}
}

func TestAMistakenAdmissionIsRefusedAtLoad(t *testing.T) {
	for _, c := range []struct{ from, to, want string }{
		{"[192.0.2.0/24]", "[github.com]", "hooktroupe.yaml:5:45: sources.github.allow[0]: "},
		{"2/h", "2/fortnight", "hooktroupe.yaml:6:43: sources.gitlab.rate: "},
		{"x-forwarded-for", "x-real-ip", "hooktroupe.yaml:3:24: http.client_address: "},
		{", trusted_proxies: [127.0.0.1]", "", "hooktroupe.yaml:3:24: http.client_address: nobody is believed"},
	} {
		d := daemontest.New(t, strings.Replace(admission, c.from, c.to, 1))
		d.Env = secrets()
		d.Run()
		if code := d.Wait(); code == 0 || !strings.Contains(d.Log(), c.want) {
			t.Errorf("exit code %d, want %q in\n%s", code, c.want, d.Log())
		}
	}
}
