package signature

import (
	"encoding/base64"
	"encoding/hex"
)

// Encoding is how the bytes of a signature are written.
type Encoding int

// The encodings. Hex is read in either letter case and written in lower case; Base64 is the standard alphabet with
// padding. Both are strict: a sum has exactly one length, and nothing may stand around or within it.
const (
	Hex Encoding = iota
	Base64
)

// String names the encoding.
func (e Encoding) String() string {
	if e == Base64 {
		return "base64"
	}
	return "hex"
}

// Encode writes a sum.
func (e Encoding) Encode(sum []byte) string {
	if e == Base64 {
		return base64.StdEncoding.EncodeToString(sum)
	}
	return hex.EncodeToString(sum)
}

// Decode reads a sum into dst and says whether text is the encoding of exactly len(dst) bytes.
func (e Encoding) Decode(dst []byte, text string) bool {
	if e == Base64 {
		if len(text) != base64.StdEncoding.EncodedLen(len(dst)) {
			return false
		}
		// The decoder skips line breaks and may write up to its own bound, so it gets room and the length is checked.
		room := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
		n, err := base64.StdEncoding.Strict().Decode(room, []byte(text))
		return err == nil && n == copy(dst, room[:n]) && n == len(dst)
	}
	if len(text) != hex.EncodedLen(len(dst)) {
		return false
	}
	_, err := hex.Decode(dst, []byte(text))
	return err == nil
}
