package daemontest_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hooktroupe/hooktroupe/daemon/daemontest"
	"github.com/hooktroupe/hooktroupe/internal/pgtest"
)

// TestIdentitiesAreReplacedWithoutARestart takes a cluster from one authority to another while it works: first both are trusted,
// then one member after the other gets its new identity, then the old authority is trusted no more. One member runs through;
// the other is killed in between, so that there are new connections.
func TestIdentitiesAreReplacedWithoutARestart(t *testing.T) {
	sink := daemontest.NewSink(t)
	now, next := t.TempDir(), t.TempDir()
	all, addresses := membersBy(t, now, pgtest.Database(t), configuration(sink.URL), "2s", 2)
	stays, other := all[0], all[1]
	for n, d := range all {
		identify(t, fmt.Sprint("member-", n), next)
		d.Start()
	}
	before, after := identityIn(t, now, "member-1"), identityIn(t, next, "member-1")
	urls := publish(all)
	load := sendToAll(t, 2, urls)
	load.answeredBy(t, all)
	pid := stays.Pid()
	for _, address := range addresses {
		if who := peer(t, address, before); who == nil {
			t.Fatalf("%s refuses a member", address)
		}
		if who := peer(t, address, after); who != nil {
			t.Fatalf("%s takes whom nobody vouches for", address)
		}
	}

	replaceFile(t, filepath.Join(now, "ca.pem"), append(readFile(t, filepath.Join(now, "ca.pem")), readFile(t, filepath.Join(next, "ca.pem"))...))
	adopt(t, now, next, "member-0")
	daemontest.Eventually(t, "the first member shows its new identity to one of the old", func() bool {
		who := peer(t, addresses[0], before)
		return who != nil && bytes.Equal(who.Raw, identityIn(t, next, "member-0").Leaf.Raw)
	})
	daemontest.Eventually(t, "the second member takes one of the new authority", func() bool { return peer(t, addresses[1], after) != nil })
	other.Kill()
	restart(other, urls[1])
	load.answeredBy(t, all)

	adopt(t, now, next, "member-1")
	replaceFile(t, filepath.Join(now, "ca.pem"), readFile(t, filepath.Join(next, "ca.pem")))
	for n, address := range addresses {
		daemontest.Eventually(t, fmt.Sprintf("member %d takes none of the old authority", n), func() bool { return peer(t, address, before) == nil })
		if who := peer(t, address, after); who == nil || !bytes.Equal(who.Raw, identityIn(t, next, fmt.Sprint("member-", n)).Leaf.Raw) {
			t.Errorf("member %d refuses one of the new authority, or shows an old identity", n)
		}
	}
	other.Kill()
	restart(other, urls[1])
	load.answeredBy(t, all)
	if stays.Pid() != pid {
		t.Error("the member that was to run through was started again")
	}
	load.settled(t, stays, sink)
}

// answeredBy waits until every member answers for what was accepted: each owns a half, and asks the other for the rest.
func (l *ledger) answeredBy(t *testing.T, all []*daemontest.Daemon) {
	t.Helper()
	const some = 20
	var ids []string
	daemontest.Eventually(t, "deliveries are accepted", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		ids = ids[:0]
		for id := range l.accepted {
			ids = append(ids, id)
		}
		return len(ids) >= some
	})
	for n, d := range all {
		for _, id := range ids[:some] {
			daemontest.Eventually(t, fmt.Sprintf("member %d answers for task %s", n, id), func() bool {
				return d.Status(id).Code == http.StatusOK
			})
		}
	}
}

// peer calls a member as another member would, and returns the certificate that it shows; nil where it hangs up at once. Whom
// it trusts is not the question here.
func peer(t *testing.T, address string, identity tls.Certificate) *x509.Certificate {
	t.Helper()
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: daemontest.Patience}, "tcp", address, &tls.Config{
		Certificates: []tls.Certificate{identity}, NextProtos: []string{"h2"}, MinVersion: tls.VersionTLS13,
		InsecureSkipVerify: true, // the certificate is compared by the test
	})
	if err != nil {
		return nil
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(daemontest.Patience)); err != nil {
		t.Fatal(err)
	}
	// One who is let in is sent the settings of the connection when it has said the preface.
	if _, err := conn.Write([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")); err != nil {
		return nil
	}
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		return nil
	}
	return conn.ConnectionState().PeerCertificates[0]
}

func identityIn(t *testing.T, folder, name string) tls.Certificate {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(filepath.Join(folder, name+".pem"), filepath.Join(folder, name+".key"))
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

// adopt replaces a member's certificate and key, one file after the other.
func adopt(t *testing.T, folder, from, name string) {
	t.Helper()
	for _, file := range []string{name + ".pem", name + ".key"} {
		replaceFile(t, filepath.Join(folder, file), readFile(t, filepath.Join(from, file)))
	}
}

// replaceFile writes beside a file and renames.
func replaceFile(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path+".new", content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}
