package daemontest_test

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/hooktroupe/hooktroupe/daemon/daemontest"
)

// TestANewcomerRepairsARoute does what somebody does who has never seen the page: sees that something failed, finds out why,
// repairs the route in the file, and watches the delivery being worked. The daemon sees by itself that the file was saved;
// neither it nor the page is started or loaded again.
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
	// The operator saves the file with a slip in it, which changes nothing, and then without. The page that is open shows it.
	pid := d.Pid()
	reloaded(d, t, failedTo, func() { d.Configure(strings.Replace(fmt.Sprintf(text, sink.URL), "url:", "ulr:", 1)) })
	if !strings.Contains(d.Log(), `handlers.reviews.ulr: unknown key; did you mean \"url\"?`) {
		t.Error("the log does not name the slip")
	}
	reloaded(d, t, succeeded, func() { d.Configure(fmt.Sprintf(text, sink.URL)) })
	b.do("it is taken over", shows(sink.URL))
	// The delivery runs again, and its reader watches.
	b.do("back to it", chromedp.Click(`//header//a[text()="Dead letters"]`), shows("Run it again"), press("Run it again", "Run them"),
		shows("1 of 1"), until(`document.querySelector('li.card .completed')`), shows("No dead letter matches"))
	b.do("it is completed", chromedp.Click(`//header//a[text()="Tasks"]`), chromedp.Click(`//td//a[text()="pull_request.opened"]`),
		shows("completed after 3 attempts"), shows("Attempt 3"), shows("succeeded"))
	if times, same := sink.Got(id, []byte(body)); times != 1 || !same {
		t.Errorf("the handler got it %d times, the same body: %t", times, same)
	}
	if d.Pid() != pid {
		t.Error("another process does the work")
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
