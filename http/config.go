package http

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/hooktroupe/hooktroupe/http/auth"
	"github.com/hooktroupe/hooktroupe/http/clientaddr"
	"github.com/hooktroupe/hooktroupe/http/ingress"
)

// Config is for the operator. Every field may be left at zero.
type Config struct {
	// Listen is the host:port for deliveries and, without AdminListen, for everything else. Empty means 127.0.0.1:8080;
	// port 0 means any free port.
	Listen string
	// AdminListen is the host:port for the status API, probes and metrics. Empty means that Listen serves them too.
	// Probes are answered on both.
	AdminListen string
	// AdminTokens are the SHA-256 digests, in hex, of the bearer tokens that open the status API and metrics. Empty
	// means that they are open, which only a loopback address may be.
	AdminTokens []string
	// Tokens are known by their hashes, each with a scope of its own. They count like AdminTokens.
	Tokens []Token
	// AllowedHosts are names and addresses, without a port, that a request to the API may give as its Host beside
	// loopback ones. They matter only without tokens.
	AllowedHosts []string
	// TLSCert and TLSKey are files in PEM for every listener, read again when they change. Empty means plain HTTP.
	TLSCert, TLSKey string
	// ClientCA is a file in PEM of the authorities whose certificates Certificates may be. Both go with TLSCert.
	ClientCA string
	// Certificates open the status API and metrics like tokens do.
	Certificates []Certificate

	// MaxBodyBytes bounds the body of one delivery whose source sets no bound of its own. Zero means 25 MiB; at most
	// 60 MiB.
	MaxBodyBytes int
	// MaxHeaderBytes bounds the request line and the header block. Zero means 16 KiB; 4 KiB to 1 MiB.
	MaxHeaderBytes int
	// MaxConnections bounds open connections of one listener; one more is answered 503 and closed. Zero means 4096.
	MaxConnections int
	// MaxConnectionsPerIP bounds those of one client address, loopback excepted. Zero means 1024.
	MaxConnectionsPerIP int
	// MaxInflightRequests bounds deliveries that are read or wait for their answer. Zero means 4096.
	MaxInflightRequests int
	// MaxInflightBytes bounds the memory of their bodies together. Zero means 256 MiB; at least MaxBodyBytes.
	MaxInflightBytes int

	// ReadTimeout bounds the arrival of one request, from its first byte to its last. Zero means 30 s.
	ReadTimeout time.Duration
	// WriteTimeout bounds the sending of one response. Zero means 30 s.
	WriteTimeout time.Duration
	// IdleTimeout bounds the wait for the next request of a connection. Zero means 75 s, above what proxies use.
	IdleTimeout time.Duration
	// AnswerTimeout bounds the wait for a delivery to be on stable storage. Zero means 10 s.
	AnswerTimeout time.Duration
	// DrainDelay is how long the daemon still takes deliveries after /readyz said that it stops, so that load balancers
	// see it first. Zero means no delay.
	DrainDelay time.Duration
	// ClientAddress is how the trusted proxies say for whom they speak: none, forwarded, x-forwarded-for or
	// proxy-protocol. Empty means none: the peer is the client. With proxy-protocol every connection of a trusted proxy
	// to Listen begins with the PROXY header, and one of anybody else that does is closed; AdminListen takes none.
	ClientAddress string
	// TrustedProxies are the proxies, as addresses or CIDR networks. They go with a ClientAddress and it with them. The
	// bound per address is not applied to them.
	TrustedProxies []string
}

// Token is a bearer token of which only the hash is known.
type Token struct {
	// Name is written to the audit: 1 to 64 bytes, unique.
	Name string
	// Hash is as auth.Hash makes it, Scope a word of auth.ParseScope.
	Hash, Scope string
}

// Certificate is who may show a certificate of the ClientCA.
type Certificate struct {
	// Name is written to the audit: 1 to 64 bytes, unique, also among tokens.
	Name string
	// Subject is the certificate's common name or one of its alternative names, Scope a word of auth.ParseScope.
	Subject, Scope string
}

