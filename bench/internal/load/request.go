//go:build linux

// Package load sends GitHub deliveries over loopback and times the answers. It shares its processors with the server
// that it measures, so it is built to cost little: requests are put together once, signature included, and only the
// delivery ID is patched in place; responses are read without a parser beyond what HTTP/1.1 with Content-Length needs.
//
// It refuses to go on after anything but 202: a rate that counts refusals would mean nothing.
package load

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strconv"
)

// GitHubPath is where the daemon takes deliveries from GitHub.
const GitHubPath = "/webhooks/github"

// Request is one delivery, ready to be sent. Every copy that goes out gets its own delivery ID.
type Request struct {
	text []byte
	id   int // offset of the delivery ID in text
}

// firstID holds the place of the delivery ID; its form is that of GitHub's.
const firstID = "00000000-0000-4000-8000-000000000000"

// counterAt is where, in a delivery ID, the digits begin that count deliveries; those before name the run.
const (
	counterAt     = len(firstID) - counterDigits
	counterDigits = 12
)

// NewRequest signs the body and puts it behind the headers that GitHub sends.
func NewRequest(secret, event string, body []byte) Request {
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = mac.Write(body) // it never fails
	var b bytes.Buffer
	line := func(name, value string) { b.WriteString(name + ": " + value + "\r\n") }
	b.WriteString("POST " + GitHubPath + " HTTP/1.1\r\n")
	line("Host", "127.0.0.1")
	line("User-Agent", "GitHub-Hookshot/044aadd")
	line("Content-Length", strconv.Itoa(len(body)))
	line("Accept", "*/*")
	line("Content-Type", "application/json")
	line("X-GitHub-Delivery", firstID)
	id := b.Len() - len(firstID) - len("\r\n")
	line("X-GitHub-Event", event)
	line("X-GitHub-Hook-ID", "132661606")
	line("X-GitHub-Hook-Installation-Target-ID", "186853002")
	line("X-GitHub-Hook-Installation-Target-Type", "repository")
	line("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	b.WriteString("\r\n")
	b.Write(body)
	return Request{text: b.Bytes(), id: id}
}

// clone is a copy that may be patched, for one run.
func (r Request) clone(run [8]byte) Request {
	text := bytes.Clone(r.text)
	digits := hex.EncodeToString(run[:])
	id := digits[:8] + "-" + digits[8:12] + "-4" + digits[12:15] + "-8000-"
	copy(text[r.id:], id)
	return Request{text: text, id: r.id}
}

// number puts the i-th delivery's ID in its place.
func (r Request) number(i int) {
	const hexDigits = "0123456789abcdef"
	place := r.text[r.id+counterAt : r.id+len(firstID)]
	for at := len(place) - 1; at >= 0; at-- {
		place[at] = hexDigits[i&15]
		i >>= 4
	}
}

// minBody is the least that Body can make: the members that a receiver looks for.
const minBody = 512

// Body is the JSON of a delivery of exactly so many bytes, at least 512: the members by which a receiver tells event and
// ordering key, and as many labels and as much text as it takes to fill it, for that is what makes real deliveries large.
// Labels and words are drawn by chance, the same ones each time, so that a body can be packed about as well as a real one.
func Body(size int) []byte {
	const (
		head = `{"action":"opened","number":7,"repository":{"id":186853002,"full_name":"octo-org/octo-repo","private":false},` +
			`"sender":{"login":"octocat","id":21031067,"type":"User","site_admin":false},` +
			`"pull_request":{"id":279147437,"number":7,"state":"open","locked":false,"draft":false,"labels":[`
		text = `null],"title":"Update the README with new information","body":"`
		tail = `"}}`
	)
	if size < minBody {
		panic(fmt.Sprintf("load: a body of %d bytes is below %d", size, minBody))
	}
	chance := rand.New(rand.NewPCG(1, uint64(size))) //nolint:gosec // the same bodies in each run
	b := append(make([]byte, 0, size), head...)
	for {
		name := word(chance)
		label := fmt.Sprintf(`{"id":%d,"node_id":"%x","name":"area/%s","color":"%06x","default":%t,`+
			`"url":"https://forge.example/repos/octo-org/octo-repo/labels/%s","description":"%s %s"},`,
			chance.Uint32(), chance.Uint64(), name, chance.IntN(1<<24), chance.IntN(2) == 0, name, word(chance), word(chance))
		if 2*(len(b)+len(label))+len(text)+len(tail) > size {
			break // the other half is text
		}
		b = append(b, label...)
	}
	b = append(b, text...)
	for rest := size - len(tail) - len(b); rest > 0; rest = size - len(tail) - len(b) {
		next := word(chance) + " "
		b = append(b, next[:min(len(next), rest)]...)
	}
	return append(b, tail...)
}

// word is one of a few thousand that could be English.
func word(chance *rand.Rand) string {
	syllables := [...]string{"re", "con", "tri", "al", "ment", "ver", "sion", "er", "pro", "in", "ta", "ble", "com", "mit", "ed", "un"}
	w := ""
	for range 1 + chance.IntN(3) {
		w += syllables[chance.IntN(len(syllables))]
	}
	return w
}
