package daemontest_test

import (
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/jackc/pgx/v5"

	"github.com/hooktroupe/hooktroupe/internal/pgtest"
)

// TestDashboardOfACluster looks at the page of a member, with the eyes of a script, while others come to grief.
func TestDashboardOfACluster(t *testing.T) {
	url := pgtest.Database(t)
	all := membersAt(t, url, heldYAML, "3s", 3)
	owners(t, all)
	b := browse(t, all[0].URL)
	b.open("/ui/", "Senders")
	b.do("the seventh key", chromedp.KeyEvent("7"), shows("Every shard is with the member that should have it"), until(`location.pathname === '/ui/cluster'`))
	b.do("the members", shows("member-0 (answers here)"), shows("member-2"), shows("3 of 3"), shows("of 16 shards owned"))
	b.do("all shards", chromedp.Click(`//main//summary[text()="Show all 16"]`), until(`document.querySelectorAll('details tbody tr').length === 16`))
	if text := value[string](b, `document.querySelector('details tbody').innerText`); text == "" {
		t.Error("the table of shards is empty")
	}
	for _, l := range looks {
		b.do(l.name, l.apply())
		b.open("/ui/cluster", "Show all 16")
		b.accessible("cluster, " + l.name)
		b.shoot("cluster-" + l.name)
	}
	b.do("the wide look", looks[0].apply())
	b.do("what is open stays open", chromedp.Click(`//main//summary[text()="Show all 16"]`), chromedp.Evaluate(`globalThis.heard = document.querySelector('tbody tr:nth-child(2)').innerText`, nil),
		until(`document.querySelector('tbody tr:nth-child(2)').innerText !== heard`), until(`document.querySelector('main details').open`))

	connection, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = connection.Close(t.Context()) }()
	if _, err := connection.Exec(t.Context(), `INSERT INTO hooktroupe_members (session, address, version, started_at, joined_at, seen_at, ends_at, leaving)
		VALUES ($1, $2, $3, now(), now(), now(), now() + interval '50 seconds', true)`,
		`<img src=x onerror="globalThis.hacked=1">/boot`, hostile, `<script>globalThis.hacked=1</script>`); err != nil {
		t.Fatal(err)
	}
	b.do("what a member says of itself is shown as text", shows(hostile), shows(`<img src=x onerror="globalThis.hacked=1">`), shows("<script>"), shows("leaving"))
	b.clean("the cluster")
	b.accessible("the cluster, hostile")
	all[2].Kill()
	b.do("a dead member's shards are taken over, and the page tells by itself", until(`!document.querySelector('table[aria-label=Members]').innerText.includes('member-2')`),
		until(`[...document.querySelectorAll('details tbody tr')].every((r) => /owned/.test(r.innerText) && !/member-2/.test(r.innerText))`))
	b.clean("the cluster, after a death")
}
