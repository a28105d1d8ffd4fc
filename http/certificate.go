package http

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/hooktroupe/hooktroupe/internal/clock"
	"github.com/hooktroupe/hooktroupe/internal/logfield"
)

// certificateCheck is how long a certificate is used before its files are looked at again.
const certificateCheck = time.Second

// certificate is a key pair on disk that follows its files: a renewed one serves the next handshake. One that cannot be
// read leaves the one before in use.
type certificate struct {
	certFile, keyFile string
	clock             clock.Clock
	log               logrus.FieldLogger

	mu      sync.Mutex // guards what follows
	pair    *tls.Certificate
	stamp   string    // of the files that pair was read from
	checked time.Time // when the files were last looked at
}

func loadCertificate(certFile, keyFile string, c clock.Clock, log logrus.FieldLogger) (*certificate, error) {
	cert := &certificate{certFile: certFile, keyFile: keyFile, clock: c, log: log, checked: c.Now()}
	stamp, err := cert.stampFiles()
	if err != nil {
		return nil, err
	}
	return cert, cert.load(stamp)
}

// config is what the listeners use.
func (c *certificate) config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}, GetCertificate: c.get}
}

func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.clock.Now()
	if now.Sub(c.checked) < certificateCheck {
		return c.pair, nil
	}
	c.checked = now
	stamp, err := c.stampFiles()
	if err == nil && stamp != c.stamp {
		if err = c.load(stamp); err == nil {
			c.log.WithField(logfield.File, c.certFile).Info("certificate read again")
		}
	}
	if err != nil {
		c.log.WithField(logfield.Error, err.Error()).Warn("certificate not read again; the one before stays in use")
	}
	return c.pair, nil
}

// load reads the pair and remembers what its files looked like.
func (c *certificate) load(stamp string) error {
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return fmt.Errorf("http.tls.cert, http.tls.key: %w", err)
	}
	c.pair, c.stamp = &pair, stamp
	return nil
}

// stampFiles changes when either file does.
func (c *certificate) stampFiles() (string, error) {
	var stamp string
	for _, name := range []string{c.certFile, c.keyFile} {
		info, err := os.Stat(name)
		if err != nil {
			return "", fmt.Errorf("http.tls.cert, http.tls.key: %w", err)
		}
		stamp += fmt.Sprintf("%d %d\n", info.ModTime().UnixNano(), info.Size())
	}
	return stamp, nil
}

// askCertificates is a configuration that also asks clients for a certificate of an authority, and ends the handshake of who
// shows any other. Who shows none may still bear a token.
func askCertificates(c *tls.Config, authorities string) (*tls.Config, error) {
	text, err := os.ReadFile(authorities)
	if err != nil {
		return nil, fmt.Errorf("http.tls.client_ca: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("http.tls.client_ca: %s holds no certificate in PEM", authorities)
	}
	c = c.Clone()
	c.ClientAuth, c.ClientCAs = tls.VerifyClientCertIfGiven, pool
	return c, nil
}
