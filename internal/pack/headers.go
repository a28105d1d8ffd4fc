package pack

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

// Told are the texts of a delivery that its record holds beside the headers, and that senders repeat there.
type Told struct{ DeliveryID, EventType string }

// The forms of a header's value, its first byte. docs/FORMAT.md describes what follows each.
const (
	formText       = iota // a length and so many bytes
	formKnown             // a number of knownValues
	formBeginning         // a number of knownValues, and the rest as with formText
	formDeliveryID        // nothing
	formEventType         // nothing
	formHex               // a length and so many bytes, shown as lower-case digits
	formSHA256            // 32 bytes, shown so behind "sha256="
	formUUID              // 16 bytes, shown in lower case
	formDecimal           // a varint
)

const (
	sha256Prefix = "sha256="
	sha256Bytes  = 32
	// minHex is below what length hexadecimal digits stay as they are.
	minHex = 8
)

// AppendHeader appends one header to a list of them: names and values that are common as numbers, digits as what they
// stand for, and what the record tells elsewhere as nothing but that. It comes back byte for byte.
func AppendHeader(list []byte, name, value string, told Told) []byte {
	number := nameNumbers[name]
	list = binary.AppendUvarint(list, number)
	if number == 0 {
		list = appendText(list, name)
	}
	return appendValue(list, value, told)
}

func appendValue(list []byte, value string, told Told) []byte {
	switch n := valueNumbers[value]; {
	case n > 0:
		return binary.AppendUvarint(append(list, formKnown), n)
	case value == told.DeliveryID:
		return append(list, formDeliveryID)
	case value == told.EventType:
		return append(list, formEventType)
	case strings.HasPrefix(value, sha256Prefix) && len(value) == len(sha256Prefix)+2*sha256Bytes:
		if packed, ok := appendHex(append(list, formSHA256), value[len(sha256Prefix):]); ok {
			return packed
		}
	case len(value) <= 19 && isDecimal(value):
		n, _ := strconv.ParseUint(value, 10, 64) // nineteen digits always fit
		return binary.AppendUvarint(append(list, formDecimal), n)
	case len(value) == 36 && strings.Count(value, "-") == 4:
		if id, err := uuid.Parse(value); err == nil && id.String() == value {
			return append(append(list, formUUID), id[:]...)
		}
	case len(value) >= minHex && len(value)%2 == 0:
		if packed, ok := appendHex(binary.AppendUvarint(append(list, formHex), uint64(len(value)/2)), value); ok {
			return packed
		}
	}
	for i := range len(value) {
		if c := value[i]; c == '/' || c == ' ' { // as in User-Agent
			if n := valueNumbers[value[:i+1]]; n > 0 {
				return appendText(binary.AppendUvarint(append(list, formBeginning), n), value[i+1:])
			}
			break
		}
	}
	return appendText(append(list, formText), value)
}

func appendText(list []byte, text string) []byte {
	return append(binary.AppendUvarint(list, uint64(len(text))), text...)
}

// appendHex appends what lower-case hexadecimal digits stand for, if they are that, an even number of them.
func appendHex(list []byte, digits string) ([]byte, bool) {
	for i := 0; i < len(digits); i += 2 {
		high, low := digit(digits[i]), digit(digits[i+1])
		if high > 15 || low > 15 {
			return nil, false
		}
		list = append(list, high<<4|low)
	}
	return list, true
}

// digit is the value of a lower-case hexadecimal digit; more than 15 for anything else.
func digit(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	default:
		return 255
	}
}

// isDecimal says whether text is a number as it would be written: without a sign, and without zeros before it.
func isDecimal(text string) bool {
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return false
		}
	}
	return text != "" && (text[0] != '0' || text == "0")
}

// EachHeader calls fn for every header of a list that AppendHeader made, in order. Names and values together may have at most
// so many bytes. Anything else is ErrDamaged.
func EachHeader(list []byte, told Told, most int, fn func(name, value string)) error {
	for r := (reader{list}); len(r.rest) > 0; {
		name, err := r.name()
		if err != nil {
			return err
		}
		value, err := r.value(told)
		if err != nil {
			return err
		}
		if most -= len(name) + len(value); most < 0 {
			return fmt.Errorf("%w: the headers are too long", ErrDamaged)
		}
		fn(name, value)
	}
	return nil
}

// reader takes a list apart.
type reader struct{ rest []byte }

func (r *reader) name() (string, error) {
	n, err := r.number()
	switch {
	case err != nil:
		return "", err
	case n == 0:
		return r.text()
	default:
		return known(knownNames[:], n)
	}
}

func (r *reader) value(told Told) (string, error) {
	form, err := r.bytes(1)
	if err != nil {
		return "", err
	}
	switch form[0] {
	case formText:
		return r.text()
	case formKnown:
		return r.known()
	case formBeginning:
		beginning, err := r.known()
		if err != nil {
			return "", err
		}
		rest, err := r.text()
		return beginning + rest, err
	case formDeliveryID:
		return told.DeliveryID, nil
	case formEventType:
		return told.EventType, nil
	case formDecimal:
		n, err := r.number()
		return strconv.FormatUint(n, 10), err
	default:
		return r.digits(form[0])
	}
}

// digits reads the forms that keep bytes in place of digits.
func (r *reader) digits(form byte) (string, error) {
	n := uint64(sha256Bytes)
	switch form {
	case formHex:
		var err error
		if n, err = r.number(); err != nil {
			return "", err
		}
	case formUUID:
		n = uint64(len(uuid.UUID{}))
	case formSHA256:
	default:
		return "", fmt.Errorf("%w: header value of form %d", ErrDamaged, form)
	}
	raw, err := r.bytes(n)
	if err != nil {
		return "", err
	}
	switch form {
	case formSHA256:
		return sha256Prefix + hex.EncodeToString(raw), nil
	case formUUID:
		return uuid.UUID(raw).String(), nil
	default:
		return hex.EncodeToString(raw), nil
	}
}

func (r *reader) number() (uint64, error) {
	n, length := binary.Uvarint(r.rest)
	if length <= 0 {
		return 0, fmt.Errorf("%w: the headers end in a number", ErrDamaged)
	}
	r.rest = r.rest[length:]
	return n, nil
}

func (r *reader) bytes(n uint64) ([]byte, error) {
	if n > uint64(len(r.rest)) {
		return nil, fmt.Errorf("%w: the headers are cut short", ErrDamaged)
	}
	taken := r.rest[:n]
	r.rest = r.rest[n:]
	return taken, nil
}

func (r *reader) text() (string, error) {
	n, err := r.number()
	if err != nil {
		return "", err
	}
	raw, err := r.bytes(n)
	return string(raw), err
}

func (r *reader) known() (string, error) {
	n, err := r.number()
	if err != nil {
		return "", err
	}
	return known(knownValues[:], n)
}

// known is the n-th of some texts, from 1.
func known(texts []string, n uint64) (string, error) {
	if n == 0 || n > uint64(len(texts)) {
		return "", fmt.Errorf("%w: text %d of %d, of a newer version?", ErrDamaged, n, len(texts))
	}
	return texts[n-1], nil
}
