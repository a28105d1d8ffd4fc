package forward

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/hooktroupe/hooktroupe/handler"
)

// What a zero in a Config stands for.
const (
	DefaultTimeout      = 30 * time.Second
	DefaultMaxIdleConns = 16
)

// Config describes one sink. Header values may be credentials: a Config prints without them.
type Config struct {
	// URL is where deliveries go: http or https, without user information (credentials belong in Headers) and without a
	// fragment.
	URL string
	// Timeout bounds one exchange, from dialling to the last byte of the answer that is kept. Zero means DefaultTimeout
	// (30 s). The attempt's own deadline holds beside it.
	Timeout time.Duration
	// Headers are added to every request, over the sender's of the same name.
	Headers map[string]string
	// PassHeaders, when not empty, is all that passes of the sender's headers: a list of names, in any letter case. Names
	// that never pass do not pass by being listed.
	PassHeaders []string
	// Allow lists the prefixes that may be dialled although they are private, link-local or otherwise special. Loopback
	// needs no entry when the host of URL is localhost or a loopback address in so many words.
	Allow []netip.Prefix
	// CAFile is a PEM file with the only authorities trusted to vouch for the sink. Empty means those of the system.
	CAFile string
	// CertFile and KeyFile are the PEM files of the client certificate; both or neither.
	CertFile, KeyFile string
	// MaxResponseBytes bounds the result: what is longer is cut, and its connection is not used again. Zero means
	// handler.MaxResultBytes (4 KiB), which is also the most.
	MaxResponseBytes int
	// MaxIdleConns bounds the connections kept open between attempts. Zero means DefaultMaxIdleConns (16). To be no
	// smaller than the number of workers that forward at once, or busy times pay for new connections.
	MaxIdleConns int
	// DiscardStatuses are the statuses, 300 to 599, that are about the delivery itself and fail the task for good; every other
	// one but 2xx is tried again. None means those that the package comment lists.
	DiscardStatuses []int
	// SigningKeys sign each request after Standard Webhooks, one signature each: several during a rotation. None means
	// unsigned.
	SigningKeys []SigningKey
}

// String names the sink by its host alone: paths and queries of webhook URLs are often secrets themselves.
func (c Config) String() string {
	u, err := url.Parse(c.URL)
	if err != nil {
		return "forward to an invalid URL"
	}
	return "forward to " + u.Host
}

// GoString is String.
func (c Config) GoString() string { return c.String() }

// WithDefaults returns the configuration with each zero replaced by what it stands for.
func (c Config) WithDefaults() Config {
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	if c.MaxResponseBytes == 0 {
		c.MaxResponseBytes = handler.MaxResultBytes
	}
	if c.MaxIdleConns == 0 {
		c.MaxIdleConns = DefaultMaxIdleConns
	}
	if len(c.DiscardStatuses) == 0 {
		c.DiscardStatuses = defaultDiscardStatuses()
	}
	return c
}

// validate judges a configuration that has its defaults, and returns its URL. Every error names the field at fault.
func (c Config) validate() (*url.URL, error) {
	target, err := parseTarget(c.URL)
	switch {
	case err != nil:
		return nil, err
	case c.Timeout < 0:
		return nil, errors.New("timeout: negative")
	case c.MaxResponseBytes < 0 || c.MaxResponseBytes > handler.MaxResultBytes:
		return nil, fmt.Errorf("max_response_bytes: not within 0 and %d", handler.MaxResultBytes)
	case c.MaxIdleConns < 0:
		return nil, errors.New("max_idle_conns: negative")
	case (c.CertFile == "") != (c.KeyFile == ""):
		return nil, errors.New("cert_file, key_file: one without the other")
	}
	if err := c.validateHeaders(); err != nil {
		return nil, err
	}
	for _, prefix := range c.Allow {
		if !prefix.IsValid() || prefix.Addr().Is4In6() {
			return nil, fmt.Errorf("allow: %q is not a prefix such as 10.0.0.0/8 or fd00::/8", prefix)
		}
	}
	for _, status := range c.DiscardStatuses {
		if status < 300 || status > 599 {
			return nil, fmt.Errorf("discard_statuses: %d is not within 300 and 599", status)
		}
	}
	for i, key := range c.SigningKeys {
		if len(key.raw) == 0 {
			return nil, fmt.Errorf("signing_keys[%d]: empty", i)
		}
	}
	return target, nil
}

// validateHeaders judges the added headers and the names of those that pass. Its errors name headers, never values.
func (c Config) validateHeaders() error {
	taken := make(map[string]bool, len(c.Headers))
	for name, value := range c.Headers {
		if err := checkHeader(name, value); err != nil {
			return fmt.Errorf("headers: %w", err)
		}
		name = canonical(name)
		if ownAffair(name) {
			return fmt.Errorf("headers: %s is not for configuration", name)
		}
		if taken[name] {
			return fmt.Errorf("headers: %s comes twice, in different letter case", name)
		}
		taken[name] = true
	}
	for _, name := range c.PassHeaders {
		if !httpguts.ValidHeaderFieldName(name) {
			return fmt.Errorf("pass_headers: %q is not a header name", name)
		}
	}
	return nil
}

// parseTarget reads the URL of a sink. Its errors never quote it.
func parseTarget(raw string) (*url.URL, error) {
	target, err := url.Parse(raw)
	switch {
	case err != nil:
		return nil, errors.New("url: not a URL")
	case target.Scheme != "http" && target.Scheme != "https":
		return nil, errors.New("url: neither http nor https")
	case target.Hostname() == "":
		return nil, errors.New("url: no host")
	case target.User != nil:
		return nil, errors.New("url: holds user information; use headers")
	case target.Fragment != "" || strings.HasSuffix(raw, "#"):
		return nil, errors.New("url: holds a fragment")
	}
	return target, nil
}
