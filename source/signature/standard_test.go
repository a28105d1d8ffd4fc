package signature_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hooktroupe/hooktroupe/source"
	"github.com/hooktroupe/hooktroupe/source/signature"
)

// The vector of the Standard Webhooks libraries.
const (
	vectorSecret    = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	vectorID        = "msg_p5jXN8AQM9LWM0D4loKWxJek"
	vectorTime      = 1614265330
	vectorBody      = `{"test": 2432232314}`
	vectorSignature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
)

func standard(t *testing.T, values ...string) *signature.Standard {
	t.Helper()
	s, err := signature.NewStandard(source.Config{Name: "n", Secrets: secrets(values...)},
		signature.SvixFamily(), signature.WebhookFamily())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func vectorHeader(f signature.Family, signatures string) source.Header {
	return source.Header{
		{Name: f.ID, Value: vectorID}, {Name: f.Timestamp, Value: strconv.Itoa(vectorTime)},
		{Name: f.Signature, Value: signatures},
	}
}

func TestStandardVector(t *testing.T) {
	at := time.Unix(vectorTime, 0)
	for _, secret := range []string{vectorSecret, strings.TrimPrefix(vectorSecret, "whsec_")} {
		s := standard(t, secret)
		for _, f := range []signature.Family{signature.SvixFamily(), signature.WebhookFamily()} {
			if err := s.Verify(request(vectorHeader(f, vectorSignature), vectorBody), at); err != nil {
				t.Errorf("Verify: %v", err)
			}
			signed, err := s.Sign(source.Header{{Name: f.ID, Value: vectorID}}, []byte(vectorBody), at)
			if err != nil || signed.Get(f.Signature) != vectorSignature || signed.Get(f.Timestamp) != strconv.Itoa(vectorTime) {
				t.Errorf("Sign = %v, %v", signed, err)
			}
		}
	}
}

func TestStandardLists(t *testing.T) {
	at, f := time.Unix(vectorTime, 0), signature.WebhookFamily()
	other := "v1," + base64.StdEncoding.EncodeToString(make([]byte, 32))
	for list, want := range map[string]source.RefusalReason{
		other + " " + vectorSignature:    "",
		vectorSignature + " " + other:    "",
		"v2,x v1a,x  " + vectorSignature: "",
		other:                            source.ReasonMismatch,
		"v1a," + base64.StdEncoding.EncodeToString(make([]byte, 64)): source.ReasonMismatch,
		"v2," + vectorSignature[3:]:                                  source.ReasonMalformed,
		strings.ReplaceAll(vectorSignature, ",", "="):                source.ReasonMalformed,
		other + "," + vectorSignature:                                source.ReasonMalformed,
		strings.Repeat(other+" ", 100) + vectorSignature:             source.ReasonMismatch, // nobody sends so many
	} {
		err := standard(t, vectorSecret).Verify(request(vectorHeader(f, list), vectorBody), at)
		if want == "" && err != nil {
			t.Errorf("%.40s: %v", list, err)
		}
		if want != "" {
			wantReason(t, err, want)
		}
	}
}

// A request belongs to one family: headers of the other neither complete nor rescue it.
func TestStandardFamiliesDoNotMix(t *testing.T) {
	at := time.Unix(vectorTime, 0)
	svix, webhook := vectorHeader(signature.SvixFamily(), vectorSignature), vectorHeader(signature.WebhookFamily(), vectorSignature)
	s := standard(t, vectorSecret)
	for i := range svix {
		mixed := append(source.Header(nil), webhook...)
		mixed[i] = svix[i]
		wantReason(t, s.Verify(request(mixed, vectorBody), at), source.ReasonMissing)
		wantReason(t, s.Verify(request(append(source.Header{svix[i]}, webhook...), vectorBody), at), source.ReasonMissing)
	}
	if err := s.Verify(request(append(webhook, svix...), vectorBody), at); err != nil {
		t.Errorf("both families, both complete: %v", err)
	}
}

func TestStandardSignedTextIsUnambiguous(t *testing.T) {
	at, f := time.Unix(vectorTime, 0), signature.WebhookFamily()
	header := source.Header{{Name: f.ID, Value: "a.b"}}
	signed, err := standard(t, vectorSecret).Sign(header, []byte("{}"), at)
	if err != nil {
		t.Fatal(err)
	}
	wantReason(t, standard(t, vectorSecret).Verify(request(signed, "{}"), at), source.ReasonMalformed)
}

func TestStandardAsymmetric(t *testing.T) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	at, f := time.Unix(vectorTime, 0), signature.WebhookFamily()
	secret := "whpk_" + base64.StdEncoding.EncodeToString(public)
	sum := ed25519.Sign(private, []byte(vectorID+"."+strconv.Itoa(vectorTime)+"."+vectorBody))
	entry := "v1a," + base64.StdEncoding.EncodeToString(sum)

	if err := standard(t, secret).Verify(request(vectorHeader(f, entry), vectorBody), at); err != nil {
		t.Errorf("Verify: %v", err)
	}
	if err := standard(t, vectorSecret, secret).Verify(request(vectorHeader(f, entry), vectorBody), at); err != nil {
		t.Errorf("Verify beside a symmetric secret: %v", err)
	}
	wantReason(t, standard(t, secret).Verify(request(vectorHeader(f, entry), vectorBody+" "), at), source.ReasonMismatch)
	wantReason(t, standard(t, secret).Verify(request(vectorHeader(f, vectorSignature), vectorBody), at), source.ReasonMismatch)
	wantReason(t, standard(t, vectorSecret).Verify(request(vectorHeader(f, entry), vectorBody), at), source.ReasonMismatch)

	expired := source.Config{Name: "n", Secrets: []source.Secret{{Value: []byte(secret), NotAfter: at}}}
	s, err := signature.NewStandard(expired, f)
	if err != nil {
		t.Fatal(err)
	}
	wantReason(t, s.Verify(request(vectorHeader(f, entry), vectorBody), at), source.ReasonMismatch)
	if _, err := s.Sign(vectorHeader(f, "")[:1], nil, at); err == nil {
		t.Error("Sign with a public key alone")
	}
	for _, key := range [][]byte{private, private.Seed()} {
		secret := "whsk_" + base64.StdEncoding.EncodeToString(key)
		signed, err := standard(t, secret).Sign(vectorHeader(f, "")[:1], []byte(vectorBody), at)
		if err != nil || signed.Get(f.Signature) != entry {
			t.Errorf("Sign with a private key of %d bytes = %v, %v; want %s", len(key), signed, err, entry)
		}
		if err := standard(t, secret).Verify(request(vectorHeader(f, entry), vectorBody), at); err != nil {
			t.Errorf("Verify with a private key: %v", err)
		}
	}
	both, err := standard(t, secret, vectorSecret, "whsk_"+base64.StdEncoding.EncodeToString(private)).
		Sign(vectorHeader(f, "")[:1], []byte(vectorBody), at)
	if err != nil || both.Get(f.Signature) != vectorSignature+" "+entry {
		t.Errorf("Sign with keys of both kinds = %v, %v", both, err)
	}
}

