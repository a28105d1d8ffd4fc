package source_test

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/hooktroupe/hooktroupe/source"
)

func TestCheckedRefusesNamesThatAreNotPrintableASCII(t *testing.T) {
	long := strings.Repeat("x", source.MaxNameBytes)
	for name, test := range map[string]struct {
		delivery source.Delivery
		ok       bool
	}{
		"usual":             {source.Delivery{EventType: "pull_request.opened", DeliveryID: "7"}, true},
		"with a space":      {source.Delivery{EventType: "Push Hook"}, true},
		"no ID":             {source.Delivery{EventType: "push"}, true},
		"longest names":     {source.Delivery{EventType: long, DeliveryID: long}, true},
		"no event":          {source.Delivery{DeliveryID: "7"}, false},
		"event too long":    {source.Delivery{EventType: long + "x"}, false},
		"ID too long":       {source.Delivery{EventType: "push", DeliveryID: long + "x"}, false},
		"event with a tab":  {source.Delivery{EventType: "a\tb"}, false},
		"event not ASCII":   {source.Delivery{EventType: "größe"}, false},
		"ID with a newline": {source.Delivery{EventType: "push", DeliveryID: "7\n8"}, false},
		"ID with DEL":       {source.Delivery{EventType: "push", DeliveryID: "7\x7f"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := test.delivery.Checked()
			if test.ok {
				if err != nil || got.EventType != test.delivery.EventType || got.DeliveryID != test.delivery.DeliveryID {
					t.Fatalf("Checked() = %+v, %v; want the delivery as it was", got, err)
				}
				return
			}
			if malformed := new(source.Malformed); !errors.As(err, &malformed) {
				t.Fatalf("Checked() error = %v; want *source.Malformed", err)
			}
		})
	}
}

func TestCheckedBoundsTheKey(t *testing.T) {
	got, err := source.Delivery{EventType: "push", Key: strings.Repeat("k", 1000)}.Checked()
	if err != nil || !strings.HasPrefix(got.Key, "sha256:") {
		t.Fatalf("Checked() = %q, %v; want a digest for a key", got.Key, err)
	}
}

func TestFallbackID(t *testing.T) {
	id := source.FallbackID("github", "push", []byte("{}"))
	// printf 'github\0push\0{}' | sha256sum
	if want := "sha256:f62ed1591416e5e0e321291c34deaac82979c624618a45c4caf4e518d51ed0f5"; id != want {
		t.Fatalf("FallbackID = %q, want %q", id, want)
	}
	for name, other := range map[string]string{
		"type":  source.FallbackID("gitea", "push", []byte("{}")),
		"event": source.FallbackID("github", "pull", []byte("{}")),
		"body":  source.FallbackID("github", "push", []byte("{ }")),
		"cut":   source.FallbackID("githubpush", "", []byte("{}")),
	} {
		if other == id {
			t.Errorf("FallbackID does not depend on the %s", name)
		}
	}
	if again := source.FallbackID("github", "push", []byte("{}")); again != id {
		t.Errorf("FallbackID = %q, then %q", id, again)
	}
}

// A bounded key is fit for a record and a log, is stable, and is left alone when it was fit already.
func TestBoundKey(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }),
			rapid.StringMatching(`[a-z/]{250,260}#[0-9]{1,3}`)).Draw(t, "key")
		bound := source.BoundKey(key)
		if len(bound) > source.MaxNameBytes || !utf8.ValidString(bound) || strings.ContainsAny(bound, "\x00\n\x7f") {
			t.Fatalf("BoundKey(%q) = %q", key, bound)
		}
		if source.BoundKey(bound) != bound {
			t.Fatalf("BoundKey(%q) is not stable", key)
		}
		if bound != key && !strings.HasPrefix(bound, "sha256:") {
			t.Fatalf("BoundKey(%q) = %q: neither the key nor a digest", key, bound)
		}
	})
	if key := "größe/repo#1"; source.BoundKey(key) != key {
		t.Errorf("BoundKey changed a fit key")
	}
}

func TestKey(t *testing.T) {
	for _, test := range []struct {
		repository string
		mark       byte
		thing      string
		want       string
	}{
		{"a/b", '#', "7", "a/b#7"},
		{"a/b", '@', "refs/heads/x", "a/b@refs/heads/x"},
		{"a/b", '!', "", "a/b"},
		{"", '#', "7", ""},
	} {
		if got := source.Key(test.repository, test.mark, test.thing); got != test.want {
			t.Errorf("Key(%q, %c, %q) = %q, want %q", test.repository, test.mark, test.thing, got, test.want)
		}
	}
}

func TestBoundID(t *testing.T) {
	for id, kept := range map[string]bool{
		"": true, "/context 7": true, strings.Repeat("x", source.MaxNameBytes): true,
		strings.Repeat("x", source.MaxNameBytes+1): false, "größe": false, "a\nb": false,
	} {
		got := source.BoundID(id)
		if kept != (got == id) || !kept && !strings.HasPrefix(got, "sha256:") {
			t.Errorf("BoundID(%.20q) = %q", id, got)
		}
	}
}

// Whatever action a user chose, the event type is fit for a delivery, begins with the event, and a usual one is as it was.
func TestEventType(t *testing.T) {
	for _, test := range []struct{ event, action, want string }{
		{"push", "", "push"},
		{"pull_request", "opened", "pull_request.opened"},
		{"repository_dispatch", "my type/../*", "repository_dispatch.my type/../*"},
		{"repository_dispatch", "größe\n", "repository_dispatch.gr%C3%B6%C3%9Fe%0A"},
		{"repository_dispatch", "\x00\x7f\xff%", "repository_dispatch.%00%7F%FF%"},
	} {
		if got := source.EventType(test.event, test.action); got != test.want {
			t.Errorf("EventType(%q, %q) = %q, want %q", test.event, test.action, got, test.want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		action := rapid.OneOf(rapid.String(), rapid.StringN(250, 300, -1), rapid.StringOfN(rapid.RuneFrom([]rune("aé")), 80, 260, -1)).
			Draw(t, "action")
		got := source.EventType("repository_dispatch", action)
		if !strings.HasPrefix(got, "repository_dispatch") {
			t.Fatalf("EventType = %q", got)
		}
		if _, err := (source.Delivery{EventType: got}).Checked(); err != nil {
			t.Fatalf("EventType = %q: %v", got, err)
		}
	})
}

func TestBoundEvent(t *testing.T) {
	for name, want := range map[string]string{
		"": "", "com.example.made": "com.example.made", "de.größe": "de.gr%C3%B6%C3%9Fe",
		strings.Repeat("é", 128): source.BoundID(strings.Repeat("é", 128)), // six bytes each, escaped
		strings.Repeat("a", 257): source.BoundID(strings.Repeat("a", 257)),
	} {
		if got := source.BoundEvent(name); got != want {
			t.Errorf("BoundEvent(%.20q) = %q, want %q", name, got, want)
		}
	}
}
