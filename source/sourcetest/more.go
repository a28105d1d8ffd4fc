package sourcetest

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hooktroupe/hooktroupe/source"
)

func (s *suite) configuration(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*source.Config)
		key    string
	}{
		"no secret": {func(c *source.Config) { c.Secrets = nil }, "secrets"},
		"an empty secret": {func(c *source.Config) {
			c.Secrets = []source.Secret{secret(s.Secrets[0]), {}}
		}, "secrets[1]"},
		"insecure with a secret": {func(c *source.Config) { c.Insecure = true }, "insecure"},
		"a tolerance of days":    {func(c *source.Config) { c.Tolerance = 72 * time.Hour }, "tolerance"},
	} {
		t.Run(name, func(t *testing.T) {
			c := s.Config
			c.Secrets = []source.Secret{secret(s.Secrets[0])}
			test.change(&c)
			made, err := s.New(c)
			if made != nil || err == nil {
				t.Fatalf("New = %v, %v; want an error", made, err)
			}
			if key := "sources." + c.Name + "." + test.key; !strings.Contains(err.Error(), key) {
				t.Errorf("New = %v, want %s in it", err, key)
			}
			s.quiet(t, err)
		})
	}
	if !s.SignsTime {
		c := s.Config
		c.Secrets, c.Tolerance = []source.Secret{secret(s.Secrets[0])}, time.Minute
		if _, err := s.New(c); err == nil {
			t.Error("New honours a tolerance without signed time stamps")
		}
	}
	s.insecure(t)
	s.concealed(t)
}

// insecure checks that a source which was told to accepts everything, and only then.
func (s *suite) insecure(t *testing.T) {
	o := s.Options
	o.Config.Username, o.Config.Header = "", ""
	open := o.Build(t)
	for _, f := range s.Fixtures {
		req := Request(f.Header, f.Body)
		if err := open.Verify(req, Now()); err != nil {
			t.Errorf("%s: insecure, and yet Verify: %v", f.File, err)
		}
		if d, err := open.Parse(req); err != nil || d.EventType != f.EventType {
			t.Errorf("%s: Parse = %+v, %v", f.File, d, err)
		}
	}
}

// concealed checks that the header of the proof is known to be sensitive.
func (s *suite) concealed(t *testing.T) {
	known := source.Sensitive(s.Proof)
	if c, ok := s.source.(source.Concealer); ok {
		known = known || slices.Contains(c.SensitiveHeaders(), s.Proof)
	}
	if !known {
		t.Errorf("%s is not among the sensitive headers", s.Proof)
	}
}

// concurrency has good and bad requests judged side by side: each must be judged by its own bytes.
func (s *suite) concurrency(t *testing.T) {
	const goroutines, rounds = 8, 5
	f := s.Fixtures[0]
	good := s.signed(t, f)
	bad := Sign(t, s.Build(t, secret(s.Secrets[2])), f.Header, f.Body, Now())
	var group sync.WaitGroup // each goroutine ends by itself after its rounds
	for range goroutines {
		group.Go(func() {
			for range rounds {
				if err := s.source.Verify(good, Now()); err != nil {
					t.Errorf("Verify: %v", err)
				}
				if d, err := s.source.Parse(good); err != nil || d.EventType != f.EventType {
					t.Errorf("Parse = %+v, %v", d, err)
				}
				s.refused(t, bad, s.source.Verify(bad, Now()), source.ReasonMismatch)
			}
		})
	}
	group.Wait()
}

func (s *suite) samples(t *testing.T) {
	sampler, ok := s.source.(source.Sampler)
	if !ok {
		if len(s.Samples) > 0 {
			t.Fatalf("%T is no source.Sampler", s.source)
		}
		t.Skip("the source has no samples")
	}
	for _, event := range s.Samples {
		t.Run(event, func(t *testing.T) { s.sample(t, sampler, event) })
	}
	header, body, err := sampler.Sample("", "")
	if err != nil {
		t.Fatalf("Sample: %v", err)
	}
	if d, err := s.source.Parse(Sign(t, s.source, header, body, Now())); err != nil || d.EventType != s.Samples[0] {
		t.Errorf("the usual sample is %+v, %v; want %s", d, err, s.Samples[0])
	}
	if s.Opaque {
		return // it has a sample of every event
	}
	_, _, err = sampler.Sample("no.such.event", "")
	for _, event := range s.Samples {
		if err == nil || !strings.Contains(err.Error(), event) {
			t.Errorf("Sample of an unknown event: %v, want a list with %s", err, event)
		}
	}
}

// sample checks that a sample goes the way of a delivery and carries its ID.
func (s *suite) sample(t *testing.T, sampler source.Sampler, event string) {
	ids := map[string]bool{}
	for _, id := range []string{"", "", "5a1b6d2e-0000-4000-8000-00000000c0de"} {
		header, body, err := sampler.Sample(event, id)
		if err != nil {
			t.Fatalf("Sample: %v", err)
		}
		req := Sign(t, s.source, header, body, Now())
		if err := s.source.Verify(req, Now()); err != nil {
			t.Fatalf("Verify: %v", err)
		}
		d, err := s.source.Parse(req)
		if err != nil || d.EventType != event || !strings.Contains(d.DeliveryID, id) {
			t.Fatalf("Parse = %+v, %v; want event %s and delivery ID %s", d, err, event, id)
		}
		ids[d.DeliveryID] = true
	}
	if len(ids) != 3 {
		t.Errorf("delivery IDs %v: not one for each sample", ids)
	}
}