// Defaults and bounds of the listener's own fields.
const (
	DefaultListen         = "127.0.0.1:8080"
	defaultHeaderBytes    = 16 << 10
	minHeaderBytes        = 4 << 10
	maxHeaderBytes        = 1 << 20
	defaultConnections    = 4096
	defaultConnsPerIP     = 1024
	defaultReadTimeout    = 30 * time.Second
	defaultWriteTimeout   = 30 * time.Second
	defaultIdleTimeout    = 75 * time.Second
	maxConfiguredDuration = time.Hour
)

// WithDefaults returns the configuration with every zero field at its default.
func (c Config) WithDefaults() Config {
	if c.Listen == "" {
		c.Listen = DefaultListen
	}
	in := ingress.Config{
		MaxBodyBytes:        c.MaxBodyBytes,
		MaxInflightRequests: c.MaxInflightRequests,
		MaxInflightBytes:    c.MaxInflightBytes,
		AnswerTimeout:       c.AnswerTimeout,
	}.WithDefaults()
	c.MaxBodyBytes, c.AnswerTimeout = in.MaxBodyBytes, in.AnswerTimeout
	c.MaxInflightRequests, c.MaxInflightBytes = in.MaxInflightRequests, in.MaxInflightBytes
	fill(&c.MaxHeaderBytes, defaultHeaderBytes)
	fill(&c.MaxConnections, defaultConnections)
	fill(&c.MaxConnectionsPerIP, defaultConnsPerIP)
	fill(&c.ReadTimeout, defaultReadTimeout)
	fill(&c.WriteTimeout, defaultWriteTimeout)
	fill(&c.IdleTimeout, defaultIdleTimeout)
	return c
}

func fill[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Ingress is the part of the configuration that the ingress needs.
func (c Config) Ingress() ingress.Config {
	c = c.WithDefaults()
	return ingress.Config{
		MaxBodyBytes:        c.MaxBodyBytes,
		MaxInflightRequests: c.MaxInflightRequests,
		MaxInflightBytes:    c.MaxInflightBytes,
		AnswerTimeout:       c.AnswerTimeout,
	}.WithDefaults()
}

// Validate returns every fault of the configuration, each naming its key and what to set. Zero fields count as their
// defaults.
func (c Config) Validate() error {
	c = c.WithDefaults()
	_, err := c.resolver()
	faults := []error{err}
	check := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf("http."+format, args...))
		}
	}
	in := ingress.Config{
		MaxBodyBytes: c.MaxBodyBytes, MaxInflightRequests: c.MaxInflightRequests,
		MaxInflightBytes: c.MaxInflightBytes, AnswerTimeout: c.AnswerTimeout,
	}.WithDefaults()
	if err := in.Validate(); err != nil {
		faults = append(faults, fmt.Errorf("http: %w", err))
	}
	check(c.MaxHeaderBytes >= minHeaderBytes && c.MaxHeaderBytes <= maxHeaderBytes,
		"max_header_bytes: %d is not within %d and %d", c.MaxHeaderBytes, minHeaderBytes, maxHeaderBytes)
	check(c.MaxConnections > 0, "max_connections: %d is below 1", c.MaxConnections)
	check(c.MaxConnectionsPerIP > 0, "max_connections_per_ip: %d is below 1", c.MaxConnectionsPerIP)
	for _, d := range []struct {
		key   string
		value time.Duration
	}{{"read_timeout", c.ReadTimeout}, {"write_timeout", c.WriteTimeout}, {"idle_timeout", c.IdleTimeout}} {
		check(d.value > 0 && d.value <= maxConfiguredDuration,
			"%s: %s is not above 0 and up to %s", d.key, d.value, maxConfiguredDuration)
	}
	check(c.DrainDelay >= 0 && c.DrainDelay <= maxConfiguredDuration,
		"drain_delay: %s is not within 0 and %s", c.DrainDelay, maxConfiguredDuration)
	check((c.TLSCert == "") == (c.TLSKey == ""), "tls: cert and key: set both or neither")
	_, err = c.keys()
	_, certErr := c.certificates()
	return errors.Join(append(faults, err, certErr, c.validateListeners())...)
}

