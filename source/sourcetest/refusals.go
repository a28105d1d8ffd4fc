package sourcetest

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hooktroupe/hooktroupe/source"
)

func (s *suite) tampering(t *testing.T) {
	if !s.SignsBody {
		t.Skip("the sender does not sign the body")
	}
	for _, f := range s.Fixtures {
		req := s.signed(t, f)
		for name, body := range tampered(f.Body) {
			changed := *req
			changed.Body = body
			if err := s.source.Verify(&changed, Now()); err == nil {
				t.Errorf("%s: accepted with its body %s", f.File, name)
			} else {
				s.refused(t, &changed, err, source.ReasonMismatch)
			}
		}
	}
}

// tampered returns the ways in which a body arrives changed.
func tampered(body []byte) map[string][]byte {
	flipped := func(i int, bit byte) []byte {
		b := slices.Clone(body)
		b[i] ^= bit
		return b
	}
	changes := map[string][]byte{
		"truncated by a byte": body[:len(body)-1],
		"truncated by half":   body[:len(body)/2],
		"emptied":             nil,
		"longer by a space":   append(slices.Clone(body), ' '),
		"longer by a newline": append(slices.Clone(body), '\n'),
		"longer by a NUL":     append(slices.Clone(body), 0),
		"behind a BOM":        append([]byte("\xef\xbb\xbf"), body...),
		"twice":               append(slices.Clone(body), body...),
		"flipped at first":    flipped(0, 1),
		"flipped at last":     flipped(len(body)-1, 1),
	}
	seen := [256]bool{} // one byte of each value, so that every kind of byte is flipped somewhere
	for i, b := range body {
		if !seen[b] {
			seen[b] = true
			changes["flipped at "+string(rune('0'+b%10))+" of byte value "+string(rune(b))] = flipped(i, 1<<(b%8))
		}
	}
	return changes
}

func (s *suite) proof(t *testing.T) {
	f := s.Fixtures[0]
	good := s.signed(t, f)
	value := good.Header.Get(s.Proof)
	if value == "" {
		t.Fatalf("Sign made no %s", s.Proof)
	}
	bare := without(good.Header, s.Proof)
	for _, test := range []struct {
		name   string
		header source.Header
		reason source.RefusalReason
	}{
		{"unsigned", f.Header, source.ReasonMissing},
		{"missing", bare, source.ReasonMissing},
		{"empty", bare.With(s.Proof, ""), source.ReasonMissing},
		{"repeated", good.Header.With(s.Proof, value), source.ReasonRepeated},
		{"repeated in another letter case", good.Header.With(strings.ToUpper(s.Proof), value), source.ReasonRepeated},
		{"repeated after an empty one", append(source.Header{{Name: s.Proof}}, good.Header...), source.ReasonRepeated},
	} {
		t.Run(test.name, func(t *testing.T) {
			req := Request(test.header, f.Body)
			s.refused(t, req, s.source.Verify(req, Now()), test.reason)
		})
	}
	for _, malformed := range s.Malformed {
		t.Run("malformed "+malformed, func(t *testing.T) {
			req := Request(bare.With(s.Proof, malformed), f.Body)
			s.refused(t, req, s.source.Verify(req, Now()), source.ReasonMalformed)
		})
	}
	for i := range value { // one character of the proof changed: malformed or a mismatch, never accepted
		changed := []byte(value)
		changed[i] ^= 1
		req := Request(bare.With(s.Proof, string(changed)), f.Body)
		if err := s.source.Verify(req, Now()); err != nil {
			s.refused(t, req, err, source.ReasonMalformed, source.ReasonMismatch, source.ReasonStale)
		} else {
			t.Errorf("accepted with character %d of %s changed", i, s.Proof)
		}
	}
}

func without(header source.Header, name string) source.Header {
	return slices.DeleteFunc(slices.Clone(header), func(f source.Field) bool { return strings.EqualFold(f.Name, name) })
}

func (s *suite) secrets(t *testing.T) {
	f := s.Fixtures[0]
	first, second, stranger := secret(s.Secrets[0]), secret(s.Secrets[1]), secret(s.Secrets[2])
	until := func(v source.Secret, end time.Time) source.Secret { v.NotAfter = end; return v }
	from := func(v source.Secret, start time.Time) source.Secret { v.NotBefore = start; return v }
	for _, test := range []struct {
		name       string
		signer     source.Secret
		configured []source.Secret
		accepted   bool
	}{
		{"first", first, []source.Secret{first, second}, true},
		{"second of a rotation", second, []source.Secret{first, second}, true},
		{"stranger", stranger, []source.Secret{first, second}, false},
		{"expired", first, []source.Secret{until(first, Now()), second}, false},
		{"about to expire", first, []source.Secret{until(first, Now().Add(1)), second}, true},
		{"not yet", second, []source.Secret{first, from(second, Now().Add(1))}, false},
		{"from now on", second, []source.Secret{first, from(second, Now())}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			req := Sign(t, s.Build(t, test.signer), f.Header, f.Body, Now())
			err := s.Build(t, test.configured...).Verify(req, Now())
			if test.accepted && err != nil {
				t.Fatalf("Verify: %v", err)
			}
			if !test.accepted {
				s.refused(t, req, err, source.ReasonMismatch)
			}
		})
	}
}

func (s *suite) time(t *testing.T) {
	if !s.SignsTime {
		t.Skip("the sender signs no time stamp")
	}
	f := s.Fixtures[0]
	narrow := s.Options
	narrow.Config.Tolerance = 10 * time.Second
	for _, test := range []struct {
		name   string
		source source.Source
		bound  time.Duration
	}{
		{"default", s.source, source.DefaultTolerance},
		{"configured", narrow.Build(t, secret(s.Secrets[0])), narrow.Config.Tolerance},
	} {
		for _, age := range []time.Duration{0, test.bound, -test.bound} {
			req := Sign(t, test.source, f.Header, f.Body, Now().Add(-age))
			if err := test.source.Verify(req, Now()); err != nil {
				t.Errorf("%s: refused at age %s: %v", test.name, age, err)
			}
		}
		for _, age := range []time.Duration{test.bound + time.Second, -test.bound - time.Second, 24 * time.Hour} {
			req := Sign(t, test.source, f.Header, f.Body, Now().Add(-age))
			s.refused(t, req, test.source.Verify(req, Now()), source.ReasonStale)
		}
	}
}

// order checks that nothing is parsed before it is verified: the same garbage is refused when it is not signed and
// malformed when it is.
func (s *suite) order(t *testing.T) {
	f := s.Fixtures[0]
	deep := []byte(strings.Repeat(`{"a":[`, 100_000))
	for name, garbage := range map[string][]byte{
		"no JSON": []byte("{]"), "empty": {}, "two values": []byte("{}{}"), "cut": []byte(`{"a":`), "deep": deep,
		"deep and closed": []byte(`{"a":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + "}"),
	} {
		t.Run(name, func(t *testing.T) {
			unsigned := Request(f.Header, garbage)
			s.refused(t, unsigned, s.source.Verify(unsigned, Now()), source.ReasonMissing)
			req := Sign(t, s.source, f.Header, garbage, Now())
			if err := s.source.Verify(req, Now()); err != nil {
				t.Fatalf("Verify: %v", err)
			}
			_, err := s.source.Parse(req)
			s.malformed(t, err)
		})
	}
	if s.Opaque {
		return
	}
	header := without(f.Header, "Content-Type").With("Content-Type", "text/plain")
	_, err := s.source.Parse(Sign(t, s.source, header, f.Body, Now()))
	s.malformed(t, err)
}
