package config

import (
	"fmt"
	"net/netip"
)

// proxies checks how clients are told behind proxies: neither half means anything without the other.
func (j *judge) proxies() {
	h := &j.config.HTTP
	j.oneOf("http.client_address", h.ClientAddress)
	j.networks("http.trusted_proxies", h.TrustedProxies)
	switch off := h.ClientAddress == "none"; {
	case !j.knows("http.client_address", "http.trusted_proxies"):
	case off && len(h.TrustedProxies) > 0:
		j.bad("http.trusted_proxies", "nothing is read of them: set http.client_address to forwarded, x-forwarded-for or "+
			"proxy-protocol")
	case !off && len(h.TrustedProxies) == 0:
		j.bad("http.client_address", "nobody is believed: set http.trusted_proxies")
	}
}

// admission checks who may deliver to a source, and how often.
func (j *judge) admission(path string, s *Source) {
	j.networks(path+".allow", s.Allow)
	j.within(path+".burst", float64(s.Burst))
	if s.Burst > 0 && s.Rate == 0 && j.knows(path+".rate") {
		j.bad(path+".burst", "goes with a rate only")
	}
}

// networks checks a list of addresses and networks. A network of IPv4 within IPv6 would hold nobody.
func (j *judge) networks(path string, texts []string) {
	for i, text := range texts {
		if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
			continue
		}
		prefix, err := netip.ParsePrefix(text)
		at := fmt.Sprintf("%s[%d]", path, i)
		switch {
		case err != nil:
			j.bad(at, "%q is neither an address nor a network such as 10.0.0.0/8", text)
		case prefix.Addr().Is4In6():
			j.bad(at, "%q is IPv4 within IPv6: write it in IPv4", text)
		}
	}
}
