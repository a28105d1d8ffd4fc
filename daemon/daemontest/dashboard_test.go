package daemontest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/hooktroupe/hooktroupe/daemon/daemontest"
)

// hostile is markup that would run if any view took it for markup.
const hostile = `"><img src=x onerror="globalThis.hacked=1"><script>globalThis.hacked=1</script>`

// dashboardDaemon has a lane that is held, dead letters, and finished tasks of real fixtures.
func dashboardDaemon(t *testing.T) *daemontest.Daemon {
	t.Helper()
	sink := daemontest.NewSink(t)
	d := start(t, fmt.Sprintf(`
tasks: {backoff_base: 50ms, backoff_cap: 100ms}
journal: {max_bytes: 1GiB}
sources:
  github: {secret: env:TEST_SECRET}
  partner:
    type: generic
    secret: env:TEST_SECRET
    generic: {scheme: token, header: X-Token, event_path: what, id_path: id, key_path: key}
handlers:
  sink: {type: forward, url: %q, breaker: {failures: 50, open_for: 1s}}
  broken: {type: exec, command: [sh, -c, "echo no team is configured for this repository >&2; exit 1"]}
  sync: {type: exec, command: [sh, -c, "printf '%%s' \"$0\" >&2; exit 1", %q]}
  echo: {type: exec, command: [cat]}
  slow: {type: exec, command: [sleep, "600"], timeout: 1h, concurrency: 1}
routes:
  - {name: held, source: github, event: issues, handler: slow, policy: serial, timeout: 1h}
  - {name: partners, source: partner, event: "*", handlers: [sync, echo], max_attempts: 2}
  - {name: broken, source: github, event: star, handler: broken, max_attempts: 3}
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
			`{"action": "opened", "issue": {"number": 1, "title": %q}, "repository": {"full_name": "octo-org/octo-repo"}}`, hostile))
	}
	for i := range 3 {
		answer := sendGitHub(t, d, "star", fmt.Sprint("dead", i), fmt.Sprintf(`{"action": "created", "repository": {"full_name": "o/r%d"}}`, i))
		d.AwaitStatus(answer.Text("webhook_id"), "failed")
	}
	return d
}

// sendHostile sends markup in every field that a sender controls, and returns the ID of the task.
func sendHostile(t *testing.T, d *daemontest.Daemon) string {
	t.Helper()
	body, err := json.Marshal(map[string]any{
		"what": "made" + hostile, "id": "id" + hostile, "key": "k" + hostile, hostile: []any{hostile, map[string]string{hostile: hostile}},
	})
	if err != nil {
		t.Fatal(err)
	}
	header := http.Header{
		"X-Token": {secret}, "Content-Type": {"application/json; x=" + hostile}, "User-Agent": {hostile}, "X-Evil": {hostile},
		"X-Forwarded-For": {hostile}, "Referer": {hostile},
	}
	answer := d.Must(http.MethodPost, "/webhooks/partner", header, body)
	id := answer.Text("webhook_id")
	if id == "" {
		t.Fatalf("not accepted: %d %s", answer.Code, answer.Body)
	}
	d.AwaitStatus(id, "failed")
	return id
}

// clean fails where what a sender wrote ran, or became an element.
func (b *tab) clean(where string) {
	b.t.Helper()
	if value[bool](b, `globalThis.hacked === 1 || document.querySelectorAll('main img, main script, body > script').length > 0`) {
		b.t.Errorf("%s: what a sender wrote became markup", where)
	}
}

func TestDashboardInChromium(t *testing.T) {
	d := dashboardDaemon(t)
	evil := sendHostile(t, d)
	b := browse(t, d.URL)
	b.open("/ui/", "to acknowledge, 99 %")
	b.do("the stream is open", until(`document.getElementById('state').textContent === 'live'`))
	for i, p := range []struct{ path, text string }{
		{"/ui/", "Senders"}, {"/ui/tasks", "completed"}, {"/ui/dead", "Run all"}, {"/ui/lanes", "octo-org/octo-repo"}, {"/ui/routes", "serial"},
		{"/ui/handlers", "as many run as may"}, {"/ui/audit", "No command was given yet"},
	} {
		b.do(p.path, chromedp.KeyEvent(fmt.Sprint(i+1)), shows(p.text), until(fmt.Sprintf("location.pathname === %q", p.path)))
		b.clean(p.path)
	}
	t.Run("keys", func(*testing.T) {
		b.do("help", chromedp.KeyEvent("?"), shows("To the next and the previous row"), chromedp.KeyEvent(kb.Escape), until(`!document.querySelector('dialog')`))
		b.do("to the filters", chromedp.KeyEvent("2"), shows("More filters"), chromedp.KeyEvent("/"), until(`document.activeElement.name === 'status'`))
		b.do("a filter", chromedp.Navigate(d.URL+"/ui/tasks"), shows("More filters"), chromedp.SendKeys(`input[name=text]`, "STAR"+kb.Enter, chromedp.ByQuery),
			until(`location.search === '?text=STAR'`), shows("star.created"), until(`document.querySelectorAll('tbody tr').length === 3`))
		b.do("a row", chromedp.KeyEvent("j"), chromedp.KeyEvent("j"), chromedp.KeyEvent("k"), chromedp.KeyEvent(kb.Enter), shows("Attempt 3"))
		b.do("back", chromedp.NavigateBack(), until(`location.search === '?text=STAR'`), shows("star.created"))
		b.do("the skip link is first", chromedp.Navigate(d.URL+"/ui/"), shows("Senders"), chromedp.Evaluate(`document.activeElement.blur()`, nil), chromedp.KeyEvent(kb.Tab),
			until(`document.activeElement.className === 'skip'`))
	})
	t.Run("hostile", func(*testing.T) {
		b.open("/ui/tasks/"+evil, "Parts")
		b.do("what was sent is shown as text", shows(hostile), shows("X-Evil"))
		b.do("the whole body", press("Open all", ""), shows(`k`+hostile), press("As it came", ""), shows(`"key":"k`))
		b.clean("a task")
		b.do("a part", chromedp.Click(`//td//a[starts-with(text(), "partners/sync")]`), shows("Attempt 2"), shows("onerror"))
		b.clean("a part")
		b.do("its key", chromedp.Click(`//dd//a[starts-with(@href, "/ui/lanes/")]`), shows("Lane k"))
		b.clean("a lane")
		for _, path := range []string{"/ui/tasks?status=failed", "/ui/tasks?key=k%22%3E%3Cimg%20src=x%20onerror=%22globalThis.hacked=1%22%3E", "/ui/dead", "/ui/tasks?text=%3Cimg%20src=x%20onerror=globalThis.hacked=1%3E"} {
			b.open(path, "More filters")
			b.clean(path)
		}
	})
	t.Run("lanes", func(*testing.T) {
		b.open("/ui/lanes", "octo-org/octo-repo")
		b.do("why", chromedp.Click(`//td//a[contains(text(), "octo-org")]`), shows("Why is this waiting?"), shows("as many run as may"))
		b.do("pause", press("Pause", ""), shows("the lane is paused"), shows("Pause: done"))
		b.do("resume", press("Resume", ""), chromedp.WaitVisible(`//main//button[text()="Pause"]`))
	})
	t.Run("live", func(*testing.T) {
		b.open("/ui/tasks", "issues.opened")
		b.do("keep something of the page", chromedp.Evaluate(`globalThis.same = document.querySelector('tbody tr:last-child'); same.querySelector('a').focus()`, nil))
		sendGitHub(t, d, "fork", "live", `{"repository": {"full_name": "o/live-update"}}`)
		b.do("a new task appears by itself", shows("o/live-update"))
		if !value[bool](b, `document.contains(same) && same.contains(document.activeElement)`) {
			t.Error("what was there before was made anew, and the focus is lost")
		}
	})
	t.Run("replay", func(*testing.T) {
		b.open("/ui/dead", "Run all 4 again")
		b.do("leave it", press("Run all 4 again", "Leave it"), until(`!document.querySelector('dialog')`))
		b.do("slowly", chromedp.SendKeys(`input[name=rate]`, "2", chromedp.ByQuery), press("Run all 4 again", "Run them"), shows("Replay 1"), shows("Replay 1 has begun"),
			until(`document.querySelector('progress')?.value > 0`), until(`document.querySelector('progress')?.value === 4`), shows("completed"))
		b.clean("replays")
		b.do("the audit", chromedp.KeyEvent("7"), shows("replay.start"), shows("lane.pause"))
	})
	t.Run("one task", func(*testing.T) {
		id := sendGitHub(t, d, "issues", "cancelled", `{"action": "opened", "issue": {"number": 2}, "repository": {"full_name": "o/cancel"}}`).Text("webhook_id")
		b.open("/ui/tasks/"+id, "waits in the lane")
		b.do("cancel", press("Cancel", "Cancel"), shows("cancelled by request"), shows("Run again"))
		b.do("again", press("Run again", ""), shows("waits in the lane"))
	})
}

