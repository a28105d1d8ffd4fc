package forward_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hooktroupe/hooktroupe/handler/forward"
	"github.com/hooktroupe/hooktroupe/handler/handlertest"
)

func TestSinkMustBeVouchedFor(t *testing.T) {
	sink := handlertest.NewTLSRecorder(t)
	trusted := filepath.Join(t.TempDir(), "ca.pem")
	writePEM(t, trusted, "CERTIFICATE", sink.Server.Certificate().Raw)
	stranger := newIdentity(t)

	for name, test := range map[string]struct {
		caFile string
		want   bool
	}{
		"its own authority":        {trusted, true},
		"another authority":        {stranger.certFile, false},
		"the system's authorities": {"", false},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHandler(t, forward.Config{URL: sink.URL, CAFile: test.caFile})
			_, err := h.Handle(t.Context(), handlertest.NewTask())
			if completed := err == nil; completed != test.want {
				t.Errorf("completed: %t, want %t (%v)", completed, test.want, err)
			}
		})
	}
	if n := len(sink.Requests()); n != 1 {
		t.Errorf("%d requests arrived, want 1", n)
	}
}

func TestClientCertificate(t *testing.T) {
	client := newIdentity(t)
	pool := x509.NewCertPool()
	pool.AddCert(client.certificate)
	names := make(chan string, 1) // the one request's client
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		names <- r.TLS.PeerCertificates[0].Subject.CommonName
	}))
	server.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool, MinVersion: tls.VersionTLS12}
	server.StartTLS()
	t.Cleanup(server.Close)
	authority := filepath.Join(t.TempDir(), "ca.pem")
	writePEM(t, authority, "CERTIFICATE", server.Certificate().Raw)

	cfg := forward.Config{URL: server.URL, CAFile: authority}
	if _, err := newHandler(t, cfg).Handle(t.Context(), handlertest.NewTask()); err == nil {
		t.Error("completed without a client certificate")
	}
	cfg.CertFile, cfg.KeyFile = client.certFile, client.keyFile
	if _, err := newHandler(t, cfg).Handle(t.Context(), handlertest.NewTask()); err != nil {
		t.Fatal(err)
	}
	if name := <-names; name != client.certificate.Subject.CommonName {
		t.Errorf("the sink saw %q, want %q", name, client.certificate.Subject.CommonName)
	}
}

// identity is a self-signed certificate with its key, in files.
type identity struct {
	certificate       *x509.Certificate
	certFile, keyFile string
}

func newIdentity(t *testing.T) identity {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "hooktroupe under test"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(time.Hour),
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:                  true,
		BasicConstraintsValid: true,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	rawKey, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	id := identity{certificate, filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")}
	writePEM(t, id.certFile, "CERTIFICATE", raw)
	writePEM(t, id.keyFile, "PRIVATE KEY", rawKey)
	return id
}

func writePEM(t *testing.T, path, kind string, raw []byte) {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: raw}), 0o600); err != nil {
		t.Fatal(err)
	}
}
