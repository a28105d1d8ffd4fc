package http_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	nethttp "net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/hooktroupe/hooktroupe/http"
	"github.com/hooktroupe/hooktroupe/http/problem"
)

func TestConnectionsBeyondTheBoundAreToldSo(t *testing.T) {
	d := start(t, http.Config{MaxConnections: 1})
	first := dial(t, d.Addr())
	if resp, _ := first.send(get("/healthz", "")).receive(); resp.StatusCode != 200 {
		t.Fatalf("the first connection: %d", resp.StatusCode)
	}
	second := dial(t, d.Addr())
	resp, body := second.receive()
	if resp.StatusCode != 503 || resp.Header.Get("Retry-After") != "1" || !strings.Contains(body, problem.Overloaded.Type()) ||
		!json.Valid([]byte(body)) {
		t.Errorf("the second connection: %d %v %s", resp.StatusCode, resp.Header, body)
	}
	if !second.closed() {
		t.Error("the second connection goes on")
	}
	first.send(get("/healthz", "Connection: close\r\n")).receive()
	if !first.closed() {
		t.Error("the first connection goes on")
	}
	// Its place is free once the server has closed it, which the client sees a moment before.
	for !answers(t, d.Addr()) {
		runtime.Gosched()
	}
}

// answers says whether a connection of its own is served. One that is refused may end before anything was sent.
func answers(t *testing.T, addr net.Addr) bool {
	t.Helper()
	w := dial(t, addr)
	if _, err := io.WriteString(w.conn, get("/healthz", "")); err != nil {
		return false
	}
	resp, err := nethttp.ReadResponse(w.Reader, nil)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == 200
}

func TestShutdownFreesThePort(t *testing.T) {
	d := start(t, http.Config{})
	address := d.Addr().String()
	if err := d.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", address)
	if err != nil {
		t.Fatalf("the port is still taken: %v", err)
	}
	_ = listener.Close()
}

// writePair makes a certificate of that serial number and puts it, with its key, into the folder.
func writePair(t *testing.T, folder string, serial int64) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"localhost"},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem")
	for name, block := range map[string]*pem.Block{
		certFile: {Type: "CERTIFICATE", Bytes: cert}, keyFile: {Type: "PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
		// Two writes may fall into one tick of the file system's clock; their stamps must differ all the same.
		stamp := time.Unix(1_700_000_000+serial, 0)
		if err := os.Chtimes(name, stamp, stamp); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}

// serial asks the server for its certificate.
func serial(t *testing.T, addr net.Addr) int64 {
	t.Helper()
	dialer := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}
	conn, err := dialer.DialContext(context.Background(), "tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{t: t, conn: conn}
	defer func() { _ = conn.Close() }()
	w.send(get("/healthz", "Connection: close\r\n"))
	return conn.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}

func TestARenewedCertificateServesTheNextHandshake(t *testing.T) {
	folder := t.TempDir()
	certFile, keyFile := writePair(t, folder, 1)
	d := start(t, http.Config{TLSCert: certFile, TLSKey: keyFile})
	if got := serial(t, d.Addr()); got != 1 {
		t.Fatalf("certificate %d, want 1", got)
	}
	writePair(t, folder, 2)
	if got := serial(t, d.Addr()); got != 1 {
		t.Errorf("certificate %d within the second, want 1", got)
	}
	d.clock.Advance(time.Second)
	if got := serial(t, d.Addr()); got != 2 {
		t.Errorf("certificate %d after renewal, want 2", got)
	}
	if err := os.WriteFile(certFile, []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	d.clock.Advance(time.Second)
	if got := serial(t, d.Addr()); got != 2 {
		t.Errorf("certificate %d after damage, want the one before", got)
	}
}

func TestStartNeedsTheCertificate(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "none.pem")
	d := newDaemon(t, http.Config{TLSCert: missing, TLSKey: missing})
	if err := d.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "http.tls") {
		t.Errorf("Start: %v", err)
	}
}