// A header full of signatures costs no more than the few that are looked at: what comes after them is not.
func TestStandardAsymmetricListsAreBounded(t *testing.T) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	at, f := time.Unix(vectorTime, 0), signature.WebhookFamily()
	s := standard(t, "whpk_"+base64.StdEncoding.EncodeToString(public))
	good := "v1a," + base64.StdEncoding.EncodeToString(
		ed25519.Sign(private, []byte(vectorID+"."+strconv.Itoa(vectorTime)+"."+vectorBody)))
	other := "v1a," + base64.StdEncoding.EncodeToString(make([]byte, 64)) + " "
	if err := s.Verify(request(vectorHeader(f, strings.Repeat(other, 3)+good), vectorBody), at); err != nil {
		t.Errorf("the fourth: %v", err)
	}
	wantReason(t, s.Verify(request(vectorHeader(f, strings.Repeat(other, 4)+good), vectorBody), at), source.ReasonMismatch)
}

func TestStandardSecrets(t *testing.T) {
	long := strings.Repeat("A", 88)
	for _, bad := range []string{
		"whsec_", "whsec_AAAA", "whsec_" + base64Of(strings.Repeat("k", 65)), vectorSecret + "=", vectorSecret + "\n",
		"whsec_" + base64Of(strings.Repeat("k", 32))[:43], "whpk_" + base64Of(strings.Repeat("k", 31)), "plain text", long[:87],
		"whsk_", "whsk_" + base64Of(strings.Repeat("k", 31)), "whsk_" + base64Of(strings.Repeat("k", 33)),
		"whsk_" + base64Of(strings.Repeat("k", 64)),
	} {
		_, err := signature.NewStandard(source.Config{Name: "n", Secrets: secrets(vectorSecret, bad)}, signature.WebhookFamily())
		if err == nil || !strings.Contains(err.Error(), "sources.n.secrets[1]: ") || strings.Contains(err.Error(), bad) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, err := (standard(t, vectorSecret)).Sign(nil, nil, noon); err == nil {
		t.Error("Sign without an ID")
	}
}

func FuzzStandardHeader(f *testing.F) {
	f.Add(vectorID, strconv.Itoa(vectorTime), vectorSignature)
	f.Add("a.b", "-1", "v1, v1a, ,")
	s, err := signature.NewStandard(source.Config{Name: "n", Secrets: secrets(vectorSecret)}, signature.WebhookFamily())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, id, stamp, list string) {
		w := signature.WebhookFamily()
		header := source.Header{{Name: w.ID, Value: id}, {Name: w.Timestamp, Value: stamp}, {Name: w.Signature, Value: list}}
		err := s.Verify(request(header, vectorBody), time.Unix(vectorTime, 0))
		if err == nil && (id != vectorID || stamp != strconv.Itoa(vectorTime) || !strings.Contains(list, vectorSignature)) {
			t.Fatalf("accepted %q, %q, %q", id, stamp, list)
		}
	})
}
