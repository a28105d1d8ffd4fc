package pack_test

import (
	"encoding/hex"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/hooktroupe/hooktroupe/internal/pack"
)

type header struct{ name, value string }

const deliveryID = "72d3162e-cc78-11e3-81ab-4c9367dc0958"

var told = pack.Told{DeliveryID: deliveryID, EventType: "push"}

// ofGitHub are the headers of a delivery, as they are stored.
var ofGitHub = []header{
	{"Host", "hooks.example"},
	{"User-Agent", "GitHub-Hookshot/044aadd"},
	{"Content-Length", "6615"},
	{"Accept", "*/*"},
	{"Content-Type", "application/json"},
	{"X-Github-Delivery", deliveryID},
	{"X-Github-Event", "push"},
	{"X-Github-Hook-Id", "292430182"},
	{"X-Github-Hook-Installation-Target-Id", "79929171"},
	{"X-Github-Hook-Installation-Target-Type", "repository"},
	{"X-Hub-Signature-256", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"},
	{"X-Request-Id", "0f9b3c42-8d11-4a0e-9f6e-3d1c5a7b9e20"},
	{"X-Hub-Signature", "7d38cdd689735b008b3c702edd92eea23791c5f6"},
	{"X-Of-Its-Own", "what nobody knows"},
}

// goldenHeaders are their bytes in the form of docs/FORMAT.md.
const goldenHeaders = "08000d686f6f6b732e6578616d706c65" + "09020f0730343461616464" + "0508d733" + "010102" + "060101" + "1503" + "1604" +
	"1708e6c2b88b01" + "1808d3be8e26" + "19010a" +
	"1406757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17" +
	"0e070f9b3c428d114a0e9f6e3d1c5a7b9e20" + "1305147d38cdd689735b008b3c702edd92eea23791c5f6" +
	"000c582d4f662d4974732d4f776e001177686174206e6f626f6479206b6e6f7773"

func packed(headers []header) (list []byte) {
	for _, h := range headers {
		list = pack.AppendHeader(list, h.name, h.value, told)
	}
	return list
}

func unpacked(list []byte, most int) (headers []header, err error) {
	err = pack.EachHeader(list, told, most, func(name, value string) { headers = append(headers, header{name, value}) })
	return headers, err
}

// The bytes are those of the format, and what was ever written is read.
func TestHeadersOfGitHub(t *testing.T) {
	list := packed(ofGitHub)
	if got := hex.EncodeToString(list); got != goldenHeaders {
		t.Errorf("packed into\n%s, want\n%s", got, goldenHeaders)
	}
	golden, err := hex.DecodeString(goldenHeaders)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := unpacked(golden, 1<<10); err != nil || !slices.Equal(got, ofGitHub) {
		t.Errorf("%q, %v", got, err)
	}
}

// Whatever headers there are, they come back byte for byte.
func TestHeadersComeBack(t *testing.T) {
	name := rapid.OneOf(rapid.SampledFrom([]string{"Host", "Ce-Dataschema", "host", ""}), rapid.String())
	value := rapid.OneOf(
		rapid.String(),
		rapid.SampledFrom([]string{
			"", "0", "00", "-0", "18446744073709551615", "18446744073709551616", "9999999999999999999", "00000000", "deadbeef", "DEADBEEF",
			"deadbee", "sha256=", "sha256=" + strings.Repeat("0", 64), "sha256=" + strings.Repeat("A", 64), "sha256=" + strings.Repeat("ab", 31),
			deliveryID, "push", strings.ToUpper(deliveryID), strings.Replace(deliveryID, "-", "a", 1), strings.Repeat("-", 36), "GitLab/", "GitLab/1",
			"gitlab/1", "/", " ", "a/b", "*/*x", "00f9b3c4-8d11-4a0e-9f6e-3d1c5a7b9e20",
		}),
		rapid.StringMatching(`[0-9]{1,22}|[0-9a-f]{1,70}|sha256=[0-9a-f]{64}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`),
	)
	rapid.Check(t, func(t *rapid.T) {
		var headers []header
		bytes := 0
		for range rapid.IntRange(0, 20).Draw(t, "headers") {
			h := header{name.Draw(t, "name"), value.Draw(t, "value")}
			headers, bytes = append(headers, h), bytes+len(h.name)+len(h.value)
		}
		list := packed(headers)
		if got, err := unpacked(list, bytes); err != nil || !slices.Equal(got, headers) {
			t.Fatalf("%q became %q, %v", headers, got, err)
		}
		if len(list) > bytes+6*len(headers)+2 {
			t.Fatalf("%d bytes were packed into %d", bytes, len(list))
		}
		if bytes > 0 {
			if _, err := unpacked(list, bytes-1); !errors.Is(err, pack.ErrDamaged) {
				t.Fatalf("more than the bound was unpacked: %v", err)
			}
		}
	})
}

// Lists cut short, and those of any other bytes, are errors or headers, and never more than was asked for.
func FuzzEachHeader(f *testing.F) {
	whole := packed(ofGitHub)
	f.Add(whole)
	f.Add(whole[:len(whole)-1])
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Add([]byte{1, 9})
	f.Add([]byte{1, 1, 0})
	f.Fuzz(func(t *testing.T, list []byte) {
		headers, err := unpacked(list, 4096)
		total := 0
		for _, h := range headers {
			total += len(h.name) + len(h.value)
		}
		if err != nil && !errors.Is(err, pack.ErrDamaged) || total > 4096 {
			t.Fatalf("%d bytes, %v", total, err)
		}
		if err == nil {
			if again, err := unpacked(packed(headers), 4096); err != nil || !slices.Equal(again, headers) {
				t.Fatalf("%q became %q, %v", headers, again, err)
			}
		}
	})
}

// docs/FORMAT.md has the lists of names and values, in their order.
func TestKnownTextsAreDocumented(t *testing.T) {
	document, err := os.ReadFile("../../docs/FORMAT.md")
	if err != nil {
		t.Fatal(err)
	}
	for what, list := range map[string]func(n uint64) []byte{
		"names":  func(n uint64) []byte { return append(varint(n), 4) },
		"values": func(n uint64) []byte { return append([]byte{1, 1}, varint(n)...) },
	} {
		var texts []string
		for n := uint64(1); ; n++ {
			headers, err := unpacked(list(n), 1<<10)
			if err != nil {
				break
			}
			text := headers[0].name
			if what == "values" {
				text = headers[0].value
			}
			texts = append(texts, "`"+text+"`")
		}
		if len(texts) < 20 || !strings.Contains(string(document), what+": "+strings.Join(texts, " ")+"\n") {
			t.Errorf("docs/FORMAT.md lacks the line\n%s: %s", what, strings.Join(texts, " "))
		}
	}
}

func varint(n uint64) []byte {
	if n < 0x80 {
		return []byte{byte(n)}
	}
	return []byte{byte(n) | 0x80, byte(n >> 7)}
}

func BenchmarkHeaders(b *testing.B) {
	list := packed(ofGitHub)
	b.Run("pack", func(b *testing.B) {
		buffer := make([]byte, 0, 1024)
		for b.Loop() {
			buffer = buffer[:0]
			for _, h := range ofGitHub {
				buffer = pack.AppendHeader(buffer, h.name, h.value, told)
			}
		}
	})
	b.Run("unpack", func(b *testing.B) {
		for b.Loop() {
			if err := pack.EachHeader(list, told, 4096, func(string, string) {}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
