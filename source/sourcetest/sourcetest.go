// Package sourcetest is the one suite that every source passes: what it must accept, what it must refuse and for which
// reason, and what it must never say. It is driven by real deliveries, signed by the source itself; that the source
// signs as its sender does is for the vectors in the tests of its own package to show.
package sourcetest

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hooktroupe/hooktroupe/source"
)

// Options describe the source under test.
type Options struct {
	// New is its constructor.
	New source.Constructor
	// Config is good but for the secrets, which the suite sets.
	Config source.Config
	// Secrets are good secrets, different from each other; the last is never configured.
	Secrets [3]string
	// Fixtures are good deliveries, unsigned.
	Fixtures []Fixture
	// Proof is the header that proves a request.
	Proof string
	// Malformed are values of Proof that are not in the sender's form.
	Malformed []string
	// SignsBody says that the proof covers the body.
	SignsBody bool
	// SignsTime says that the proof covers a time stamp, which is checked.
	SignsTime bool
	// Opaque says that a body need not be JSON.
	Opaque bool
	// Samples are the event types that the source must have samples of, the usual one first.
	Samples []string
}

// Now is the time at which the suite verifies.
func Now() time.Time { return time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC) }

// suite is a source under test with its options.
type suite struct {
	Options
	source source.Source
}

// Run holds the source to the contract of source.Source, and of the optional interfaces that it satisfies.
func Run(t *testing.T, o Options) {
	s := &suite{o, o.Build(t, secret(o.Secrets[0]), secret(o.Secrets[1]))}
	for _, test := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"deliveries", s.deliveries},
		{"letter case", s.letterCase},
		{"tampering", s.tampering},
		{"proof", s.proof},
		{"secrets", s.secrets},
		{"time", s.time},
		{"order", s.order},
		{"configuration", s.configuration},
		{"concurrency", s.concurrency},
		{"samples", s.samples},
	} {
		t.Run(test.name, test.run)
	}
}

// Build makes the source with those secrets; with none it is insecure.
func (o Options) Build(t testing.TB, secrets ...source.Secret) source.Source {
	t.Helper()
	c := o.Config
	c.Secrets, c.Insecure = secrets, len(secrets) == 0
	built, err := o.New(c)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return built
}

// Request returns an unsigned request to the source.
func Request(header source.Header, body []byte) *source.Request {
	return &source.Request{Method: "POST", Path: "/webhooks/test", Header: header, Body: body, ReceivedAt: Now()}
}

// Sign returns the request as the source's sender would send it at that time.
func Sign(t testing.TB, s source.Source, header source.Header, body []byte, at time.Time) *source.Request {
	t.Helper()
	signer, ok := s.(source.Signer)
	if !ok {
		t.Fatalf("%T is no source.Signer", s)
	}
	signed, err := signer.Sign(header, body, at)
	if err != nil {
		t.Fatalf("Sign: %v", err)
	}
	return Request(signed, body)
}

func secret(value string) source.Secret { return source.Secret{Value: []byte(value)} }

// signed is a fixture as its sender would send it now.
func (s *suite) signed(t testing.TB, f Fixture) *source.Request {
	return Sign(t, s.source, f.Header, f.Body, Now())
}

func (s *suite) deliveries(t *testing.T) {
	for _, f := range s.Fixtures {
		t.Run(f.File, func(t *testing.T) {
			req := s.signed(t, f)
			if err := s.source.Verify(req, Now()); err != nil {
				t.Fatalf("Verify: %v", err)
			}
			d, err := s.source.Parse(req)
			if err != nil {
				t.Fatalf("Parse: %v", err)
			}
			f.check(t, d)
			if !bytes.Equal(req.Body, f.Body) {
				t.Error("the body is not what it was")
			}
		})
	}
}

// check compares a delivery with what is known of the fixture.
func (f Fixture) check(t *testing.T, d source.Delivery) {
	t.Helper()
	if d.EventType != f.EventType {
		t.Errorf("event type %q, want %q", d.EventType, f.EventType)
	}
	if f.DeliveryID != "" && d.DeliveryID != f.DeliveryID {
		t.Errorf("delivery ID %q, want %q", d.DeliveryID, f.DeliveryID)
	}
	if f.DeliveryID == "" && !strings.HasPrefix(d.DeliveryID, "sha256:") {
		t.Errorf("delivery ID %q, want a digest", d.DeliveryID)
	}
	want, got := f.Key, d.Key
	if want == "" {
		want = f.Repository + f.Thing
		if f.Repository != "" && f.Thing != "" && len(got) > len(f.Repository) {
			got = got[:len(f.Repository)] + got[len(f.Repository)+1:] // without the mark
		}
	}
	if got != want {
		t.Errorf("key %q, want it made of %q", d.Key, want)
	}
}

func (s *suite) letterCase(t *testing.T) {
	f := s.Fixtures[0]
	for name, change := range map[string]func(string) string{"upper": strings.ToUpper, "lower": strings.ToLower} {
		req := s.signed(t, f)
		for i := range req.Header {
			req.Header[i].Name = change(req.Header[i].Name)
		}
		if err := s.source.Verify(req, Now()); err != nil {
			t.Errorf("%s case: Verify: %v", name, err)
			continue
		}
		d, err := s.source.Parse(req)
		if err != nil {
			t.Errorf("%s case: Parse: %v", name, err)
			continue
		}
		f.check(t, d)
	}
}

// refused fails unless err is a refusal for one of the reasons that says nothing of the secrets or the proof.
func (s *suite) refused(t testing.TB, req *source.Request, err error, reasons ...source.RefusalReason) {
	t.Helper()
	refusal := new(source.Refusal)
	if !errors.As(err, &refusal) {
		t.Errorf("Verify = %v, want a refusal: %v", err, reasons)
		return
	}
	known := false
	for _, reason := range reasons {
		known = known || refusal.Reason == reason
	}
	if !known {
		t.Errorf("refused as %v, want %v", err, reasons)
	}
	s.quiet(t, err)
	if proof := req.Header.Get(s.Proof); len(proof) > 12 && strings.Contains(err.Error(), proof) {
		t.Errorf("the refusal shows the proof: %v", err)
	}
}

// malformed fails unless err says that the body or the headers are not what they claim to be.
func (s *suite) malformed(t testing.TB, err error) {
	t.Helper()
	if malformed := new(source.Malformed); !errors.As(err, &malformed) {
		t.Errorf("Parse = %v, want *source.Malformed", err)
		return
	}
	s.quiet(t, err)
}

// quiet fails when an error shows a secret.
func (s *suite) quiet(t testing.TB, err error) {
	t.Helper()
	for _, value := range s.Secrets {
		if err != nil && strings.Contains(err.Error(), value) {
			t.Errorf("the error shows a secret: %v", err)
		}
	}
}
