package sourcetest

import (
	"errors"
	"strings"
	"testing"

	"github.com/hooktroupe/hooktroupe/source"
)

// maxSeed bounds the bodies that seed a fuzz target: long ones only slow it down.
const maxSeed = 8 << 10

// FuzzVerify looks for a proof that is accepted without being the one that the sender would have made of those bytes.
func FuzzVerify(f *testing.F, o Options) {
	s := o.Build(f, secret(o.Secrets[0]))
	for _, fixture := range o.Fixtures {
		if len(fixture.Body) < maxSeed {
			f.Add(fixture.Body, Sign(f, s, fixture.Header, fixture.Body, Now()).Header.Get(o.Proof))
		}
	}
	for _, malformed := range o.Malformed {
		f.Add([]byte("{}"), malformed)
	}
	header := o.Fixtures[0].Header
	f.Fuzz(func(t *testing.T, body []byte, proof string) {
		honest := Sign(t, s, header, body, Now())
		req := Request(without(honest.Header, o.Proof).With(o.Proof, proof), body)
		err := s.Verify(req, Now())
		if refusal := new(source.Refusal); err != nil && !errors.As(err, &refusal) {
			t.Fatalf("Verify = %v: not a refusal", err)
		}
		want := honest.Header.Get(o.Proof)
		if err == nil && !strings.EqualFold(proof, want) && !strings.Contains(proof, want) {
			t.Fatalf("accepted %q, and the sender would have sent %q", proof, want)
		}
		if proof == want && err != nil {
			t.Fatalf("Verify = %v for an honest proof", err)
		}
	})
}

// FuzzParse looks for a request that makes Parse panic, or return a delivery that is not fit for the rest of the daemon.
func FuzzParse(f *testing.F, o Options) {
	s := o.Build(f, secret(o.Secrets[0]))
	for _, fixture := range o.Fixtures {
		if len(fixture.Body) < maxSeed {
			f.Add(fixture.Body, fixture.Header.Get("Content-Type"), fixture.EventType)
		}
	}
	f.Add([]byte("payload=%7B%22action%22%3A%22x%22%7D"), "application/x-www-form-urlencoded", "push")
	f.Add([]byte(`{"action":"\u0000","repository":{"full_name":[]}}`), "", "\x00")
	header := without(o.Fixtures[0].Header, "Content-Type")
	f.Fuzz(func(t *testing.T, body []byte, contentType, event string) {
		h := header.With("Content-Type", contentType)
		for i := range h {
			if strings.Contains(strings.ToLower(h[i].Name), "event") {
				h[i].Value = event
			}
		}
		d, err := s.Parse(Request(h, body))
		if err != nil {
			if malformed := new(source.Malformed); !errors.As(err, &malformed) {
				t.Fatalf("Parse = %v: not malformed", err)
			}
			return
		}
		checked, err := d.Checked()
		if err != nil || checked.Key != d.Key || d.DeliveryID == "" {
			t.Fatalf("Parse = %+v: %v", d, err)
		}
	})
}