// TestDashboardLooks looks at every view, light, dark and narrow, with the eyes of a script, and takes its pictures.
func TestDashboardLooks(t *testing.T) {
	d := dashboardDaemon(t)
	b := browse(t, d.URL)
	failed := d.Must("GET", "/api/v1/dead_letters?event=star.created&limit=1", nil, nil).JSON()["tasks"].([]any)[0].(map[string]any)["id"].(string)
	views := []struct{ name, path, text string }{
		{"overview", "/ui/", "Senders"}, {"tasks", "/ui/tasks", "completed"}, {"task", "/ui/tasks/" + failed, "Attempt 3"}, {"lanes", "/ui/lanes", "octo-org"},
		{"lane", "/ui/lanes/octo-org%2Focto-repo%231", "Why is this waiting?"}, {"dead", "/ui/dead", "Run all"}, {"routes", "/ui/routes", "serial"},
		{"handlers", "/ui/handlers", "Held up because"}, {"audit", "/ui/audit", "Audit"},
	}
	b.open("/ui/", "Senders")
	b.do("samples for the charts", until(`document.querySelectorAll('.u-legend').length === 4`))
	for _, l := range looks {
		b.do(l.name, l.apply())
		for _, v := range views {
			b.open(v.path, v.text)
			b.accessible(v.name + ", " + l.name)
			b.shoot(v.name + "-" + l.name)
		}
		b.do("a dialog", chromedp.KeyEvent("?"), shows("To the filters"))
		b.accessible("help, " + l.name)
		b.do("without it", chromedp.KeyEvent(kb.Escape), until(`!document.querySelector('dialog')`))
	}
	b.do("make it hard to read", chromedp.Evaluate(`document.querySelector('h1').style.color = 'rgb(200, 200, 200)'; document.querySelector('nav').removeAttribute('aria-label')`, nil))
	if found := b.faults(); len(found) != 2 {
		t.Errorf("the eyes of the script see %q", found)
	}
	evil := sendHostile(t, d)
	for _, l := range looks {
		for _, path := range []string{"/ui/tasks/" + evil, "/ui/tasks", "/ui/dead"} {
			b.do(l.name, l.apply())
			b.open(path, "onerror")
			b.accessible(path + ", hostile, " + l.name)
		}
	}
}

