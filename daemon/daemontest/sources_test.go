package daemontest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hooktroupe/hooktroupe/daemon/daemontest"
	"github.com/hooktroupe/hooktroupe/source"
	"github.com/hooktroupe/hooktroupe/source/sources"
)

const (
	secret = "whole-process-test-secret"
	user   = "azure"
)

// standardSecret is a key in the form that Standard Webhooks has.
const standardSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="

// forged are the types of senders of which there are fixtures.
var forged = []string{
	"github", "gitlab", "azure_devops", "bitbucket_server", "bitbucket_cloud", "gitea", "forgejo", "standard_webhooks",
	"stripe", "slack", "shopify", "jira", "cloudevents",
}

// signsBody and signsTime say whose signature covers the body, and a time stamp.
var (
	signsBody = map[string]bool{
		"github": true, "bitbucket_server": true, "bitbucket_cloud": true, "gitea": true, "forgejo": true,
		"standard_webhooks": true, "stripe": true, "slack": true, "shopify": true, "jira": true,
	}
	signsTime = map[string]bool{"standard_webhooks": true, "stripe": true, "slack": true}
)

// secretOf is the secret of a type of sender.
func secretOf(kind string) string {
	if kind == "standard_webhooks" {
		return standardSecret
	}
	return secret
}

// configuration holds one source of each type, and forwards everything.
func configuration(sink string) string {
	return fmt.Sprintf(`
log: {format: json}
tasks: {backoff_base: 50ms, backoff_cap: 200ms}
MAX_RETRY_ATTEMPTS: 5
sources:
  github: {secret: env:TEST_SECRET, aliases: [seed]}
  gitlab: {secret: env:TEST_SECRET, aliases: [/webhook]}
  azure_devops: {username: %s, secret: env:TEST_SECRET}
  bitbucket_server: {secret: env:TEST_SECRET}
  bitbucket_cloud: {secret: env:TEST_SECRET}
  gitea: {secret: env:TEST_SECRET}
  forgejo: {secret: env:TEST_SECRET}
  standard_webhooks: {secret: env:TEST_STANDARD_SECRET}
  stripe: {secret: env:TEST_SECRET}
  slack: {secret: env:TEST_SECRET}
  shopify: {secret: env:TEST_SECRET}
  jira: {secret: env:TEST_SECRET}
  cloudevents: {secret: env:TEST_SECRET}
  partner:
    type: generic
    secret: env:TEST_SECRET
    generic: {scheme: hmac, header: X-Partner-Signature, event_path: kind, id_header: X-Partner-Id}
handlers:
  sink: {type: forward, url: %q}
routes:
  - {source: "*", event: "*", handler: sink}
`, user, sink)
}

// secrets are the variables that the configuration refers to.
func secrets() []string {
	return []string{"TEST_SECRET=" + secret, "TEST_STANDARD_SECRET=" + standardSecret}
}

func start(t *testing.T, yaml string) *daemontest.Daemon {
	t.Helper()
	d := daemontest.New(t, yaml)
	d.Env = secrets()
	d.Start()
	return d
}

// fixture is one entry of the manifest of real deliveries.
type fixture struct {
	File       string            `json:"file"`
	Source     string            `json:"source"`
	Routing    string            `json:"routing_name"`
	Headers    map[string]string `json:"headers"`
	DeliveryID string            `json:"delivery_id"`
}

const deliveries = "../../testdata/deliveries"

func fixtures(t *testing.T, wanted ...string) []fixture {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(deliveries, "MANIFEST.json"))
	if err != nil {
		t.Fatal(err)
	}
	var manifest struct {
		Entries []fixture `json:"deliveries"`
	}
	if err := json.Unmarshal(data, &manifest); err != nil {
		t.Fatal(err)
	}
	var kept []fixture
	for _, f := range manifest.Entries {
		for _, w := range wanted {
			if f.Source == w {
				kept = append(kept, f)
			}
		}
	}
	if len(kept) == 0 {
		t.Fatalf("no fixtures of %v", wanted)
	}
	return kept
}

