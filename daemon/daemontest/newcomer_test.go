package daemontest_test

import (
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/hooktroupe/hooktroupe/daemon/daemontest"
)

// TestANewcomerRepairsARoute does what somebody does who has never seen the page: sees that something failed, finds out why,
// repairs the route, and watches the delivery being worked. Nothing is loaded again.
func TestANewcomerRepairsARoute(t *testing.T) {
	const text = `
tasks: {backoff_base: 50ms, backoff_cap: 100ms}
sources: {github: {secret: env:TEST_SECRET}}
handlers:
  reviews: {type: forward, url: %q}
routes:
  - {name: pull-requests, source: github, event: pull_request, handler: reviews, max_attempts: 2}
`
	sink := daemontest.NewSink(t)
	moved := nobody(t)
	d := start(t, fmt.Sprintf(text, moved))
	b := browse(t, d.URL)
	b.open("/ui/", "Senders")
	body := `{"action": "opened", "number": 7, "pull_request": {"title": "A first change"}, "repository": {"full_name": "octo-org/octo-repo"}}`
	answer := sendGitHub(t, d, "pull_request", "newcomer", body)
	id := answer.Text("webhook_id")
	// That it failed shows by itself, in the first view, and leads to the dead letters.
	b.do("a dead letter is counted", until(`document.querySelector('.card.alarm b')?.textContent === '1'`))
	b.do("look at it", chromedp.Click(`//main//a[text()="dead letters"]`), shows("pull_request.opened"),
		chromedp.Click(`//td//a[text()="pull_request.opened"]`), shows("failed after 2 attempts"))
	// Why: nobody is there. What was sent, by whom, and on which route, is on the same page.
	b.do("why", shows("connection refused"), shows("A first change"), shows("octo-org/octo-repo"), shows("pull-requests"), shows("Attempt 2"))
	b.do("where its route leads", chromedp.Click(`//header//a[text()="Routes"]`), shows("pull-requests"), shows("parallel"),
		chromedp.Click(`//td//a[text()="reviews"]`), shows("Leads to"), shows(moved))
	// The operator repairs the file, and has it taken over. The page that is open shows it.
	takeOver(t, d, fmt.Sprintf(text, sink.URL), sink.URL)
	b.do("it is taken over", shows(sink.URL))
	// The delivery runs again, and its reader watches.
	b.do("back to it", chromedp.Click(`//header//a[text()="Dead letters"]`), shows("Run it again"), press("Run it again", "Run them"),
		shows("1 of 1"), until(`document.querySelector('li.card .completed')`), shows("No dead letter matches"))
	b.do("it is completed", chromedp.Click(`//header//a[text()="Tasks"]`), chromedp.Click(`//td//a[text()="pull_request.opened"]`),
		shows("completed after 3 attempts"), shows("Attempt 3"), shows("succeeded"))
	if times, same := sink.Got(id, []byte(body)); times != 1 || !same {
		t.Errorf("the handler got it %d times, the same body: %t", times, same)
	}
	b.do("and counted as such", chromedp.Click(`//header//a[text()="Overview"]`), shows("Senders"), until(`!document.querySelector('.card.alarm')`))
}

// nobody is a URL at which nobody listens.
func nobody(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return "http://" + l.Addr().String() + "/reviews"
}

// takeOver does what an operator does with a repaired file: asks the daemon to read it, and starts it again, at the same
// address, where the daemon says that the change takes that.
func takeOver(t *testing.T, d *daemontest.Daemon, yaml, target string) {
	t.Helper()
	d.Configure(yaml)
	if err := syscall.Kill(d.Pid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	needsStart := false
	daemontest.Eventually(t, "the repaired file is read", func() bool {
		needsStart = strings.Contains(d.Log(), "holds from the next start on")
		return needsStart || strings.Contains(string(d.Must("GET", "/api/v1/handlers", nil, nil).Body), target)
	})
	if !needsStart {
		return
	}
	address := strings.TrimPrefix(d.URL, "http://")
	d.Stop()
	d.Launch("--listen", address)
	d.Await("/readyz", 200)
}
