package source

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"unicode"
	"unicode/utf8"
)

// Checked returns the delivery as the rest of the daemon may see it: its key goes through BoundKey, and an event type or
// a delivery ID that is not up to MaxNameBytes of printable ASCII is a *Malformed error, as is an empty event type.
func (d Delivery) Checked() (Delivery, error) {
	if d.EventType == "" {
		return Delivery{}, &Malformed{Detail: "no event type"}
	}
	if !printable(d.EventType) {
		return Delivery{}, &Malformed{Detail: fmt.Sprintf("event type is not up to %d printable ASCII", MaxNameBytes)}
	}
	if !printable(d.DeliveryID) {
		return Delivery{}, &Malformed{Detail: fmt.Sprintf("delivery ID is not up to %d printable ASCII", MaxNameBytes)}
	}
	d.Key = BoundKey(d.Key)
	return d, nil
}

// EventType joins the name of an event with its action, if it has one: pull_request.opened. The action goes through
// BoundEvent, for some senders let their users choose it. The name is the sender's own and stays as it is.
func EventType(event, action string) string {
	if action == "" {
		return event
	}
	if joined := event + "." + BoundEvent(action); len(joined) <= MaxNameBytes {
		return joined
	}
	sum := sha256.Sum256([]byte(action))
	return event + "." + digest(sum[:])
}

// BoundEvent makes a name that a sender's user chose fit for an event type, for what they chose is no reason to lose the
// delivery. Bytes that are not printable ASCII are percent-encoded (a percent sign stays one: nothing decodes this), and
// what does not fit in MaxNameBytes then is "sha256:" with the digest of it.
func BoundEvent(name string) string {
	if printable(name) {
		return name
	}
	if len(name) <= MaxNameBytes {
		const digits = "0123456789ABCDEF"
		escaped := make([]byte, 0, 3*len(name))
		for i := range len(name) {
			if c := name[i]; c < ' ' || c > '~' {
				escaped = append(escaped, '%', digits[c>>4], digits[c&15])
			} else {
				escaped = append(escaped, c)
			}
		}
		if len(escaped) <= MaxNameBytes {
			return string(escaped)
		}
	}
	return BoundID(name)
}

// printable says whether a name fits in MaxNameBytes of printable ASCII, the space included.
func printable(name string) bool {
	if len(name) > MaxNameBytes {
		return false
	}
	for i := range len(name) {
		if name[i] < ' ' || name[i] > '~' {
			return false
		}
	}
	return true
}

// FallbackID is the delivery ID of a request whose sender gives none: "sha256:" and the lower-case hex digest of the
// type of the source, the event type and the body. Equal bodies of one event are then duplicates of each other.
func FallbackID(sourceType, eventType string, body []byte) string {
	h := sha256.New()
	h.Write([]byte(sourceType + "\x00" + eventType + "\x00")) // neither holds a NUL, so the text is unambiguous
	h.Write(body)
	return digest(h.Sum(nil))
}

// BoundKey returns an ordering key as it is when it is up to MaxNameBytes of valid UTF-8 without control characters, and
// else "sha256:" with the digest of it, so that a key is always fit for a record, an index and a log.
func BoundKey(key string) string {
	if len(key) <= MaxNameBytes && utf8.ValidString(key) {
		clean := true
		for _, r := range key {
			clean = clean && !unicode.IsControl(r)
		}
		if clean {
			return key
		}
	}
	sum := sha256.Sum256([]byte(key))
	return digest(sum[:])
}

// BoundID returns a delivery ID that a sender composed as it is when it is up to MaxNameBytes of printable ASCII, and
// else "sha256:" with the digest of it.
func BoundID(id string) string {
	if printable(id) {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return digest(sum[:])
}

// Key joins a repository, or whatever holds the numbered things of a sender, and the thing within it. The mark tells
// what kind of thing: '#' an issue or pull request, '!' a pull or merge request where issues have numbers of their own,
// '@' a ref or a commit. Without a thing it is the repository alone, and without a repository it is empty.
func Key(repository string, mark byte, thing string) string {
	if repository == "" || thing == "" {
		return repository
	}
	return repository + string(mark) + thing
}

func digest(sum []byte) string { return "sha256:" + hex.EncodeToString(sum) }
