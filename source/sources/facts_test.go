package sources_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hooktroupe/hooktroupe/source"
	"github.com/hooktroupe/hooktroupe/source/sources"
)

// The facts that senders are mistaken for each other by, side by side. Signatures are made here, by other code than that of
// the sources, and each request goes to every source that it could be taken for.

var noon = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

func made(t *testing.T, kind, secret string) source.Source {
	t.Helper()
	c := source.Config{Name: "n", Type: kind, Secrets: []source.Secret{{Value: []byte(secret)}}}
	if kind == "azure_devops" {
		c.Username = "hooks"
	}
	s, err := sources.All()[kind](c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func sum(of func() hash.Hash, key, text string) []byte {
	mac := hmac.New(of, []byte(key))
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

func hexSum(of func() hash.Hash, key, text string) string {
	return hex.EncodeToString(sum(of, key, text))
}

// judged fails unless exactly those of the kinds accept the request.
func judged(t *testing.T, what, secret string, header source.Header, body string, accepted map[string]bool) {
	t.Helper()
	for kind, want := range accepted {
		req := &source.Request{Method: "POST", Header: header, Body: []byte(body), ReceivedAt: noon}
		if err := made(t, kind, secret).Verify(req, noon); (err == nil) != want {
			t.Errorf("%s at %s: %v", what, kind, err)
		}
	}
}

func TestHubSignatureIsSHA1AtGitHubAndSHA256Elsewhere(t *testing.T) {
	const secret, body = "s", `{"a":1}`
	hub := func(value string) source.Header { return source.Header{{Name: "X-Hub-Signature", Value: value}} }
	judged(t, "SHA-256", secret, hub("sha256="+hexSum(sha256.New, secret, body)), body, map[string]bool{
		"bitbucket_server": true, "bitbucket_cloud": true, "jira": true, "github": false,
	})
	judged(t, "SHA-1", secret, hub("sha1="+hexSum(sha1.New, secret, body)), body, map[string]bool{
		"bitbucket_server": false, "bitbucket_cloud": false, "jira": false, "github": false,
	})
	both := hub("sha1="+hexSum(sha1.New, secret, body)).With("X-Hub-Signature-256", "sha256="+hexSum(sha256.New, secret, body))
	judged(t, "both of GitHub's", secret, both, body, map[string]bool{"github": true, "bitbucket_server": false, "jira": false})
}

func TestFormsAreSignedRawOrWithin(t *testing.T) {
	const secret, inner = "s", `{"action":"größe"}`
	form := "payload=" + url.QueryEscape(inner)
	typed := source.Header{{Name: "Content-Type", Value: "application/x-www-form-urlencoded"}}
	stamp := strconv.FormatInt(noon.Unix(), 10)
	for signed, rawIsSigned := range map[string]bool{form: true, inner: false} {
		digest := hexSum(sha256.New, secret, signed)
		header := typed.With("X-Hub-Signature-256", "sha256="+digest).With("X-Gitea-Signature", digest).
			With("X-Forgejo-Signature", digest).With("X-Slack-Request-Timestamp", stamp).
			With("X-Slack-Signature", "v0="+hexSum(sha256.New, secret, "v0:"+stamp+":"+signed))
		judged(t, "signed "+signed, secret, header, form, map[string]bool{
			"github": rawIsSigned, "slack": rawIsSigned, "gitea": !rawIsSigned, "forgejo": !rawIsSigned,
		})
	}
}

func TestWhsecIsBase64OrText(t *testing.T) {
	const key = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
	secret, body := "whsec_"+base64.StdEncoding.EncodeToString([]byte(key)), `{"type":"e"}`
	stamp := strconv.FormatInt(noon.Unix(), 10)
	for signing, decoded := range map[string]bool{key: true, secret: false} {
		standard := base64.StdEncoding.EncodeToString(sum(sha256.New, signing, "id."+stamp+"."+body))
		header := source.Header{
			{Name: "webhook-id", Value: "id"}, {Name: "webhook-timestamp", Value: stamp},
			{Name: "webhook-signature", Value: "v1," + standard},
			{Name: "Stripe-Signature", Value: "t=" + stamp + ",v1=" + hexSum(sha256.New, signing, stamp+"."+body)},
		}
		judged(t, "keyed with "+signing, secret, header, body, map[string]bool{
			"standard_webhooks": decoded, "gitlab": decoded, "stripe": !decoded,
		})
	}
}

// Gitea sends GitHub's headers, with a signature that GitHub's source would take. It is its own that count at Gitea, and
// without a secret they are there and empty.
func TestGiteaSendsTheHeadersOfGitHub(t *testing.T) {
	const secret, body = "s", `{"action":"opened","repository":{"full_name":"a/b"},"pull_request":{"number":7}}`
	digest := hexSum(sha256.New, secret, body)
	imitated := source.Header{
		{Name: "X-GitHub-Event", Value: "push"}, {Name: "X-GitHub-Delivery", Value: "imitated"},
		{Name: "X-Hub-Signature-256", Value: "sha256=" + digest}, {Name: "X-Gogs-Signature", Value: digest},
	}
	judged(t, "only imitated headers", secret, imitated, body, map[string]bool{"github": true, "gitea": false, "forgejo": false})
	own := imitated.With("X-Gitea-Event", "pull_request").With("X-Gitea-Delivery", "own").With("X-Gitea-Signature", digest)
	judged(t, "its own headers", secret, own, body, map[string]bool{"gitea": true, "forgejo": false})
	judged(t, "a prefix", secret, imitated.With("X-Gitea-Signature", "sha256="+digest), body, map[string]bool{"gitea": false})
	judged(t, "an empty signature", secret, imitated.With("X-Gitea-Signature", ""), body, map[string]bool{"gitea": false})
	d, err := made(t, "gitea", secret).Parse(&source.Request{Header: own, Body: []byte(body)})
	if err != nil || d.EventType != "pull_request.opened" || d.DeliveryID != "own" || d.Key != "a/b#7" {
		t.Errorf("Parse = %+v, %v", d, err)
	}
}

// Times that nobody signed prove nothing: neither does an old one refuse, nor a new one help.
func TestUnsignedTimesAreNotLookedAt(t *testing.T) {
	const secret, body = "s", `{"webhookEvent":"e","createdDate":"2001-01-01T00:00:00Z","timestamp":1}`
	digest := sum(sha256.New, secret, body)
	for _, at := range []string{"2001-01-01T00:00:00Z", noon.Format(time.RFC3339), "garbage"} {
		times := source.Header{
			{Name: "Date", Value: at}, {Name: "X-Shopify-Triggered-At", Value: at}, {Name: "X-Slack-Request-Timestamp", Value: at},
			{Name: "webhook-timestamp", Value: at},
		}
		good := times.With("X-Shopify-Hmac-Sha256", base64.StdEncoding.EncodeToString(digest)).
			With("X-Hub-Signature-256", "sha256="+hex.EncodeToString(digest)).
			With("X-Hub-Signature", "sha256="+hex.EncodeToString(digest)).
			With("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("hooks:"+secret)))
		accepted := map[string]bool{"shopify": true, "github": true, "jira": true, "azure_devops": true}
		judged(t, "at "+at, secret, good, body, accepted)
		for kind := range accepted {
			accepted[kind] = false
		}
		judged(t, "unsigned at "+at, secret, times, body, accepted)
	}
}

// The connection test of Bitbucket Server is the one request of all senders that is answered without proof, besides the
// handshake of CloudEvents, and neither is answered by any other source.
func TestOnlyTwoSendersAreGreeted(t *testing.T) {
	ping := &source.Request{
		Method: "POST", Header: source.Header{{Name: "X-Event-Key", Value: "diagnostics:ping"}}, Body: []byte(`{"test": true}`),
	}
	handshake := &source.Request{
		Method: "OPTIONS", Header: source.Header{{Name: "WebHook-Request-Origin", Value: "eventemitter.example.com"}},
	}
	var greeted []string
	for _, kind := range sources.Types() {
		if kind == "generic" {
			if _, greets := open(t, kind).(source.Greeter); greets {
				t.Error("a generic source greets")
			}
			continue
		}
		secret := "s"
		if kind == "standard_webhooks" {
			secret = "whsec_QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVowMTIzNDU="
		}
		greeter, greets := made(t, kind, secret).(source.Greeter)
		if !greets {
			continue
		}
		for what, req := range map[string]*source.Request{"ping": ping, "handshake": handshake} {
			if _, ok := greeter.Greet(req); ok {
				greeted = append(greeted, kind+" "+what)
			}
		}
	}
	if got := strings.Join(greeted, ", "); got != "bitbucket_server ping, cloudevents handshake" &&
		got != "cloudevents handshake, bitbucket_server ping" {
		t.Errorf("greeted are: %s", got)
	}
}

// Azure DevOps ends a subscription on 410, retries after four statuses, and holds every other error against it, 401 and 429
// among them.
func TestAzureBearsFourStatuses(t *testing.T) {
	p := source.PatienceOf(made(t, "azure_devops", "s"))
	transient := map[int]bool{}
	for _, code := range p.Transient {
		transient[code] = true
	}
	for code, want := range map[int]bool{
		408: true, 502: true, 503: true, 504: true, 400: false, 401: false, 410: false, 429: false, 500: false, 507: false,
	} {
		if transient[code] != want {
			t.Errorf("%d is transient: %v", code, transient[code])
		}
	}
}
