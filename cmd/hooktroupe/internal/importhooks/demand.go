package importhooks

import (
	"errors"
	"fmt"
	"net/netip"
	"net/textproto"
	"slices"
	"strings"
)

// demands are what a rule asks of every delivery, apart by who checks it.
type demands struct {
	proofs   []proof
	networks [][]string // each list must hold the client
	filter   term
}

// proof is what a source verifies: that one of the secrets was used.
type proof struct {
	algorithm string // of an HMAC; empty where the header holds the secret itself
	header    string // canonical
	secrets   []string
}

// demand takes a rule apart: what a source checks can be taken out of an and, at any depth, and nowhere else.
func (h *Hook) demand(r *rule, conjunct bool) (demands, error) {
	if r.And != nil {
		d := demands{filter: constant(true)}
		for i := range *r.And {
			kid, err := h.demand(&(*r.And)[i], true)
			if err != nil {
				return demands{}, err
			}
			d.proofs = append(d.proofs, kid.proofs...)
			d.networks = append(d.networks, kid.networks...)
			d.filter = all(d.filter, kid.filter)
		}
		return d, nil
	}
	if list, ok := r.alternatives(); ok {
		d, err := alternative(list)
		if err != nil || len(d.proofs)+len(d.networks) > 0 {
			return d, err
		}
	}
	translate := h.value
	if conjunct {
		translate = h.clean
	}
	filter, err := translate(r, false)
	return demands{filter: filter}, err
}

// alternatives are the matches of a rule of which one must hold, where it is no more than that.
func (r *rule) alternatives() ([]*match, bool) {
	switch {
	case r.Or != nil:
		var list []*match
		for i := range *r.Or {
			kid := &(*r.Or)[i]
			if kid.And != nil || kid.Or != nil || kid.Not != nil || kid.Match == nil {
				return nil, false
			}
			list = append(list, kid.Match)
		}
		return list, len(list) > 0
	case r.Not == nil && r.Match != nil:
		return []*match{r.Match}, true
	default:
		return nil, false
	}
}

// alternative makes one proof, or one list of networks, of matches that are all of that kind; nothing of any others.
func alternative(list []*match) (demands, error) {
	d := demands{filter: constant(true)}
	var networks []string
	var joined *proof
	for _, m := range list {
		if m.Type == "ip-whitelist" {
			ranges, err := parseRanges(string(m.IPRange))
			if err != nil {
				return demands{}, err
			}
			networks = append(networks, ranges...)
			continue
		}
		p, ok, err := m.proof()
		switch {
		case err != nil:
			return demands{}, err
		case !ok || joined != nil && (joined.algorithm != p.algorithm || joined.header != p.header):
			return demands{}, nil
		case joined == nil:
			joined = &p
		default:
			joined.secrets = append(joined.secrets, p.secrets...)
		}
	}
	switch {
	case joined != nil && networks != nil:
		return demands{}, nil
	case joined != nil:
		d.proofs = []proof{*joined}
	case networks != nil:
		d.networks = [][]string{networks}
	}
	return d, nil
}

// proof is what a match proves, if it is one that a source can check.
func (m *match) proof() (p proof, ok bool, err error) {
	p = proof{header: textproto.CanonicalMIMEHeaderKey(string(m.Parameter.Name)), secrets: []string{string(m.Secret)}}
	switch {
	case m.Type == "scalr-signature":
		return proof{}, false, errors.New("scalr-signature: no type of source verifies it")
	case strings.HasPrefix(string(m.Type), "payload-hmac-"), strings.HasPrefix(string(m.Type), "payload-hash-"):
		p.algorithm = string(m.Type[len("payload-hmac-"):])
		if !slices.Contains([]string{"sha1", "sha256", "sha512"}, p.algorithm) {
			return proof{}, false, fmt.Errorf("type %q is not known", m.Type)
		}
		if m.Parameter.Source != "header" || len(m.Parameter.SignedToo) > 0 {
			return proof{}, false, fmt.Errorf("%s: a signature must stand in a header and be of the body alone", m.Type)
		}
	case m.Type == "value" && m.Parameter.Source == "header" && isCredential(p.header):
		p.secrets[0] = string(m.Value)
	default:
		return proof{}, false, nil
	}
	if p.secrets[0] == "" {
		return proof{}, false, errors.New("its secret is empty")
	}
	return p, true, nil
}

// parseRanges reads addresses and networks apart by blanks. A network is written by its first address.
func parseRanges(list string) ([]string, error) {
	var ranges []string
	for _, one := range strings.Fields(list) {
		if addr, err := netip.ParseAddr(one); err == nil && addr.Zone() == "" {
			ranges = append(ranges, addr.Unmap().String())
			continue
		}
		prefix, err := netip.ParsePrefix(one)
		if err != nil || prefix.Addr().Is4In6() {
			return nil, fmt.Errorf("ip-range: %q is no network", one)
		}
		ranges = append(ranges, prefix.Masked().String())
	}
	if len(ranges) == 0 {
		return nil, errors.New("ip-range: empty")
	}
	return ranges, nil
}