// TestDashboardLogsIn: the page asks for a token once, shows what its scope may see, and forgets everything at the end.
func TestDashboardLogsIn(t *testing.T) {
	sink := daemontest.NewSink(t)
	tokens, yaml := map[string]string{}, "http:\n  tokens:\n"
	for _, scope := range []string{"read", "operate"} {
		command := exec.CommandContext(t.Context(), daemontest.Binary(t), "token", "--name", "the-"+scope, "--scope", scope)
		var line strings.Builder
		command.Stderr = &line
		token, err := command.Output()
		if err != nil {
			t.Fatal(err)
		}
		tokens[scope] = strings.TrimSpace(string(token))
		_, entry, _ := strings.Cut(line.String(), "tokens:\n")
		yaml += entry
	}
	d := start(t, yaml+configuration(sink.URL))
	f := first(t, "github")
	id := d.Must("POST", "/webhooks/github", signed(t, "github", f.Headers, f.body(t), secretOf("github")), f.body(t)).Text("webhook_id")
	b := browse(t, d.URL)
	enter := func(token string) chromedp.Tasks {
		return chromedp.Tasks{chromedp.WaitVisible(`input[name=token]`, chromedp.ByQuery), chromedp.SendKeys(`input[name=token]`, token+kb.Enter, chromedp.ByQuery)}
	}
	b.open("/ui/tasks/"+id, "This daemon wants a token")
	b.accessible("the login")
	b.do("a wrong token", enter("htk_wrong"), shows("the token is not valid"))
	b.do("a token that reads", enter(tokens["read"]), shows("completed"), shows("the-read (read)"), shows("Headers and body are shown to who may operate"))
	if value[bool](b, `[...document.querySelectorAll('main button')].some((x) => x.textContent === 'Run again')`) {
		t.Error("commands are offered to who may give none")
	}
	if stored := value[string](b, `document.cookie + JSON.stringify(sessionStorage) + JSON.stringify(localStorage)`); strings.Contains(stored, "htk_") || strings.Contains(stored, "session=") {
		t.Errorf("a script can read %s", stored)
	}
	b.do("a reload asks nothing", chromedp.Reload(), shows("the-read (read)"))
	b.do("log out", chromedp.Click(`//header//button[text()="Log out"]`), shows("This daemon wants a token"), chromedp.Reload(), shows("This daemon wants a token"))
	b.do("a token that operates", enter(tokens["operate"]), shows("Run again"), shows("Headers"))
	b.do("again", press("Run again", ""), shows("Attempt 2"))
}
