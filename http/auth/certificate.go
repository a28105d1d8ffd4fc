package auth

import (
	"crypto/tls"
	"fmt"
	"slices"
)

// Certificate opens the API to who proves to be its subject by a certificate of the authority that the listener trusts.
type Certificate struct {
	// Principal is who that is.
	Principal Principal
	// Subject is the common name, or one of the alternative names: a DNS name, a mail address or a URI.
	Subject string
}

// ParseCertificate reads one as the configuration has it.
func ParseCertificate(name, subject, scope string) (Certificate, error) {
	granted, err := ParseScope(scope)
	switch {
	case err != nil:
		return Certificate{}, fmt.Errorf("scope: %w", err)
	case subject == "":
		return Certificate{}, fmt.Errorf("subject: the common name or an alternative name of the certificate")
	}
	return Certificate{Principal: Principal{Name: name, Scope: granted}, Subject: subject}, nil
}

// Certificates are all there are. It is read-only.
type Certificates []Certificate

// Find says who has made a connection: whoever's subject its verified certificate names. A certificate that was not verified
// names nobody.
func (c Certificates) Find(state *tls.ConnectionState) (Principal, bool) {
	if state == nil || len(state.VerifiedChains) == 0 {
		return Principal{}, false
	}
	leaf := state.VerifiedChains[0][0]
	names := append([]string{leaf.Subject.CommonName}, leaf.DNSNames...)
	names = append(names, leaf.EmailAddresses...)
	for _, uri := range leaf.URIs {
		names = append(names, uri.String())
	}
	for _, known := range c {
		if slices.Contains(names, known.Subject) {
			return known.Principal, true
		}
	}
	return Principal{}, false
}
