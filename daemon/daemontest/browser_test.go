package daemontest_test

import (
	"context"
	"encoding/json"
	"fmt"
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

// tab is a page of a real Chromium. It fails the test when the page throws, or asks another host.
type tab struct {
	context.Context
	t    *testing.T
	base string // where the daemon is

	loaded bool
}

// browse opens a tab. Without Chromium the test is skipped.
func browse(t *testing.T, base string) *tab {
	t.Helper()
	path, err := osexec.LookPath("chromium")
	if err != nil {
		t.Skip("SKIPPED LOUDLY: chromium is not here, so the dashboard is not tested")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox,
		chromedp.WSURLReadTimeout(daemontest.Patience), chromedp.WindowSize(1200, 800))
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stop)
	quiet := func(string, ...any) {} // about events that the library does not know
	ctx, cancel := chromedp.NewContext(allocator, chromedp.WithErrorf(quiet))
	t.Cleanup(cancel)
	ctx, expire := context.WithTimeout(ctx, 8*time.Minute)
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
	b := &tab{Context: ctx, t: t, base: base}
	b.do("prepare", network.Enable(), runtime.Enable())
	return b
}

// do runs actions that must succeed.
func (b *tab) do(what string, actions ...chromedp.Action) {
	b.t.Helper()
	step, cancel := context.WithTimeout(b, daemontest.Patience)
	defer cancel()
	if err := chromedp.Run(step, actions...); err != nil {
		var text string
		_ = chromedp.Run(b, chromedp.Evaluate("location.href + '\\n' + document.body.innerText", &text))
		b.t.Fatalf("%s: %v\nthe page shows:\n%s", what, err, text)
	}
}

// open goes to an address of the page and waits until it shows a text. Only the first one loads the page.
func (b *tab) open(path, text string) {
	b.t.Helper()
	enter := chromedp.Action(chromedp.Navigate(b.base + path))
	if b.loaded {
		enter = chromedp.Evaluate(fmt.Sprintf(`history.pushState(null, '', %q); dispatchEvent(new PopStateEvent('popstate'))`, path), nil)
	}
	b.loaded = true
	b.do("open "+path, enter, until(`document.getElementById('main')?.getAttribute('aria-busy') !== 'true'`), shows(text))
}

// shows waits until the page shows a text.
func shows(text string) chromedp.Action {
	quoted, _ := json.Marshal(text)
	return until(fmt.Sprintf("document.body.innerText.includes(%s)", quoted))
}

// until waits until an expression is true.
func until(expression string) chromedp.Action {
	return chromedp.Poll(expression, nil, chromedp.WithPollingInterval(50*time.Millisecond), chromedp.WithPollingTimeout(daemontest.Patience))
}

// press clicks the button of that text, and the one of the question that follows, if there is any.
func press(label, confirm string) chromedp.Tasks {
	tasks := chromedp.Tasks{chromedp.Click(fmt.Sprintf(`//main//button[normalize-space()=%q]`, label))}
	if confirm != "" {
		tasks = append(tasks, chromedp.Click(fmt.Sprintf(`//dialog//button[normalize-space()=%q]`, confirm)))
	}
	return tasks
}

// value evaluates an expression.
func value[V any](b *tab, expression string) (v V) {
	b.t.Helper()
	b.do(expression, chromedp.Evaluate(expression, &v))
	return v
}

// accessible reports what a script can find wrong with the page for people who see, hear or type differently.
func (b *tab) accessible(where string) {
	b.t.Helper()
	for _, wrong := range b.faults() {
		b.t.Errorf("%s: %s", where, wrong)
	}
}

// faults are what is wrong with the page that is shown, in words.
func (b *tab) faults() []string {
	b.t.Helper()
	script, err := os.ReadFile("testdata/accessibility.js")
	if err != nil {
		b.t.Fatal(err)
	}
	return value[[]string](b, string(script))
}

// look is how the page is shown.
type look struct {
	name, scheme string
	width        int64
}

var looks = []look{{"light", "light", 1200}, {"dark", "dark", 1200}, {"narrow", "light", 390}}

func (l look) apply() chromedp.Tasks {
	return chromedp.Tasks{
		chromedp.EmulateViewport(l.width, 800),
		emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: l.scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
		}),
	}
}

// shoot takes a picture of what is shown, where DASHBOARD_SCREENSHOTS says a folder.
func (b *tab) shoot(name string) {
	b.t.Helper()
	folder := os.Getenv("DASHBOARD_SCREENSHOTS")
	if folder == "" {
		return
	}
	var picture []byte
	b.do("a picture", chromedp.Sleep(300*time.Millisecond), chromedp.CaptureScreenshot(&picture)) // fonts and charts
	if err := os.WriteFile(filepath.Join(folder, name+".png"), picture, 0o600); err != nil {
		b.t.Fatal(err)
	}
}
