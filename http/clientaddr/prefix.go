package clientaddr

import (
	"errors"
	"fmt"
	"net/netip"
)

// Prefixes are networks.
type Prefixes []netip.Prefix

// Contains says whether one of them holds the address, which is not mapped into IPv6.
func (p Prefixes) Contains(addr netip.Addr) bool {
	for _, prefix := range p {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}

// ParsePrefixes reads addresses and networks. Every error begins with the key and the place in the list: key[2].
func ParsePrefixes(key string, texts []string) (Prefixes, error) {
	prefixes := make(Prefixes, 0, len(texts))
	var faults []error
	for i, text := range texts {
		prefix, err := parsePrefix(text)
		if err != nil {
			faults = append(faults, fmt.Errorf("%s[%d]: %q %w", key, i, text, err))
			continue
		}
		prefixes = append(prefixes, prefix)
	}
	return prefixes, errors.Join(faults...)
}

// parsePrefix reads one. A network mapped into IPv6 would never hold anything, for addresses are unmapped.
func parsePrefix(text string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(text)
	switch {
	case err != nil:
		return netip.Prefix{}, errors.New("is neither an address nor a network")
	case prefix.Addr().Is4In6():
		return netip.Prefix{}, errors.New("is IPv4 within IPv6: write it in IPv4")
	}
	return prefix.Masked(), nil
}
