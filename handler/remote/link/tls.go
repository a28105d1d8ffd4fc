package link

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
	"google.golang.org/grpc/credentials"

	"github.com/hooktroupe/hooktroupe/internal/clock"
	"github.com/hooktroupe/hooktroupe/internal/logfield"
)

// TLS names the PEM files of one end. They are read again when they have changed, for the next connection; files that
// cannot be read leave those before in use. Both ends need a certificate that is good for a server and for a client, and
// both verify the other's against the CA, the one who dials also by its host.
type TLS struct {
	// CA is the file of the certificates that sign those of peers. The machine's own roots count for nothing.
	CA string
	// Cert and Key are the files of the certificate, with intermediates, and of its key.
	Cert, Key string
}

// lookAgain is how long files are used before they are looked at again.
const lookAgain = time.Second

// credentials makes gRPC's of the files.
func (t TLS) credentials(c clock.Clock, log *logrus.Logger) (credentials.TransportCredentials, error) {
	if t.CA == "" || t.Cert == "" || t.Key == "" {
		return nil, errNoTLS
	}
	f := &files{TLS: t, clock: c, log: log, checked: c.Now()}
	if err := f.load(); err != nil {
		return nil, err
	}
	return &following{files: f}, nil
}

// files is what the files of a TLS held when they were last read.
type files struct {
	TLS
	clock clock.Clock
	log   logrus.FieldLogger

	mu      sync.Mutex // guards what follows
	config  *tls.Config
	stamp   string    // of the files that config was made of
	checked time.Time // when the files were last looked at
}

// current is what the next handshake uses.
func (f *files) current() *tls.Config {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := f.clock.Now(); now.Sub(f.checked) >= lookAgain {
		f.checked = now
		if err := f.load(); err != nil {
			f.log.WithField(logfield.Error, err.Error()).Warn("certificates not read again; those before stay in use")
		}
	}
	return f.config
}

// load reads the files if they have changed.
func (f *files) load() error {
	stamp, err := f.stampFiles()
	if err != nil || stamp == f.stamp {
		return err
	}
	pair, err := tls.LoadX509KeyPair(f.Cert, f.Key)
	if err != nil {
		return fmt.Errorf("%s, %s: %w", f.Cert, f.Key, err)
	}
	pem, err := os.ReadFile(f.CA)
	if err != nil {
		return err
	}
	trusted := x509.NewCertPool()
	if !trusted.AppendCertsFromPEM(pem) {
		return fmt.Errorf("%s: no certificate in it", f.CA)
	}
	f.config = &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{pair},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    trusted,
		RootCAs:      trusted,
	}
	f.stamp = stamp
	return nil
}

// stampFiles changes when a file does.
func (f *files) stampFiles() (string, error) {
	var stamp string
	for _, name := range []string{f.CA, f.Cert, f.Key} {
		info, err := os.Stat(name)
		if err != nil {
			return "", err
		}
		stamp += fmt.Sprintf("%d %d\n", info.ModTime().UnixNano(), info.Size())
	}
	return stamp, nil
}

// following is gRPC's TLS, made anew for each handshake.
type following struct{ files *files }

// ClientHandshake is that of gRPC.
func (f *following) ClientHandshake(
	ctx context.Context, authority string, conn net.Conn,
) (net.Conn, credentials.AuthInfo, error) {
	return credentials.NewTLS(f.files.current()).ClientHandshake(ctx, authority, conn)
}

// ServerHandshake is that of gRPC.
func (f *following) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return credentials.NewTLS(f.files.current()).ServerHandshake(conn)
}

// Info is that of gRPC.
func (f *following) Info() credentials.ProtocolInfo {
	return credentials.NewTLS(f.files.current()).Info()
}

// Clone shares the files.
func (f *following) Clone() credentials.TransportCredentials { return &following{files: f.files} }

// OverrideServerName is refused: peers are verified by the host that is dialled.
func (f *following) OverrideServerName(string) error {
	return errors.New("the name of a peer is not overridden")
}

// identityOf names the holder of a verified certificate: its subject, or else its first alternative name.
func identityOf(info credentials.AuthInfo) string {
	t, ok := info.(credentials.TLSInfo)
	if !ok || len(t.State.VerifiedChains) == 0 || len(t.State.VerifiedChains[0]) == 0 {
		return ""
	}
	leaf := t.State.VerifiedChains[0][0]
	switch {
	case len(leaf.Subject.Names) > 0:
		return leaf.Subject.String()
	case len(leaf.URIs) > 0:
		return leaf.URIs[0].String()
	case len(leaf.DNSNames) > 0:
		return leaf.DNSNames[0]
	default:
		return "serial " + leaf.SerialNumber.String()
	}
}
