package standardwebhooks_test

import (
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/hooktroupe/hooktroupe/source"
	"github.com/hooktroupe/hooktroupe/source/sourcetest"
	"github.com/hooktroupe/hooktroupe/source/standardwebhooks"
)

const vectorSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

func options(t testing.TB) sourcetest.Options {
	fixtures := sourcetest.Fixtures(t, "standard_webhooks")
	for i := range fixtures {
		if fixtures[i].EventType == "test" { // its body names no type
			fixtures[i].EventType = "event"
		}
	}
	return sourcetest.Options{
		New:    standardwebhooks.New,
		Config: source.Config{Name: "std", Type: "standard_webhooks"},
		Secrets: [3]string{vectorSecret, "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
			"whsec_Hx4dHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA="},
		Fixtures:  fixtures,
		Proof:     "webhook-signature",
		SignsBody: true,
		SignsTime: true,
		Malformed: []string{"v1", "v1,", "v2,AAAA", "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", " "},
		Samples:   []string{"contact.created"},
	}
}

// svix is the same sender with the older names.
func svix(t testing.TB) sourcetest.Options {
	o := options(t)
	o.Proof = "svix-signature"
	o.Samples = []string{"contact.created"}
	for i := range o.Fixtures {
		f := &o.Fixtures[i]
		f.Header = source.Header{{Name: "Content-Type", Value: "application/json"}, {Name: "svix-id", Value: f.DeliveryID}}
	}
	return o
}

func TestSource(t *testing.T) {
	t.Run("webhook", func(t *testing.T) { sourcetest.Run(t, options(t)) })
	t.Run("svix", func(t *testing.T) { sourcetest.Run(t, svix(t)) })
}

func FuzzVerify(f *testing.F) { sourcetest.FuzzVerify(f, options(f)) }

func FuzzParse(f *testing.F) { sourcetest.FuzzParse(f, svix(f)) }

// The vector of the official libraries, whose body is a fixture.
func TestVector(t *testing.T) {
	const at = 1614265330
	s := options(t).Build(t, source.Secret{Value: []byte(vectorSecret)})
	for _, f := range sourcetest.Fixtures(t, "standard_webhooks") {
		header := source.Header{
			{Name: "Webhook-Id", Value: "msg_p5jXN8AQM9LWM0D4loKWxJek"}, {Name: "Webhook-Timestamp", Value: strconv.Itoa(at)},
			{Name: "Webhook-Signature", Value: "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="},
		}
		err := s.Verify(sourcetest.Request(header, f.Body), time.Unix(at, 0))
		if (f.File == "standard_webhooks/sign-vector.json") != (err == nil) {
			t.Errorf("%s: Verify = %v", f.File, err)
		}
	}
}

// The ID that was signed is the one that counts, whatever the other family says.
func TestSignedDeliveryID(t *testing.T) {
	s := options(t).Build(t, source.Secret{Value: []byte(vectorSecret)})
	header := source.Header{{Name: "webhook-id", Value: "other"}, {Name: "svix-id", Value: "signed"}}
	req := sourcetest.Sign(t, s, header, []byte("{}"), sourcetest.Now())
	if err := s.Verify(req, sourcetest.Now()); err != nil {
		t.Fatalf("Verify: %v", err)
	}
	d, err := s.Parse(req)
	if err != nil || d.DeliveryID != "signed" {
		t.Errorf("Parse = %+v, %v; want the signed ID", d, err)
	}
	twice := req.Header.With("svix-id", "again")
	if _, err = s.Parse(sourcetest.Request(twice, []byte("{}"))); !errors.As(err, new(*source.Malformed)) {
		t.Errorf("Parse with two IDs = %v", err)
	}
}