// validateListeners checks the addresses, and that nothing open is offered beyond loopback.
func (c Config) validateListeners() error {
	var faults []error
	admin, key := c.Listen, "http.listen"
	if c.AdminListen != "" {
		admin, key = c.AdminListen, "http.admin_listen"
		if _, _, err := net.SplitHostPort(c.AdminListen); err != nil {
			faults = append(faults, fmt.Errorf("http.admin_listen: %q is not host:port", c.AdminListen))
		}
	}
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		faults = append(faults, fmt.Errorf("http.listen: %q is not host:port", c.Listen))
	}
	if len(faults) == 0 && len(c.AdminTokens)+len(c.Tokens)+len(c.Certificates) == 0 && !loopback(admin) {
		faults = append(faults, fmt.Errorf("%s: %s is not loopback and would show the status API and metrics to "+
			"everybody: set http.tokens or http.client_certificates, or http.admin_listen to a loopback address", key, admin))
	}
	return errors.Join(faults...)
}

// loopback says whether a host:port can only be reached from this machine.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	return err == nil && loopbackHost(host)
}

// loopbackHost says whether a host, without its port, names this machine to itself.
func loopbackHost(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// keys reads the tokens of both kinds. An error does not repeat them.
func (c Config) keys() (auth.Keyring, error) {
	keys := make(auth.Keyring, 0, len(c.AdminTokens)+len(c.Tokens))
	for i, digest := range c.AdminTokens {
		name := fmt.Sprintf("http.admin_tokens[%d]", i)
		key, err := auth.ParseKey(name, "sha256:"+digest, auth.Admin.String())
		if err != nil {
			return nil, fmt.Errorf("%s: not a SHA-256 digest in 64 hex digits", name)
		}
		keys = append(keys, key)
	}
	names := make(map[string]bool)
	for i, t := range c.Tokens {
		key, err := auth.ParseKey(t.Name, t.Hash, t.Scope)
		switch {
		case err != nil:
			return nil, fmt.Errorf("http.tokens[%d]: %w", i, err)
		case t.Name == "" || len(t.Name) > maxTokenName || names[t.Name]:
			return nil, fmt.Errorf("http.tokens[%d].name: up to %d characters that no other token has", i, maxTokenName)
		}
		names[t.Name] = true
		keys = append(keys, key)
	}
	return keys, nil
}

// certificates reads who may show one.
func (c Config) certificates() (auth.Certificates, error) {
	switch {
	case (c.ClientCA == "") != (len(c.Certificates) == 0):
		return nil, errors.New("http.tls.client_ca and http.client_certificates: set both or neither")
	case c.ClientCA != "" && c.TLSCert == "":
		return nil, errors.New("http.client_certificates: they go with http.tls.cert and http.tls.key")
	}
	names := make(map[string]bool)
	for _, t := range c.Tokens {
		names[t.Name] = true
	}
	var known auth.Certificates
	for i, one := range c.Certificates {
		parsed, err := auth.ParseCertificate(one.Name, one.Subject, one.Scope)
		switch {
		case err != nil:
			return nil, fmt.Errorf("http.client_certificates[%d].%w", i, err)
		case one.Name == "" || len(one.Name) > maxTokenName || names[one.Name]:
			return nil, fmt.Errorf("http.client_certificates[%d].name: up to %d characters that no other and no token has", i, maxTokenName)
		}
		names[one.Name] = true
		known = append(known, parsed)
	}
	return known, nil
}

// maxTokenName bounds the name of a token, in bytes.
const maxTokenName = 64

// resolver reads who is trusted to say who a client is.
func (c Config) resolver() (clientaddr.Resolver, error) {
	scheme, err := clientaddr.ParseScheme(c.ClientAddress)
	if err != nil {
		return clientaddr.Resolver{}, fmt.Errorf("http.client_address: %w", err)
	}
	trusted, err := clientaddr.ParsePrefixes("http.trusted_proxies", c.TrustedProxies)
	switch {
	case err != nil:
	case scheme == clientaddr.None && len(trusted) > 0:
		err = errors.New("http.trusted_proxies: say by http.client_address how they name the client")
	case scheme != clientaddr.None && len(trusted) == 0:
		err = fmt.Errorf("http.client_address: %s goes with http.trusted_proxies: else nobody is believed", scheme)
	}
	return clientaddr.Resolver{Scheme: scheme, Trusted: trusted}, err
}
