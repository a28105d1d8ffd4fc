package dashboard_test

import (
	"strings"
	"testing"

	"github.com/valyala/fasthttp"

	"github.com/hooktroupe/hooktroupe/http/dashboard"
)

func ask(t *testing.T, method, path string, header ...string) *fasthttp.Response {
	t.Helper()
	h, err := dashboard.New()
	if err != nil {
		t.Fatal(err)
	}
	var ctx fasthttp.RequestCtx
	ctx.Request.Header.SetMethod(method)
	ctx.Request.SetRequestURI(path)
	for i := 0; i+1 < len(header); i += 2 {
		ctx.Request.Header.Set(header[i], header[i+1])
	}
	h.Handle(&ctx)
	return &ctx.Response
}

func TestFilesAndViews(t *testing.T) {
	for path, want := range map[string]struct {
		code        int
		contentType string
	}{
		"/ui/":                  {200, "text/html"},
		"/ui/tasks/some-id":     {200, "text/html"},
		"/ui/lanes/o%2Fr%231":   {200, "text/html"},
		"/ui/assets/app.js":     {200, "text/javascript"},
		"/ui/assets/style.css":  {200, "text/css"},
		"/ui/assets/nothing.js": {404, "application/problem+json"},
		"/ui":                   {302, ""},
	} {
		r := ask(t, "GET", path)
		if r.StatusCode() != want.code || !strings.HasPrefix(string(r.Header.ContentType()), want.contentType) {
			t.Errorf("%s: %d %s, want %d %s", path, r.StatusCode(), r.Header.ContentType(), want.code, want.contentType)
		}
		if want.code != 200 {
			continue
		}
		policy := string(r.Header.Peek("Content-Security-Policy"))
		for _, part := range []string{"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"} {
			if !strings.Contains(policy, part) {
				t.Errorf("%s: the policy lacks %s: %s", path, part, policy)
			}
		}
		if strings.Contains(policy, "unsafe") {
			t.Errorf("%s: the policy is %s", path, policy)
		}
		if again := ask(t, "GET", path, "If-None-Match", string(r.Header.Peek("ETag"))); again.StatusCode() != 304 || len(again.Body()) != 0 {
			t.Errorf("%s, unchanged: %d", path, again.StatusCode())
		}
	}
	if r := ask(t, "POST", "/ui/"); r.StatusCode() != 405 {
		t.Errorf("POST: %d", r.StatusCode())
	}
}

// TestThePageWritesNoMarkup looks for every way in which a script could turn text into markup or code.
func TestThePageWritesNoMarkup(t *testing.T) {
	for _, name := range []string{"app.js", "api.js", "charts.js", "cluster.js", "dead.js", "dialog.js", "dom.js", "lanes.js", "live.js", "morph.js", "overview.js", "parts.js", "routes.js", "tasks.js"} {
		body := string(ask(t, "GET", "/ui/assets/"+name).Body())
		if len(body) == 0 {
			t.Fatalf("%s is not served", name)
		}
		for _, sink := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "srcdoc", "javascript:"} {
			if strings.Contains(body, sink) {
				t.Errorf("%s uses %s", name, sink)
			}
		}
	}
}
