package daemontest_test

import (
	"net/http"
	"testing"
)

// TestCloudEventsFromTheHandshakeOn does what a sender of CloudEvents does: it asks by OPTIONS whether it may deliver,
// and delivers then.
func TestCloudEventsFromTheHandshakeOn(t *testing.T) {
	d := start(t, `
log: {format: json}
sources:
  events: {type: cloudevents, secret: env:TEST_SECRET}
  github: {secret: env:TEST_SECRET}
handlers:
  log: {type: log}
routes:
  - {source: "*", event: "*", handler: log}
`)
	ask := http.Header{"Webhook-Request-Origin": {"eventemitter.example.com"}, "Webhook-Request-Rate": {"120"}}
	answer := d.Must(http.MethodOptions, "/webhooks/events", ask, nil)
	for name, want := range map[string]string{
		"WebHook-Allowed-Origin": "eventemitter.example.com", "WebHook-Allowed-Rate": "*", "Allow": "POST",
	} {
		if got := answer.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if answer.Code != http.StatusOK {
		t.Errorf("the handshake: %d %s", answer.Code, answer.Body)
	}
	for path, header := range map[string]http.Header{"/webhooks/events": nil, "/webhooks/github": ask} {
		if answer := d.Must(http.MethodOptions, path, header, nil); answer.Code != http.StatusMethodNotAllowed {
			t.Errorf("OPTIONS %s: %d", path, answer.Code)
		}
	}

	event := []byte(`{"specversion":"1.0","type":"com.example.made","source":"/mycontext","id":"A234-1234-1234","data":{}}`)
	header := http.Header{
		"Content-Type": {"application/cloudevents+json"}, "Webhook-Request-Origin": {"eventemitter.example.com"},
	}
	refused(t, "consent is no proof", d.Must(http.MethodPost, "/webhooks/events", header, event), http.StatusUnauthorized)
	header.Set("Authorization", "Bearer "+secret)
	answer = d.Must(http.MethodPost, "/webhooks/events", header, event)
	if answer.Code != http.StatusAccepted {
		t.Fatalf("the delivery: %d %s", answer.Code, answer.Body)
	}
	d.AwaitStatus(answer.Text("webhook_id"), "completed")
	if kind := d.Status(answer.Text("webhook_id")).Text("event_type"); kind != "com.example.made" {
		t.Errorf("event type %q", kind)
	}
}
