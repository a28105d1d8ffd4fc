package daemontest_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
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

// provesNoBody are the sources whose proof is the secret itself. signsTime says whose signature covers a time stamp.
var (
	provesNoBody = map[string]bool{"gitlab": true, "azure_devops": true, "azure_header": true, "cloudevents": true}
	signsTime    = map[string]bool{"standard_webhooks": true, "svix": true, "gitlab_signed": true, "stripe": true, "slack": true}
)

// typeOf is the type of a configured source, where its name is another.
var typeOf = map[string]string{
	"partner": "generic", "gitlab_signed": "gitlab", "azure_header": "azure_devops", "svix": "standard_webhooks",
}

// secretOf is the secret of a configured source.
func secretOf(name string) string {
	if name == "standard_webhooks" || name == "svix" || name == "gitlab_signed" {
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
  gitlab_signed: {type: gitlab, secret: env:TEST_STANDARD_SECRET}
  azure_devops: {username: %s, secret: env:TEST_SECRET}
  azure_header: {type: azure_devops, header: X-Hook-Secret, secret: env:TEST_SECRET}
  bitbucket_server: {secret: env:TEST_SECRET}
  bitbucket_cloud: {secret: env:TEST_SECRET}
  gitea: {secret: env:TEST_SECRET}
  forgejo: {secret: env:TEST_SECRET}
  standard_webhooks: {secret: env:TEST_STANDARD_SECRET}
  svix: {type: standard_webhooks, secret: env:TEST_STANDARD_SECRET}
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
	Source     string            `json:"source"` // the name of the configured source that it is sent to
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

// everyFixture is the whole manifest, and those deliveries once more that a sender may send in another way.
func everyFixture(t *testing.T) []fixture {
	t.Helper()
	all := fixtures(t, sources.Types()...)
	data, err := os.ReadFile(filepath.Join(deliveries, "MANIFEST.json"))
	if err != nil {
		t.Fatal(err)
	}
	if listed := strings.Count(string(data), `"sha256":`); listed != len(all) {
		t.Fatalf("the manifest lists %d deliveries, and %d are of known types", listed, len(all))
	}
	for _, f := range all {
		again := f
		again.Headers = maps.Clone(f.Headers)
		switch f.Source {
		case "gitlab":
			again.Source = "gitlab_signed"
			again.Headers["webhook-id"] = f.Headers["Idempotency-Key"]
		case "azure_devops":
			again.Source = "azure_header"
		case "standard_webhooks":
			again.Source = "svix"
			again.Headers["svix-id"] = f.Headers["webhook-id"]
			delete(again.Headers, "webhook-id")
		default:
			continue
		}
		all = append(all, again)
	}
	return all
}

func (f fixture) body(t *testing.T) []byte {
	t.Helper()
	body, err := os.ReadFile(filepath.Join(deliveries, f.File))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// signed returns the headers that the sender of a source would send with that body, signed with a secret.
func signed(t *testing.T, name string, headers map[string]string, body []byte, key string) http.Header {
	t.Helper()
	return signedAt(t, name, headers, body, key, time.Now())
}

func signedAt(
	t *testing.T, name string, headers map[string]string, body []byte, key string, at time.Time,
) http.Header {
	t.Helper()
	kind := cmp.Or(typeOf[name], name)
	config := source.Config{Name: name, Type: kind, Secrets: []source.Secret{{Value: []byte(key)}}}
	switch name {
	case "azure_devops":
		config.Username = user
	case "azure_header":
		config.Header = "X-Hook-Secret"
	case "generic", "partner":
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
	for _, f := range everyFixture(t) {
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
	if len(all) < 150 {
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
	for _, f := range everyFixture(t) {
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
		if secretOf(f.Source) == standardSecret {
			other = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
		}
		wrong := signed(t, f.Source, f.Headers, body, other)
		if want == http.StatusUnauthorized {
			refused(t, f.File+" wrong secret", d.Must(http.MethodPost, path, wrong, body), want)
		}
		good := signed(t, f.Source, f.Headers, body, secretOf(f.Source))
		if provesNoBody[f.Source] { // who cannot tell a changed body can tell one that is cut off
			cut := d.Must(http.MethodPost, path, good, body[:len(body)/2])
			if cut.Code != http.StatusBadRequest || cut.Text("type") != "urn:hooktroupe:problem:malformed-delivery" {
				t.Errorf("%s cut off: answered %d %s", f.File, cut.Code, cut.Body)
			}
		} else if want == http.StatusUnauthorized {
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

// TestSendReachesEverySource runs the command against the daemon for each source, with the configuration of the daemon.
func TestSendReachesEverySource(t *testing.T) {
	d := start(t, configuration(daemontest.NewSink(t).URL))
	names := append(sources.Types(), "partner", "gitlab_signed", "azure_header", "svix")
	for _, name := range names {
		if name == "generic" {
			continue // it is configured as partner
		}
		command := exec.CommandContext(t.Context(), daemontest.Binary(t), "send", "--wait", "--url", d.URL,
			"--config", filepath.Join(d.Folder, "hooktroupe.yaml"), "--name", name)
		command.Env = append(os.Environ(), secrets()...)
		output, err := command.CombinedOutput()
		if err != nil || !strings.HasPrefix(string(output), "202 ") || !strings.Contains(string(output), "completed") {
			t.Errorf("%s: %v\n%s", name, err, output)
		}
		if strings.Contains(string(output), secretOf(name)) {
			t.Errorf("%s: the secret is printed", name)
		}
	}
}
