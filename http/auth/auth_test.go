package auth_test

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/hooktroupe/hooktroupe/http/auth"
	"github.com/hooktroupe/hooktroupe/internal/clock"
)

func TestScopesHaveWords(t *testing.T) {
	for s := auth.Read; s <= auth.Admin; s++ {
		if got, err := auth.ParseScope(s.String()); got != s || err != nil {
			t.Errorf("%v is read back as %v, %v", s, got, err)
		}
	}
	for _, word := range []string{"", "none", "Admin", "root"} {
		if got, err := auth.ParseScope(word); err == nil || got != auth.None {
			t.Errorf("%q is scope %v", word, got)
		}
	}
}

func TestNobodyHasNoScope(t *testing.T) {
	var ctx fasthttp.RequestCtx
	if p := auth.Of(&ctx); p != (auth.Principal{}) || p.Scope != auth.None {
		t.Errorf("nobody is %+v", p)
	}
	who := auth.Principal{Name: "ci", Scope: auth.Operate}
	auth.Identify(&ctx, who)
	if p := auth.Of(&ctx); p != who {
		t.Errorf("%+v became %+v", who, p)
	}
}

func TestATokenOpensWithItsHash(t *testing.T) {
	token, err := auth.NewToken(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other, err := auth.NewToken(rand.Reader)
	if err != nil || other == token || len(token) < 40 {
		t.Fatalf("%q and %q, %v", token, other, err)
	}
	var ring auth.Keyring
	for name, scope := range map[string]string{token: "read", "plain": "admin"} {
		key, err := auth.ParseKey("of "+name, auth.Hash(name), scope)
		if err != nil {
			t.Fatal(err)
		}
		ring = append(ring, key)
	}
	if p, ok := ring.Find([]byte(token)); !ok || p.Scope != auth.Read || p.Name != "of "+token {
		t.Errorf("found %+v, %v", p, ok)
	}
	for _, wrong := range []string{"", other, token[:len(token)-1], token + "x", auth.Hash(token)} {
		if p, ok := ring.Find([]byte(wrong)); ok {
			t.Errorf("%q opens as %+v", wrong, p)
		}
	}
	if _, err := auth.NewToken(bytes.NewReader(make([]byte, 31))); err == nil {
		t.Error("a token without enough randomness")
	}
}

func TestKeysThatAreNone(t *testing.T) {
	good := auth.Hash("x")
	for _, c := range []struct{ hash, scope string }{
		{"", "read"}, {"plain-token", "read"}, {good[7:], "read"}, {good[:70], "read"}, {"sha512:" + good[7:], "read"},
		{good, ""}, {good, "root"},
	} {
		_, err := auth.ParseKey("ci", c.hash, c.scope)
		if err == nil {
			t.Errorf("%+v is a key", c)
		} else if c.hash != "" && strings.Contains(err.Error(), c.hash) {
			t.Errorf("the error repeats %q", c.hash)
		}
	}
}

// FuzzParseKey holds that whatever parses opens with a token of that digest alone, and that nothing panics.
func FuzzParseKey(f *testing.F) {
	f.Add(auth.Hash("a"), "read")
	f.Add("sha256:", "admin")
	f.Fuzz(func(t *testing.T, hash, scope string) {
		key, err := auth.ParseKey("fuzz", hash, scope)
		if err != nil {
			return
		}
		if fmt.Sprintf("sha256:%x", key.Digest) != strings.ToLower(hash) || key.Principal.Scope.String() != scope {
			t.Errorf("%q %q became %+v", hash, scope, key)
		}
	})
}

func peer(text string) net.Addr {
	addr, err := net.ResolveTCPAddr("tcp", text)
	if err != nil {
		panic(err)
	}
	return addr
}

func TestGuessesAreBoundedForEachClient(t *testing.T) {
	now := clock.NewFake(time.Unix(1_700_000_000, 0))
	g := auth.NewGuesses(now)
	guess := func(times int, from string) {
		for range times {
			g.Wrong(peer(from))
		}
	}
	guess(19, "192.0.2.1:1000")
	if wait := g.Wait(peer("192.0.2.1:2000")); wait != 0 {
		t.Errorf("waits %v after 19", wait)
	}
	now.Advance(20 * time.Second)
	guess(1, "192.0.2.1:3000")
	if wait := g.Wait(peer("192.0.2.1:2000")); wait != 40*time.Second {
		t.Errorf("waits %v after 20", wait)
	}
	if wait := g.Wait(peer("192.0.2.2:1000")); wait != 0 {
		t.Errorf("another client waits %v", wait)
	}
	now.Advance(40 * time.Second)
	guess(1, "192.0.2.1:3000")
	if wait := g.Wait(peer("192.0.2.1:2000")); wait != 0 {
		t.Errorf("waits %v in a new window", wait)
	}
	guess(20, "[2001:db8::1]:1000")
	if g.Wait(peer("[2001:db8::ffff]:1")) == 0 || g.Wait(peer("[2001:db8:0:1::1]:1")) != 0 {
		t.Error("one network is not one client")
	}
	guess(20, "[::ffff:198.51.100.7]:1")
	if g.Wait(peer("198.51.100.7:9")) == 0 {
		t.Error("a mapped address is another client")
	}
}

// TestGuessesOfManyClients: whoever guessed last is counted, however many there are.
func TestGuessesOfManyClients(t *testing.T) {
	now := clock.NewFake(time.Unix(1_700_000_000, 0))
	g := auth.NewGuesses(now)
	for round := range 2 {
		for i := range 10_050 {
			g.Wrong(&net.TCPAddr{IP: net.IPv4(10, byte(round), byte(i>>8), byte(i)), Port: 1})
		}
		last := &net.TCPAddr{IP: net.IPv4(192, 0, 2, byte(round)), Port: 1}
		for range 20 {
			g.Wrong(last)
		}
		if g.Wait(last) == 0 {
			t.Errorf("round %d: the last one does not wait", round)
		}
		now.Advance(2 * time.Minute) // all of them may be forgotten
	}
}
