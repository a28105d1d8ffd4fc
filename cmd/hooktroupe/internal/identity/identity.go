// Package identity makes certificates for trials: an authority, and identities of a cluster's members and of remote handlers
// that it signs. Who has an authority already takes its certificates: any that are good for a server and a client.
package identity

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"time"
)

const (
	authorityLife = 10 * 365 * 24 * time.Hour
	memberLife    = 365 * 24 * time.Hour
	// skew is how far the clock of a peer may be behind.
	skew = time.Hour
)

// The names of the authority's files.
const (
	authorityCert = "ca.pem"
	authorityKey  = "ca.key"
)

// Files are what was written, or is used.
type Files struct{ CA, Cert, Key string }

// name is what a member may be called: it becomes the name of files.
var name = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// Issue makes an identity of that name in a folder, valid from now, for the hosts under which others call it: names and
// addresses. The authority of the folder signs it, and is made where there is none. Files that are there are never replaced.
func Issue(folder, member string, hosts []string, now time.Time) (Files, error) {
	f := Files{
		CA: filepath.Join(folder, authorityCert), Cert: filepath.Join(folder, member+".pem"),
		Key: filepath.Join(folder, member+".key"),
	}
	switch {
	case !name.MatchString(member) || f.Cert == f.CA:
		return f, fmt.Errorf("%.80q: a name is 1 to 64 letters, digits, dots, dashes and underscores, and not ca", member)
	case len(hosts) == 0:
		return f, errors.New("at least one host is needed: the name or address under which others call")
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return f, err
	}
	authority, key, err := openAuthority(folder, now)
	if err != nil {
		return f, err
	}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: member}, NotBefore: now.Add(-skew), NotAfter: now.Add(memberLife),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, h)
		}
	}
	_, err = write(f.Cert, f.Key, template, authority, key)
	return f, err
}

// openAuthority reads the authority of a folder, or makes it.
func openAuthority(folder string, now time.Time) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	certFile, keyFile := filepath.Join(folder, authorityCert), filepath.Join(folder, authorityKey)
	certDER, certErr := readPEM(certFile, "CERTIFICATE")
	keyDER, keyErr := readPEM(keyFile, "PRIVATE KEY")
	if errors.Is(certErr, fs.ErrNotExist) && errors.Is(keyErr, fs.ErrNotExist) {
		template := &x509.Certificate{
			Subject: pkix.Name{CommonName: "Hooktroupe authority"}, NotBefore: now.Add(-skew), NotAfter: now.Add(authorityLife),
			IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign,
		}
		key, err := write(certFile, keyFile, template, nil, nil)
		if err != nil {
			return nil, nil, err
		}
		if certDER, certErr = readPEM(certFile, "CERTIFICATE"); certErr != nil {
			return nil, nil, certErr
		}
		cert, err := x509.ParseCertificate(certDER)
		return cert, key, err
	}
	if err := errors.Join(certErr, keyErr); err != nil {
		return nil, nil, err
	}
	cert, err := x509.ParseCertificate(certDER)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", certFile, err)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(keyDER)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", keyFile, err)
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || !key.PublicKey.Equal(cert.PublicKey) {
		return nil, nil, fmt.Errorf("%s: it is not the key of %s", keyFile, certFile)
	}
	return cert, key, nil
}

// write makes a key and its certificate, signed by the parent or by itself, and writes both, the key first.
func write(
	certFile, keyFile string, template, parent *x509.Certificate, signer *ecdsa.PrivateKey,
) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)); err != nil {
		return nil, err
	}
	if parent == nil {
		parent, signer = template, key
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		return nil, err
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	if err := writePEM(keyFile, "PRIVATE KEY", encoded, 0o600); err != nil {
		return nil, err
	}
	return key, writePEM(certFile, "CERTIFICATE", cert, 0o644)
}

// writePEM writes a file that must not exist.
func writePEM(path, kind string, der []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	return errors.Join(pem.Encode(f, &pem.Block{Type: kind, Bytes: der}), f.Close())
}

func readPEM(path, kind string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil || block.Type != kind {
		return nil, fmt.Errorf("%s: it holds no PEM block of type %s", path, kind)
	}
	return block.Bytes, nil
}
