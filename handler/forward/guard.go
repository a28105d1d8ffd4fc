package forward

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"

	"code.dny.dev/ssrf"
)

// ErrDenied is wrapped by the error for an address that may not be dialled: private, link-local or otherwise special,
// and not listed in Config.Allow. New returns it when the URL itself names such an address, Handle when a name resolves
// to one.
var ErrDenied = errors.New("address denied")

// control is a net.Dialer.Control: it sees the address that is about to be dialled, after every resolution.
type control func(network, address string, conn syscall.RawConn) error

// newGuard returns the control for a target. Loopback passes only where the operator wrote it as the host; whatever a
// name resolves to, or a number in an odd notation turns out to be, is judged when it is dialled.
func newGuard(target *url.URL, allow []netip.Prefix) (control, error) {
	var v4, v6 []netip.Prefix
	for _, prefix := range allow {
		if prefix.Addr().Is4() {
			v4 = append(v4, prefix)
		} else {
			v6 = append(v6, prefix)
		}
	}
	// ::ffff:127.0.0.1 is dialled as 127.0.0.1, and must be judged as that.
	host, err := netip.ParseAddr(target.Hostname())
	literal := err == nil
	host = host.Unmap()
	if literal && host.IsLoopback() || strings.EqualFold(target.Hostname(), "localhost") {
		v4 = append(v4, netip.MustParsePrefix("127.0.0.0/8"))
		v6 = append(v6, netip.MustParsePrefix("::1/128"))
	}
	port, err := portOf(target)
	if err != nil {
		return nil, err
	}
	// The address of a literal is known now, and so is the mistake; that of a name is known only to the dialler.
	guardian := ssrf.New(ssrf.WithPorts(port), ssrf.WithAllowedV4Prefixes(v4...), ssrf.WithAllowedV6Prefixes(v6...))
	if literal {
		if err := guardian.SafeAddr(host); err != nil {
			return nil, fmt.Errorf("url: %w: %s is not public; list a prefix that holds it under allow", ErrDenied, host)
		}
	}
	return func(network, address string, conn syscall.RawConn) error {
		if err := guardian.Safe(network, address, conn); err != nil {
			return fmt.Errorf("%w: %w", ErrDenied, err)
		}
		return nil
	}, nil
}

// portOf returns the one port that may be dialled.
func portOf(target *url.URL) (uint16, error) {
	switch text := target.Port(); {
	case text != "":
		port, err := strconv.ParseUint(text, 10, 16)
		if err != nil || port == 0 {
			return 0, errors.New("url: port not within 1 and 65535")
		}
		return uint16(port), nil
	case target.Scheme == "https":
		return 443, nil
	default:
		return 80, nil
	}
}
