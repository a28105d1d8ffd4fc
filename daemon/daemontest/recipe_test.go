package daemontest_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hooktroupe/hooktroupe/daemon/daemontest"
)

// reviewer is a stand-in for PR-Agent's server: it verifies GitHub's signature with its own secret, as PR-Agent does, and
// records what it was called with.
type reviewer struct {
	*httptest.Server
	mu    sync.Mutex
	calls []string // event, pull request, and what tells calls apart
	busy  int      // how many more calls are refused
}

const reviewerSecret = "the secret that PR-Agent knows"

func newReviewer(t *testing.T) *reviewer {
	r := &reviewer{}
	r.Server = httptest.NewServer(http.HandlerFunc(r.serve))
	t.Cleanup(r.Close)
	return r
}

func (r *reviewer) serve(w http.ResponseWriter, request *http.Request) {
	body, _ := io.ReadAll(request.Body)
	mac := hmac.New(sha256.New, []byte(reviewerSecret))
	mac.Write(body)
	if request.URL.Path != "/api/v1/github_webhooks" ||
		request.Header.Get("X-Hub-Signature-256") != "sha256="+hex.EncodeToString(mac.Sum(nil)) {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	var payload struct {
		Action  string
		Number  int
		After   string
		Issue   struct{ Number int }
		Comment struct{ Body string }
	}
	_ = json.Unmarshal(body, &payload)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.busy > 0 {
		r.busy--
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	r.calls = append(r.calls, strings.TrimSpace(fmt.Sprint(request.Header.Get("X-Github-Event"), ".", payload.Action, " ",
		payload.Number+payload.Issue.Number, " ", payload.After, payload.Comment.Body)))
}

func (r *reviewer) got() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.calls)
}

// recipe is the configuration in a document, with what a test must change.
func recipe(t *testing.T, file string, changes ...string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, yaml, found := strings.Cut(string(text), "```yaml\n")
	yaml, _, closed := strings.Cut(yaml, "```")
	if !found || !closed {
		t.Fatalf("%s holds no configuration", file)
	}
	for i := 0; i < len(changes); i += 2 {
		if !strings.Contains(yaml, changes[i]) {
			t.Fatalf("%s does not say %q", file, changes[i])
		}
		yaml = strings.ReplaceAll(yaml, changes[i], changes[i+1])
	}
	return yaml
}

// github sends an event to the daemon as GitHub would.
func sendGitHub(t *testing.T, d *daemontest.Daemon, event, id, body string) daemontest.Answer {
	t.Helper()
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	return d.Must(http.MethodPost, "/webhooks/github", http.Header{
		"Content-Type": {"application/json"}, "X-Github-Event": {event}, "X-Github-Delivery": {id},
		"X-Hub-Signature-256": {"sha256=" + hex.EncodeToString(mac.Sum(nil))},
	}, []byte(body))
}

func TestRecipeForPRAgent(t *testing.T) {
	r := newReviewer(t)
	d := daemontest.New(t, recipe(t, "../../docs/recipes/pr-agent.md",
		"http://127.0.0.1:3000", r.URL, "quiet: 30s", "quiet: 400ms", "max_wait: 5m", "max_wait: 3s",
		"routes:", "tasks: {backoff_base: 20ms, backoff_cap: 50ms}\nroutes:",
	))
	d.Env = []string{"GITHUB_WEBHOOK_SECRET=" + secret, "PR_AGENT_WEBHOOK_SECRET=" + reviewerSecret}
	d.Start()
	r.busy = 2 // the first comment is refused twice, and holds the second
	const repository = `"repository": {"full_name": "o/r"}, "sender": {"type": "User"}`
	comment := func(id, text, kind string) daemontest.Answer {
		return sendGitHub(t, d, "issue_comment", id, fmt.Sprintf(
			`{"action": "created", "issue": {"number": 7, "pull_request": %s}, "comment": {"body": %q}, %s}`, kind, text, repository))
	}
	pull := func(id, action, after string, draft bool) daemontest.Answer {
		return sendGitHub(t, d, "pull_request", id, fmt.Sprintf(
			`{"action": %q, "number": 7, "after": %q, "pull_request": {"number": 7, "draft": %t}, %s}`, action, after, draft, repository))
	}
	comment("c1", "/review", "{}")
	comment("c2", "/improve", "{}")
	comment("c3", "nice work", "{}")
	comment("c4", "/review", "null") // on an issue
	pull("p1", "opened", "", false)
	pull("p2", "opened", "", true) // a draft
	pull("p3", "labeled", "", false)
	var pushes []daemontest.Answer
	for i := range 5 {
		pushes = append(pushes, pull(fmt.Sprint("s", i), "synchronize", fmt.Sprint("commit", i), false))
	}
	want := []string{
		"issue_comment.created 7 /improve", "issue_comment.created 7 /review",
		"pull_request.opened 7", "pull_request.synchronize 7 commit4",
	}
	daemontest.Eventually(t, "PR-Agent was called four times", func() bool { return len(r.got()) >= len(want) })
	for i, p := range pushes {
		d.AwaitStatus(p.Text("webhook_id"), map[bool]string{true: "completed", false: "superseded"}[i == len(pushes)-1])
	}
	got := r.got()
	if slices.Index(got, want[1]) > slices.Index(got, want[0]) {
		t.Errorf("the second command came first: %q", got)
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("PR-Agent was called with %q, want %q", got, want)
	}
}
