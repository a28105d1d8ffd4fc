package generic

import (
	"errors"
	"strings"

	"github.com/hooktroupe/hooktroupe/source"
)

// check reports what is wrong with the part of the configuration that is this type's own.
func check(c source.Config) error {
	if c.Generic == nil {
		return c.Errorf("generic", "type generic needs it, with its scheme")
	}
	return errors.Join(checkScheme(c), checkForm(c), checkPlaces(c))
}

// checkScheme wants each scheme to have what it uses and nothing else.
func checkScheme(c source.Config) error {
	g := c.Generic
	switch g.Scheme {
	case "hmac", "token":
		if !source.IsName(g.Header) {
			return c.Errorf("generic.header", "scheme %s needs the name of a header", g.Scheme)
		}
	case "basic", "bearer":
		if g.Header != "" {
			return c.Errorf("generic.header", "is not used by scheme %s", g.Scheme)
		}
	case "":
		if !c.Insecure {
			return c.Errorf("generic.scheme", "is missing: hmac, token, basic or bearer")
		}
	default:
		return c.Errorf("generic.scheme", "%q is not hmac, token, basic or bearer", g.Scheme)
	}
	needsUser := g.Scheme == "basic" && !c.Insecure
	switch {
	case needsUser && (c.Username == "" || strings.Contains(c.Username, ":")):
		return c.Errorf("username", "scheme basic needs one, without a colon")
	case !needsUser && c.Username != "":
		return c.Errorf("username", "is used by scheme basic only")
	}
	return nil
}

// checkForm wants the form of a signature where there is one, and known names in it.
func checkForm(c source.Config) error {
	g := c.Generic
	if g.Scheme != "hmac" {
		for _, set := range [...]struct{ key, value string }{
			{"algorithm", g.Algorithm}, {"encoding", g.Encoding}, {"prefix", g.Prefix},
		} {
			if set.value != "" {
				return c.Errorf("generic."+set.key, "is used by scheme hmac only")
			}
		}
		return nil
	}
	if _, known := hashes()[g.Algorithm]; !known {
		return c.Errorf("generic.algorithm", "%q is not sha256, sha1, sha384 or sha512", g.Algorithm)
	}
	if g.Encoding != "" && g.Encoding != "hex" && g.Encoding != "base64" {
		return c.Errorf("generic.encoding", "%q is not hex or base64", g.Encoding)
	}
	return nil
}

// checkPlaces wants header names to be such, and paths to be names and indices joined by dots.
func checkPlaces(c source.Config) error {
	g := c.Generic
	for _, h := range [...]struct{ key, name string }{{"event_header", g.EventHeader}, {"id_header", g.IDHeader}} {
		if h.name != "" && !source.IsName(h.name) {
			return c.Errorf("generic."+h.key, "%q is not the name of a header", h.name)
		}
	}
	for _, p := range [...]struct{ key, path string }{
		{"event_path", g.EventPath}, {"id_path", g.IDPath}, {"key_path", g.KeyPath},
	} {
		if p.path != "" && !isPath(p.path) {
			return c.Errorf("generic."+p.key, "%q is not a path: letters, digits, _ - $ joined by dots", p.path)
		}
	}
	return nil
}

// isPath says whether text is a plain path: what else a query language might read into it is left out on purpose.
func isPath(text string) bool {
	for segment := range strings.SplitSeq(text, ".") {
		if segment == "" || strings.ContainsFunc(segment, func(r rune) bool { return !isWord(r) }) {
			return false
		}
	}
	return true
}

func isWord(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-$", r)
}
