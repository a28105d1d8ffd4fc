package daemontest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/hooktroupe/hooktroupe/daemon/daemontest"
)

// hostile is markup that would run if any view took it for markup.
const hostile = `<img src=x onerror="globalThis.hacked=1"><script>globalThis.hacked=1</script>`

// browser is a real Chromium with one tab. It fails the test when the page logs an error or asks another host.
func browser(t *testing.T) context.Context {
	t.Helper()
	path, err := osexec.LookPath("chromium")
	if err != nil {
		t.Skip("SKIPPED LOUDLY: chromium is not here, so the dashboard is not tested")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox)
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stop)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	ctx, expire := context.WithTimeout(ctx, 2*time.Minute)
	t.Cleanup(expire)
	if err := chromedp.Run(ctx); err != nil { // starts it, for as long as ctx lives
		t.Fatal(err)
	}
	chromedp.ListenTarget(ctx, func(event any) {
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			t.Errorf("the page threw: %v", e.ExceptionDetails)
		case *network.EventRequestWillBeSent:
			if !strings.HasPrefix(e.Request.URL, "http://127.0.0.1:") && !strings.HasPrefix(e.Request.URL, "data:") {
				t.Errorf("the page asked %s", e.Request.URL)
			}
		}
	})
	return ctx
}

// do runs browser actions that must succeed.
func do(t *testing.T, ctx context.Context, what string, actions ...chromedp.Action) {
	t.Helper()
	step, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if err := chromedp.Run(step, actions...); err != nil {
		var text string
		_ = chromedp.Run(ctx, chromedp.Text("body", &text))
		t.Fatalf("%s: %v\nthe page shows:\n%s", what, err, text)
	}
}

// shows waits until the page shows a text.
func shows(text string) chromedp.Action {
	quoted, _ := json.Marshal(text)
	return chromedp.Poll(fmt.Sprintf("document.body.innerText.includes(%s)", quoted), nil, chromedp.WithPollingInterval(50*time.Millisecond))
}

// dashboardDaemon has a lane that is held, a dead letter, finished tasks of real fixtures, and a hostile delivery.
func dashboardDaemon(t *testing.T) *daemontest.Daemon {
	t.Helper()
	sink := daemontest.NewSink(t)
	d := start(t, fmt.Sprintf(`
tasks: {backoff_base: 50ms, backoff_cap: 100ms}
sources: {github: {secret: env:TEST_SECRET}}
handlers:
  sink: {type: forward, url: %q, breaker: {failures: 50, open_for: 1s}}
  broken: {type: exec, command: [sh, -c, "printf '%%s' \"$0\" >&2; exit 1", %q]}
  slow: {type: exec, command: [sleep, "600"], timeout: 1h}
routes:
  - {name: held, source: github, event: issues, handler: slow, policy: serial, timeout: 1h}
  - {name: broken, source: github, event: star, handler: broken, max_attempts: 2}
  - {name: rest, source: github, event: "*", handler: sink}
`, sink.URL, hostile))
	for i, f := range fixtures(t, "github") {
		if f.makesNoTask() || i > 25 {
			continue
		}
		body := f.body(t)
		d.Must(http.MethodPost, "/webhooks/github", signed(t, "github", f.Headers, body, secret), body)
	}
	for i := range 3 {
		sendGitHub(t, d, "issues", fmt.Sprint("held", i), fmt.Sprintf(
			`{"action": "opened", "issue": {"number": 1, "title": %q}, "repository": {"full_name": "o/%s"}}`, hostile, "evil&lt;"))
	}
	answer := sendGitHub(t, d, "star", "dead"+hostile[:20], fmt.Sprintf(`{"action": %q, "repository": {"full_name": %q}, "x": {"y": [1, {"z": %q}]}}`,
		"created", "o/"+hostile, hostile))
	if id := answer.Text("webhook_id"); id != "" {
		d.AwaitStatus(id, "failed")
	}
	return d
}

