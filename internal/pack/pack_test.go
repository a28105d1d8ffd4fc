package pack_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/hooktroupe/hooktroupe/internal/pack"
)

// noise is what cannot be made smaller.
func noise(n int) []byte {
	source, out := rand.NewChaCha8([32]byte{}), make([]byte, n)
	_, _ = source.Read(out) // it never fails
	return out
}

// What is packed comes back byte for byte, and is smaller than it was.
func TestPack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOfN(rapid.SampledFrom([]string{`{"id":`, `"name"`, ",", "é", "\x00", string(noise(300))}), 0, 2000)
		body := []byte(strings.Join(words.Draw(t, "words"), ""))
		packed := pack.Pack(body)
		if packed == nil {
			return
		}
		if len(packed) > len(body)*7/8+1 {
			t.Fatalf("%d bytes were packed into %d", len(body), len(packed))
		}
		got, err := pack.Unpack(packed, len(body))
		if err != nil || !bytes.Equal(got, body) {
			t.Fatalf("packing changed the body: %v", err)
		}
		if _, err := pack.Unpack(packed, len(body)-1); !errors.Is(err, pack.ErrDamaged) {
			t.Fatalf("more than the bound was unpacked: %v", err)
		}
	})
}

// Real deliveries shrink to less than half; noise, and what is short, stays as it is.
func TestPackIsWorthIt(t *testing.T) {
	real, err := os.ReadFile("../../source/github/samples/pull_request.opened.json")
	if err != nil {
		t.Fatal(err)
	}
	if got := len(pack.Pack(real)); got == 0 || got > len(real)/2 {
		t.Errorf("a delivery of %d bytes was packed into %d", len(real), got)
	}
	for name, body := range map[string][]byte{"noise": noise(10_000), "short": real[:100], "nothing": nil} {
		if packed := pack.Pack(body); packed != nil {
			t.Errorf("%s was packed into %d bytes", name, len(packed))
		}
	}
}

// Blocks cut short, and those of any other bytes, are errors or bodies, and never more than was asked for.
func FuzzUnpack(f *testing.F) {
	whole := pack.Pack(bytes.Repeat([]byte("hook "), 200))
	f.Add(whole)
	f.Add(whole[:len(whole)-1])
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0x7f})
	f.Fuzz(func(t *testing.T, block []byte) {
		body, err := pack.Unpack(block, 4096)
		if err != nil && !errors.Is(err, pack.ErrDamaged) || len(body) > 4096 {
			t.Fatalf("%d bytes, %v", len(body), err)
		}
	})
}

func BenchmarkPack(b *testing.B) {
	body, err := os.ReadFile("../../source/github/samples/pull_request.opened.json")
	if err != nil {
		b.Fatal(err)
	}
	body = body[:8192]
	packed := pack.Pack(body)
	b.Run("pack", func(b *testing.B) {
		b.SetBytes(int64(len(body)))
		for b.Loop() {
			pack.Pack(body)
		}
	})
	b.Run("unpack", func(b *testing.B) {
		b.SetBytes(int64(len(body)))
		for b.Loop() {
			if _, err := pack.Unpack(packed, len(body)); err != nil {
				b.Fatal(err)
			}
		}
	})
}
