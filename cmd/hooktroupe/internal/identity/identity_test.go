package identity_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hooktroupe/hooktroupe/cmd/hooktroupe/internal/identity"
)

// pair is what a member presents, and whom it trusts.
func pair(t *testing.T, f identity.Files) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	cert, err := tls.LoadX509KeyPair(f.Cert, f.Key)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(f.CA)
	pool := x509.NewCertPool()
	if err != nil || !pool.AppendCertsFromPEM(ca) {
		t.Fatalf("the authority: %v", err)
	}
	return cert, pool
}

// handshake has two members meet, and returns what each says of the other.
func handshake(t *testing.T, server, client identity.Files, host string) (serverErr, clientErr error) {
	t.Helper()
	serverCert, serverPool := pair(t, server)
	clientCert, clientPool := pair(t, client)
	a, b := net.Pipe()
	done := make(chan error, 1)
	go func() {
		s := tls.Server(a, &tls.Config{
			Certificates: []tls.Certificate{serverCert}, ClientCAs: serverPool, ClientAuth: tls.RequireAndVerifyClientCert,
			MinVersion: tls.VersionTLS13,
		})
		done <- errors.Join(s.Handshake(), a.Close())
	}()
	c := tls.Client(b, &tls.Config{
		Certificates: []tls.Certificate{clientCert}, RootCAs: clientPool, ServerName: host, MinVersion: tls.VersionTLS13,
	})
	clientErr = c.Handshake()
	_ = b.Close() // what matters is the handshake
	return <-done, clientErr
}

func issue(t *testing.T, folder, name string, hosts ...string) identity.Files {
	t.Helper()
	f, err := identity.Issue(folder, name, hosts, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestMembersOfOneAuthorityTrustEachOther(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "identities")
	a, b := issue(t, folder, "a", "127.0.0.1", "a.example"), issue(t, folder, "b", "::1")
	if server, client := handshake(t, a, b, "a.example"); server != nil || client != nil {
		t.Errorf("the server says %v, the client %v", server, client)
	}
	if _, client := handshake(t, a, b, "b.example"); client == nil {
		t.Error("a member passes for a host that it is not")
	}
	stranger := issue(t, t.TempDir(), "a", "a.example")
	if _, client := handshake(t, stranger, b, "a.example"); client == nil {
		t.Error("a member of another authority is trusted")
	}
	info, err := os.Stat(a.Key)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key has mode %v, %v", info.Mode(), err)
	}
}

func TestNothingIsReplaced(t *testing.T) {
	folder := t.TempDir()
	issue(t, folder, "a", "localhost")
	if _, err := identity.Issue(folder, "a", []string{"localhost"}, time.Now()); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second identity of one name: %v", err)
	}
	if err := os.Remove(filepath.Join(folder, "ca.key")); err != nil {
		t.Fatal(err)
	}
	if _, err := identity.Issue(folder, "b", []string{"localhost"}, time.Now()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an authority without its key: %v", err)
	}
}

func TestBadNamesAreRefused(t *testing.T) {
	folder := t.TempDir()
	for _, name := range []string{"", "ca", "../a", "a/b", ".a", "a b"} {
		if _, err := identity.Issue(folder, name, []string{"localhost"}, time.Now()); err == nil {
			t.Errorf("%q was taken", name)
		}
	}
	if _, err := identity.Issue(folder, "a", nil, time.Now()); err == nil {
		t.Error("an identity without a host was made")
	}
	left, err := os.ReadDir(folder)
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
