package problem_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"

	"github.com/hooktroupe/hooktroupe/http/problem"
)

// published is the contract: a row may be added, none may change.
var published = map[string]int{
	"bad-framing": 400, "header-too-large": 431, "request-timeout": 408, "body-incomplete": 400,
	"body-too-large": 413, "encoded-body": 415, "not-found": 404, "unknown-source": 404,
	"method-not-allowed": 405, "bad-signature": 401, "malformed-delivery": 400, "overloaded": 503,
	"backlog-full": 503, "storage-full": 507, "storage-budget": 503, "storage-failed": 503, "store-unavailable": 503, "draining": 503, "delivery-too-large": 413,
	"no-answer": 503, "owner-away": 503, "internal": 500, "unauthorized": 401, "forbidden": 403, "bad-parameter": 400,
	"task-not-found": 404, "task-conflict": 409, "lane-not-found": 404, "lane-conflict": 409, "replay-not-found": 404, "replay-conflict": 409,
	"unavailable": 503, "address-refused": 403, "rate-exceeded": 503, "scope-too-small": 403, "too-many-guesses": 429, "profile-runs": 409,
}

func TestTableIsWhatWasPublished(t *testing.T) {
	slug := regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`)
	seen := map[string]bool{}
	for _, k := range problem.All() {
		name := strings.TrimPrefix(k.Type(), problem.TypePrefix)
		if !slug.MatchString(name) || seen[name] {
			t.Errorf("type %q is ill-formed or comes twice", k.Type())
		}
		seen[name] = true
		if published[name] != k.Status() {
			t.Errorf("%s has status %d, published %d", name, k.Status(), published[name])
		}
		if k.Reason() != strings.ReplaceAll(name, "-", "_") {
			t.Errorf("%s is counted as %q", name, k.Reason())
		}
		if k.Title() == "" || strings.HasSuffix(k.Title(), ".") {
			t.Errorf("%s has the title %q", name, k.Title())
		}
	}
	if len(seen) != len(published) {
		t.Errorf("%d kinds, %d published", len(seen), len(published))
	}
}

func TestKindsOutsideTheTableAreInternal(t *testing.T) {
	for _, k := range []problem.Kind{problem.None, 255} {
		if k.Status() != 500 || k.Reason() != "internal" {
			t.Errorf("Kind(%d) is %d %s, want 500 internal", k, k.Status(), k.Reason())
		}
	}
}

func TestWrite(t *testing.T) {
	for _, k := range problem.All() {
		var ctx fasthttp.RequestCtx
		problem.Write(&ctx, k, "a \"detail\"\n", 7)
		h := &ctx.Response.Header
		if got := ctx.Response.StatusCode(); got != k.Status() {
			t.Errorf("%s: status %d, want %d", k.Type(), got, k.Status())
		}
		for name, want := range map[string]string{
			"Content-Type": problem.ContentType, "Retry-After": "7",
			"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
		} {
			if got := string(h.Peek(name)); got != want {
				t.Errorf("%s: %s is %q, want %q", k.Type(), name, got, want)
			}
		}
		var got problem.Body
		if err := json.Unmarshal(ctx.Response.Body(), &got); err != nil {
			t.Fatalf("%s: %v", k.Type(), err)
		}
		want := problem.Body{Type: k.Type(), Title: k.Title(), Status: k.Status(), Detail: "a \"detail\"\n"}
		if got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
}

func TestWriteLeavesOutWhatIsEmpty(t *testing.T) {
	var ctx fasthttp.RequestCtx
	problem.Write(&ctx, problem.NotFound, "", 0)
	if strings.Contains(string(ctx.Response.Body()), "detail") {
		t.Errorf("an empty detail is written: %s", ctx.Response.Body())
	}
	if got := ctx.Response.Header.Peek("Retry-After"); got != nil {
		t.Errorf("Retry-After: %s", got)
	}
}
