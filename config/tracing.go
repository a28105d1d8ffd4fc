package config

import (
	"fmt"
	"net/netip"
	"net/url"
)

// tracing checks where traces go, and of whose senders they go on.
func (j *judge) tracing() {
	t := j.config.Tracing
	j.references("tracing.headers", t.Headers)
	j.within("tracing.sample_ratio", t.SampleRatio)
	for i, name := range t.Continue {
		s, known := j.config.Sources[name]
		switch {
		case !known:
			j.bad(fmt.Sprintf("tracing.continue[%d]", i), "there is no source %q", name)
		case s.Insecure:
			j.bad(fmt.Sprintf("tracing.continue[%d]", i), "source %q is insecure: anybody could write into anybody's trace", name)
		}
	}
	if t.Endpoint == "" {
		return
	}
	u, err := url.Parse(t.Endpoint)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		j.bad("tracing.endpoint", "is not a URL such as http://127.0.0.1:4318")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		j.bad("tracing.endpoint", "holds more than scheme, host, port and path; credentials belong into tracing.headers")
	case u.Scheme == "http" && !loopback(u.Hostname()):
		j.warn("tracing.endpoint", "traces, and their headers, leave this machine unencrypted")
	}
}

// loopback says whether a host is this machine.
func loopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && address.IsLoopback()
}