func TestDashboardInChromium(t *testing.T) {
	ctx := browser(t)
	d := dashboardDaemon(t)
	clean := func(where string) {
		t.Helper()
		var hacked bool
		do(t, ctx, "look for a script that ran", chromedp.Evaluate("globalThis.hacked === 1", &hacked))
		if hacked {
			t.Errorf("%s: what a sender wrote ran as a script", where)
		}
	}
	pages := []struct{ path, text string }{
		{"/ui/", "acknowledged, 99 %"}, {"/ui/tasks", "completed"}, {"/ui/dead", "Run all"}, {"/ui/lanes", "held"}, {"/ui/routes", "serial"},
	}
	do(t, ctx, "open the page", network.Enable(), runtime.Enable(), chromedp.Navigate(d.URL+"/ui/"), shows("Senders"))
	for i, p := range pages {
		do(t, ctx, p.path, chromedp.KeyEvent(fmt.Sprint(i+1)), shows(p.text))
		clean(p.path)
	}
	// Filters are part of the address, and reached by the keyboard.
	do(t, ctx, "filter", chromedp.Navigate(d.URL+"/ui/tasks?status=failed"), shows("star.created"))
	do(t, ctx, "open a dead letter", chromedp.Click(`td.id a`, chromedp.ByQuery), shows("Attempt 2"), shows(`<img src=x onerror=`))
	clean("a task")
	do(t, ctx, "its key", chromedp.Click(`dd a[href^="/ui/lanes/"]`, chromedp.ByQuery), shows("Lane "))
	clean("a lane")
	// Why something waits, and a change that is seen without a reload.
	do(t, ctx, "the longest lanes", chromedp.KeyEvent("4"), shows("serial"),
		chromedp.Click(`td.text a`, chromedp.ByQuery), shows("Why is this waiting?"), shows("runs"))
	do(t, ctx, "pause", chromedp.Click(`//button[text()="Pause"]`), shows("the lane is paused"))
	do(t, ctx, "resume", chromedp.Click(`//button[text()="Resume"]`), chromedp.WaitVisible(`//button[text()="Pause"]`))
	do(t, ctx, "the newest tasks", chromedp.KeyEvent("2"), shows("issues.opened"))
	sendGitHub(t, d, "fork", "live", `{"repository": {"full_name": "o/live-update"}}`)
	do(t, ctx, "a new task appears by itself", shows("o/live-update"))
	// Bulk replay with its progress.
	do(t, ctx, "replay", chromedp.KeyEvent("3"), shows("Run all"),
		chromedp.Evaluate("globalThis.confirm = () => true", nil),
		chromedp.Click(`//button[starts-with(text(), "Run all")]`), shows("Replay 1"), shows("completed"))
	clean("replays")
	shoot(t, ctx, d.URL)
}

// shoot takes pictures of every view, light, dark and narrow, where DASHBOARD_SCREENSHOTS says.
func shoot(t *testing.T, ctx context.Context, base string) {
	folder := os.Getenv("DASHBOARD_SCREENSHOTS")
	if folder == "" {
		return
	}
	for look, prepare := range map[string]chromedp.Tasks{
		"light":  {chromedp.EmulateViewport(1200, 800), emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "light"}})},
		"dark":   {chromedp.EmulateViewport(1200, 800), emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}})},
		"narrow": {chromedp.EmulateViewport(390, 800), emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "light"}})},
	} {
		for name, path := range map[string]string{"overview": "/ui/", "tasks": "/ui/tasks", "dead": "/ui/dead", "lanes": "/ui/lanes", "routes": "/ui/routes"} {
			var picture []byte
			do(t, ctx, look+" "+name, prepare, chromedp.Navigate(base+path), shows("updated"), chromedp.Sleep(300*time.Millisecond), // fonts
				chromedp.CaptureScreenshot(&picture))
			if err := os.WriteFile(filepath.Join(folder, name+"-"+look+".png"), picture, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}
