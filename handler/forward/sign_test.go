package forward_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hooktroupe/hooktroupe/handler/forward"
	"github.com/hooktroupe/hooktroupe/handler/handlertest"
	"github.com/hooktroupe/hooktroupe/internal/clock"
)

// The published example of the Standard Webhooks libraries.
const (
	vectorSecret    = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	vectorID        = "msg_p5jXN8AQM9LWM0D4loKWxJek"
	vectorTime      = 1614265330
	vectorBody      = `{"test": 2432232314}`
	vectorSignature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
)

func signingKey(t *testing.T, text string) forward.SigningKey {
	t.Helper()
	key, err := forward.ParseSigningKey(text)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestSignatureIsThePublishedOne(t *testing.T) {
	task := handlertest.NewTask(handlertest.WithBody([]byte(vectorBody)),
		handlertest.WithHeader("webhook-id", "the sender's"), handlertest.WithHeader("webhook-signature", "the sender's"))
	task.ID = vectorID
	got := sent(t, forward.Config{SigningKeys: []forward.SigningKey{signingKey(t, vectorSecret)}}, task,
		forward.WithClock(clock.NewFake(time.Unix(vectorTime, 0))))
	for name, want := range map[string]string{
		forward.HeaderWebhookID:        vectorID,
		forward.HeaderWebhookTimestamp: fmt.Sprint(vectorTime),
		forward.HeaderWebhookSignature: vectorSignature,
	} {
		if values := got.Values(name); len(values) != 1 || values[0] != want {
			t.Errorf("%s: %q, want %q alone", name, values, want)
		}
	}
}

func TestEveryKeySigns(t *testing.T) {
	raw := [][]byte{[]byte(strings.Repeat("a", 24)), []byte(strings.Repeat("b", 64))}
	var keys []forward.SigningKey
	for _, key := range raw {
		keys = append(keys, signingKey(t, base64.StdEncoding.EncodeToString(key)))
	}
	task := handlertest.NewTask()
	got := sent(t, forward.Config{SigningKeys: keys}, task, forward.WithClock(clock.NewFake(time.Unix(vectorTime, 0))))
	signatures := strings.Split(got.Get(forward.HeaderWebhookSignature), " ")
	if len(signatures) != len(raw) {
		t.Fatalf("%d signatures, want %d", len(signatures), len(raw))
	}
	for i, key := range raw {
		mac := hmac.New(sha256.New, key)
		mac.Write(fmt.Appendf(nil, "%s.%d.%s", task.ID, vectorTime, task.Body))
		if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); signatures[i] != want {
			t.Errorf("signature %d: %q, want %q", i, signatures[i], want)
		}
	}
}

func TestUnsignedKeepsTheSendersSignature(t *testing.T) {
	got := sent(t, forward.Config{}, handlertest.NewTask(handlertest.WithHeader("webhook-signature", vectorSignature)))
	if got.Get(forward.HeaderWebhookSignature) != vectorSignature {
		t.Errorf("%q, want what the sender sent", got.Get(forward.HeaderWebhookSignature))
	}
}

func TestSigningKeyIsJudged(t *testing.T) {
	for name, text := range map[string]string{
		"empty":     "",
		"no base64": "whsec_hunter2!",
		"unpadded":  strings.TrimRight(base64.StdEncoding.EncodeToString(make([]byte, 25)), "="),
		"too short": base64.StdEncoding.EncodeToString(make([]byte, 23)),
		"too long":  base64.StdEncoding.EncodeToString(make([]byte, 65)),
		"public":    "whpk_" + base64.StdEncoding.EncodeToString(make([]byte, 32)),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := forward.ParseSigningKey(text)
			if err == nil {
				t.Fatal("accepted")
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error shows the key: %v", err)
			}
		})
	}
}

func TestSigningKeyPrintsAsStars(t *testing.T) {
	key := signingKey(t, vectorSecret)
	text, err := key.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	for _, printed := range []string{fmt.Sprint(key), fmt.Sprintf("%#v", key), fmt.Sprintf("%+v", []forward.SigningKey{key}), string(text)} {
		if strings.Trim(printed, "[]") != "***" {
			t.Errorf("prints as %q", printed)
		}
	}
}

func FuzzParseSigningKey(f *testing.F) {
	f.Add(vectorSecret)
	f.Add("whsec_")
	f.Add("====")
	f.Fuzz(func(t *testing.T, text string) {
		key, err := forward.ParseSigningKey(text)
		if err != nil {
			return
		}
		sink := forward.Config{URL: "http://127.0.0.1/", SigningKeys: []forward.SigningKey{key}}
		if _, err = forward.New(sink); err != nil {
			t.Errorf("a key that parses is refused: %v", err)
		}
		if text != "" && strings.Contains(fmt.Sprintf("%v %+v %#v", key, key, key), text) {
			t.Error("the key prints")
		}
	})
}
