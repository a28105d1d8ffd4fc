package faulttest_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/hooktroupe/hooktroupe/daemon/daemontest"
	"github.com/hooktroupe/hooktroupe/internal/pgserver"
	"github.com/hooktroupe/hooktroupe/internal/pgtest"
)

const (
	shards = 16
	lease  = 3 * time.Second
	token  = "token-of-the-tests"
)

// troupe is a cluster of three in a network, with a store, a balancer and a sink.
type troupe struct {
	t        *testing.T
	network  *network
	store    *host
	server   *pgserver.Server
	url      string // of the database
	sink     *sink
	members  []*member
	balancer string // its URL
}

// member is one of a troupe.
type member struct {
	*daemontest.Daemon
	name string
	host *host
	past strings.Builder // what it said before it was started last
}

// launch starts the member, once more perhaps.
func (m *member) launch() {
	m.past.WriteString(m.Log())
	m.Launch()
}

// newTroupe starts store, sink and balancer, and prepares three members that do not run yet.
func newTroupe(t *testing.T) *troupe {
	t.Helper()
	if _, err := pgserver.Installed(); err != nil {
		t.Skip("SKIPPED: ", err)
	}
	if haproxy() == "" {
		t.Skip("SKIPPED: HAProxy is not installed (Debian package haproxy)")
	}
	n := newNetwork(t)
	c := &troupe{t: t, network: n, store: n.host("s")}
	c.server, c.url = pgtest.Server(t, pgserver.Options{Host: c.store.address, Port: 5432, Enter: c.store.enter})
	c.sink = newSink(t, n.address())
	identities := t.TempDir()
	for i := range 3 {
		c.members = append(c.members, c.newMember(fmt.Sprint("m", i+1), identities))
	}
	c.balance()
	return c
}

func (c *troupe) newMember(name, identities string) *member {
	c.t.Helper()
	h := c.network.host(name)
	made, err := exec.Command(daemontest.Binary(c.t), "cert", name, "--dir", identities, "--host", h.address).CombinedOutput()
	if err != nil {
		c.t.Fatalf("cert: %v: %s", err, made)
	}
	m := &member{name: name, host: h}
	m.Daemon = daemontest.New(c.t, fmt.Sprintf(`
log: {format: json}
NUM_WORKERS: 16
MAX_RETRY_ATTEMPTS: 20
http: {admin_tokens: [env:TEST_TOKEN], drain_delay: 3s}
tasks: {backoff_base: 50ms, backoff_cap: 500ms}
sources:
  load:
    type: generic
    secret: env:TEST_TOKEN
    generic: {scheme: token, header: X-Load-Token, id_header: X-Load-Id, event_path: kind, key_path: key}
handlers:
  sink: {type: forward, url: %q, allow: [198.18.0.0/15], timeout: 20s}
routes:
  - {source: "*", event: "*", handler: sink, policy: serial}
cluster:
  enabled: true
  name: %s
  advertise: %s:7946
  store: env:CLUSTER_STORE
  %s
  shards: %d
  lease: %v
`, c.sink.URL, name, h.address, strings.TrimSpace(string(made)), shards, lease))
	c.t.Cleanup(func() {
		file := filepath.Join(c.t.ArtifactDir(), name+".log")
		if err := os.WriteFile(file, []byte(m.past.String()+m.Log()), 0o600); err != nil {
			c.t.Error(err)
		}
	})
	m.Env = []string{"TEST_TOKEN=" + token, "CLUSTER_STORE=" + c.url}
	m.Prefix, m.Listen = h.prefix(), h.address+":8080"
	m.URL = "http://" + m.Listen
	return m
}

// balance starts HAProxy as operators are shown it. It knows all members, those that do not run included.
func (c *troupe) balance() {
	c.t.Helper()
	const file = "../../deploy/haproxy/haproxy.cfg"
	command, output := exec.Command(haproxy(), "-db", "-f", file), &bytes.Buffer{}
	command.Env = append(os.Environ(), "LISTEN="+c.network.address()+":8080")
	for i, m := range c.members {
		command.Env = append(command.Env, fmt.Sprintf("MEMBER_%d=%s", i+1, m.Listen))
	}
	command.Stdout, command.Stderr = output, output
	if err := command.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait() // it was killed
		if c.t.Failed() {
			c.t.Logf("log of the balancer:\n%s", output)
		}
	})
	c.balancer = "http://" + c.network.address() + ":8080"
}

// haproxy is where the program is, empty where it is not installed.
func haproxy() string {
	for _, path := range []string{"haproxy", "/usr/sbin/haproxy"} {
		if found, err := exec.LookPath(path); err == nil {
			return found
		}
	}
	return ""
}

// query reads rows from the store; nil and an error while it does not answer.
func query[T any](c *troupe, sql string, scan pgx.RowToFunc[T]) ([]T, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, c.url)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close(ctx) }()
	rows, err := conn.Query(ctx, sql)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scan)
}

// owners are the members that own the shards, by shard; where nobody does, the name is empty. Nil while the store is away.
func (c *troupe) owners() []string {
	owners, err := query(c, `SELECT coalesce(split_part(m.session, '/', 1), '') FROM hooktroupe_shards s
		LEFT JOIN hooktroupe_members m ON m.session = s.owner AND m.ends_at > now() ORDER BY shard`, pgx.RowTo[string])
	if err != nil {
		return nil
	}
	return owners
}

// awaitShares waits until these members own all shards, each its share, and are ready.
func (c *troupe) awaitShares(t *testing.T, members ...*member) {
	t.Helper()
	var last []string
	eventually(t, func() string { return fmt.Sprintf("%d members share the shards: %q", len(members), last) }, func() bool {
		last = c.owners()
		counts := make(map[string]int)
		for _, name := range last {
			counts[name]++
		}
		for _, m := range members {
			if counts[m.name] < shards/len(members) {
				return false
			}
			delete(counts, m.name)
		}
		return len(counts) == 0
	})
	for _, m := range members {
		m.await(t, "/readyz", http.StatusOK)
	}
}

// await waits until a path is answered with a status.
func (m *member) await(t *testing.T, path string, status int) {
	t.Helper()
	last := 0
	eventually(t, func() string {
		return fmt.Sprintf("%s answers %s with %d, and not with %d", m.name, path, status, last)
	}, func() bool {
		last = m.ask(http.MethodGet, path, nil, nil).Code
		return last == status
	})
}

// ask sends a request to this member alone; the code is zero without an answer within some seconds.
func (m *member) ask(method, path string, header http.Header, body []byte) daemontest.Answer {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	answer, err := send(ctx, m.URL, method, path, header, body)
	if err != nil {
		return daemontest.Answer{}
	}
	return answer
}

// patience bounds every wait. Nothing healthy needs more than a tenth of it.
const patience = 90 * time.Second

// eventually waits until a condition holds; what says what for, when it is over.
func eventually(t testing.TB, what func() string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !condition(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not so within %v: %s", patience, what())
		}
	}
}

// others are the members but one.
func (c *troupe) others(m *member) []*member {
	return slices.DeleteFunc(slices.Clone(c.members), func(o *member) bool { return o == m })
}