func (f fixture) body(t *testing.T) []byte {
	t.Helper()
	body, err := os.ReadFile(filepath.Join(deliveries, f.File))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// signed returns the headers that the sender would send with that body, signed with a secret.
func signed(t *testing.T, kind string, headers map[string]string, body []byte, key string) http.Header {
	t.Helper()
	return signedAt(t, kind, headers, body, key, time.Now())
}

func signedAt(
	t *testing.T, kind string, headers map[string]string, body []byte, key string, at time.Time,
) http.Header {
	t.Helper()
	config := source.Config{Name: kind, Type: kind, Secrets: []source.Secret{{Value: []byte(key)}}}
	if kind == "azure_devops" {
		config.Username = user
	}
	if kind == "generic" {
		config.Generic = &source.Generic{Scheme: "hmac", Header: "X-Partner-Signature"}
	}
	s, err := sources.All()[kind](config)
	if err != nil {
		t.Fatal(err)
	}
	var block source.Header
	for name, value := range headers {
		block = block.With(name, value)
	}
	block, err = s.(source.Signer).Sign(block, body, at)
	if err != nil {
		t.Fatal(err)
	}
	return toHTTP(block)
}

func toHTTP(block source.Header) http.Header {
	header := make(http.Header)
	for _, field := range block {
		header.Add(field.Name, field.Value)
	}
	return header
}

// makesNoTask tells the deliveries that are answered at once.
func (f fixture) makesNoTask() bool {
	return f.Routing == "ping" || strings.HasPrefix(f.Routing, "diagnostics:ping") || f.Routing == "url_verification"
}

func TestEveryFixtureIsAcceptedAndForwardedByteForByte(t *testing.T) {
	sink := daemontest.NewSink(t)
	d := start(t, configuration(sink.URL))
	type accepted struct {
		id   string
		body []byte
	}
	var all []accepted
	for _, f := range fixtures(t, forged...) {
		body := f.body(t)
		answer := d.Must(http.MethodPost, "/webhooks/"+f.Source, signed(t, f.Source, f.Headers, body, secretOf(f.Source)), body)
		if f.makesNoTask() {
			if answer.Code != http.StatusOK {
				t.Errorf("%s: answered %d %s, want 200", f.File, answer.Code, answer.Body)
			}
			continue
		}
		// Some senders' test buttons repeat one ID: two fixtures may share it, and the second is a duplicate.
		if answer.Code == http.StatusOK && answer.JSON()["duplicate"] == true {
			continue
		}
		id := answer.Text("webhook_id")
		if answer.Code != http.StatusAccepted || id == "" || answer.Text("status") != "queued" {
			t.Errorf("%s: answered %d %s, want 202", f.File, answer.Code, answer.Body)
			continue
		}
		if location := answer.Header.Get("Location"); location != "/api/v1/webhook_status/"+id {
			t.Errorf("%s: Location is %q", f.File, location)
		}
		all = append(all, accepted{id, body})
	}
	for _, a := range all {
		d.AwaitStatus(a.id, "completed")
		if times, same := sink.Got(a.id, a.body); times != 1 || !same {
			t.Errorf("task %s reached the sink %d times, same bytes: %v", a.id, times, same)
		}
	}
	if len(all) < 120 {
		t.Errorf("only %d deliveries were accepted", len(all))
	}
}

func TestGenericSourceIsAcceptedAndForwarded(t *testing.T) {
	sink := daemontest.NewSink(t)
	d := start(t, configuration(sink.URL))
	body := []byte(`{"kind": "order.paid", "n": 12345678901234567890}` + "\n")
	headers := map[string]string{"Content-Type": "application/json", "X-Partner-Id": "p-1"}
	answer := d.Must(http.MethodPost, "/webhooks/partner", signed(t, "generic", headers, body, secret), body)
	if answer.Code != http.StatusAccepted {
		t.Fatalf("answered %d %s", answer.Code, answer.Body)
	}
	d.AwaitStatus(answer.Text("webhook_id"), "completed")
	if times, same := sink.Got(answer.Text("webhook_id"), body); times != 1 || !same {
		t.Errorf("reached the sink %d times, same bytes: %v", times, same)
	}
	if event := d.Status(answer.Text("webhook_id")).Text("event_type"); event != "order.paid" {
		t.Errorf("event type %q", event)
	}
}

// TestWhatIsNotAuthenticIsRefusedAndNotStored sends every fixture unsigned, with another secret, and, where the signature
// covers that, tampered with, truncated and stale.
func TestWhatIsNotAuthenticIsRefusedAndNotStored(t *testing.T) {
	sink := daemontest.NewSink(t)
	d := start(t, configuration(sink.URL))
	for _, f := range fixtures(t, forged...) {
		body := f.body(t)
		path := "/webhooks/" + f.Source
		bare := make(http.Header)
		for name, value := range f.Headers {
			bare.Set(name, value)
		}
		want := http.StatusUnauthorized
		if f.Routing == "diagnostics:ping" {
			want = http.StatusOK // the one thing that its sender does not sign
		}
		refused(t, f.File+" unsigned", d.Must(http.MethodPost, path, bare, body), want)
		other := "another secret"
		if f.Source == "standard_webhooks" {
			other = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
		}
		wrong := signed(t, f.Source, f.Headers, body, other)
		if want == http.StatusUnauthorized {
			refused(t, f.File+" wrong secret", d.Must(http.MethodPost, path, wrong, body), want)
		}
		if signsBody[f.Source] && want == http.StatusUnauthorized {
			good := signed(t, f.Source, f.Headers, body, secretOf(f.Source))
			tampered := append([]byte(nil), body...)
			tampered[len(tampered)/2] ^= 1
			refused(t, f.File+" tampered", d.Must(http.MethodPost, path, good, tampered), want)
			refused(t, f.File+" truncated", d.Must(http.MethodPost, path, good, body[:len(body)-1]), want)
		}
		if signsTime[f.Source] {
			stale := signedAt(t, f.Source, f.Headers, body, secretOf(f.Source), time.Now().Add(-time.Hour))
			refused(t, f.File+" stale", d.Must(http.MethodPost, path, stale, body), want)
		}
	}
	counts := d.Must(http.MethodGet, "/api/v1/webhook_statuses", nil, nil).JSON()
	if counts["count"] != 0.0 {
		t.Errorf("something was stored: %v", counts)
	}
	if sink.Tasks() != 0 {
		t.Errorf("%d tasks reached the sink", sink.Tasks())
	}
}

func refused(t *testing.T, what string, answer daemontest.Answer, want int) {
	t.Helper()
	if answer.Code != want {
		t.Errorf("%s: answered %d %s, want %d", what, answer.Code, answer.Body, want)
		return
	}
	if want < 400 {
		return
	}
	if got := answer.Header.Get("Content-Type"); !strings.HasPrefix(got, "application/problem+json") {
		t.Errorf("%s: content type %q", what, got)
	}
	if answer.Text("type") != "urn:hooktroupe:problem:bad-signature" {
		t.Errorf("%s: problem type %q", what, answer.Text("type"))
	}
	if strings.Contains(string(answer.Body), secret) {
		t.Errorf("%s: the answer holds the secret", what)
	}
}
