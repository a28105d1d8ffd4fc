package stripe_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/hooktroupe/hooktroupe/source"
	"github.com/hooktroupe/hooktroupe/source/sourcetest"
	"github.com/hooktroupe/hooktroupe/source/stripe"
)

func options(t testing.TB) sourcetest.Options {
	return sourcetest.Options{
		New:       stripe.New,
		Config:    source.Config{Name: "pay", Type: "stripe"},
		Secrets:   [3]string{"whsec_first", "whsec_second", "whsec_stranger"},
		Fixtures:  sourcetest.Fixtures(t, "stripe"),
		Proof:     "Stripe-Signature",
		SignsBody: true,
		SignsTime: true,
		Malformed: []string{
			"t=1", "v1=" + strings.Repeat("a", 64), "t=1,v1=", "t=,v1=" + strings.Repeat("a", 64), "t=1,v0=" + strings.Repeat("a", 64),
			"t=1,t=1,v1=" + strings.Repeat("a", 64), "t=x,v1=" + strings.Repeat("a", 64), "t=-1,v1=" + strings.Repeat("a", 64), "a",
		},
		Samples: []string{"customer.created", "checkout.session.completed"},
	}
}

func TestSource(t *testing.T) { sourcetest.Run(t, options(t)) }

func FuzzVerify(f *testing.F) { sourcetest.FuzzVerify(f, options(f)) }

func FuzzParse(f *testing.F) { sourcetest.FuzzParse(f, options(f)) }

// sum is the signature by the sender's description, made by other code than the source's: the key is the secret as text.
func sum(secret string, at int64, body string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(fmt.Appendf(nil, "%d.%s", at, body))
	return hex.EncodeToString(mac.Sum(nil))
}

func TestSignatureLists(t *testing.T) {
	const body = `{"type":"charge.succeeded"}`
	now := sourcetest.Now()
	good, other := sum("whsec_first", now.Unix(), body), sum("whsec_stranger", now.Unix(), body)
	s := options(t).Build(t, source.Secret{Value: []byte("whsec_first")})
	for value, want := range map[string]source.RefusalReason{
		"t=%d,v1=" + good:                                         "",
		"v1=" + good + ",t=%d":                                    "",
		"t=%d,v1=" + other + ",v1=" + good:                        "",
		"t=%d, v1=" + good + ", v0=" + other:                      "",
		"t=%d,v9=x,,v1=x,v1=" + good:                              "",
		"t=%d,v1=" + other:                                        source.ReasonMismatch,
		"t=%d,v0=" + good:                                         source.ReasonMalformed,
		"t=%d" + strings.Repeat(",v1="+other, 99) + ",v1=" + good: source.ReasonMismatch, // nobody sends so many
	} {
		header := source.Header{{Name: "stripe-signature", Value: fmt.Sprintf(value, now.Unix())}}
		err := s.Verify(sourcetest.Request(header, []byte(body)), now)
		refusal := new(source.Refusal)
		if want == "" && err != nil || want != "" && (!errors.As(err, &refusal) || refusal.Reason != want) {
			t.Errorf("%.60s: Verify = %v, want %q", value, err, want)
		}
	}
}

func TestKeys(t *testing.T) {
	s := options(t).Build(t, source.Secret{Value: []byte("s")})
	for body, want := range map[string]string{
		`{"type":"e","id":"evt_1","data":{"object":{"id":"ch_1"}}}`:                    "ch_1",
		`{"type":"e","id":"evt_1","account":"acct_1","data":{"object":{"id":"ch_1"}}}`: "acct_1#ch_1",
		`{"type":"e","id":"evt_1","account":"acct_1"}`:                                 "acct_1",
		`{"type":"e","id":"evt_1","related_object":{"id":"mtr_1"}}`:                    "mtr_1",
		`{"type":"e","id":"evt_1"}`:                                                    "",
	} {
		d, err := s.Parse(sourcetest.Request(nil, []byte(body)))
		if err != nil || d.Key != want || d.DeliveryID != "evt_1" {
			t.Errorf("Parse(%s) = %+v, %v; want the key %q", body, d, err, want)
		}
	}
	if _, err := s.Parse(sourcetest.Request(nil, []byte(`{"id":"evt_1"}`))); !errors.As(err, new(*source.Malformed)) {
		t.Errorf("Parse without a type = %v", err)
	}
}
