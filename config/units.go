package config

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Duration is a length of time, written as seconds or with units: 90, 90s, 24h.
type Duration time.Duration

// String writes it with units, without those that are zero.
func (d Duration) String() string {
	text := time.Duration(d).String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zero) {
			text = text[:len(text)-2]
		}
	}
	return text
}

// MarshalText writes it with units.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// ParseDuration reads either form.
func ParseDuration(text string) (Duration, error) {
	if seconds, err := strconv.ParseFloat(text, 64); err == nil {
		if seconds < 0 || seconds > 1e9 {
			return 0, fmt.Errorf("%q is not within 0 and 1e9 seconds", text)
		}
		return Duration(seconds * float64(time.Second)), nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is not a time such as 90, 90s or 24h", text)
	}
	return Duration(d), nil
}

// Bytes is a size, written as a number or with a unit: 1048576, 1MiB, 64KiB, 2GiB, 10MB.
type Bytes int64

var byteUnits = []struct {
	suffix string
	size   int64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
	{"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1},
}

// String writes it with the largest binary unit that divides it.
func (b Bytes) String() string {
	for i := 3; i >= 0; i-- {
		if unit := byteUnits[i]; b != 0 && int64(b)%unit.size == 0 {
			return strconv.FormatInt(int64(b)/unit.size, 10) + unit.suffix
		}
	}
	return strconv.FormatInt(int64(b), 10)
}

// MarshalText writes it as String does.
func (b Bytes) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// ParseBytes reads either form.
func ParseBytes(text string) (Bytes, error) {
	number, size := strings.TrimSpace(text), int64(1)
	for _, unit := range byteUnits {
		if rest, found := strings.CutSuffix(number, unit.suffix); found {
			number, size = strings.TrimSpace(rest), unit.size
			break
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 0 || n > (1<<62)/size {
		return 0, fmt.Errorf("%q is not a size such as 1048576 or 25MiB", text)
	}
	return Bytes(n * size), nil
}

// Rate is how often something may happen, in times a second, written as a number or with a unit: 100, 100/s, 30/m, 5/h.
type Rate float64

// maxRate bounds a Rate, and minRate one that is not zero.
const (
	maxRate Rate = 1e6
	minRate Rate = 1.0 / 3600
)

var rateUnits = []struct {
	suffix  string
	seconds float64
}{{"/s", 1}, {"/m", 60}, {"/h", 3600}}

// String writes it with the shortest unit in which it is at least 1.
func (r Rate) String() string {
	if r == 0 {
		return "0"
	}
	unit := rateUnits[0]
	for _, longer := range rateUnits[1:] {
		if float64(r)*unit.seconds < 1 {
			unit = longer
		}
	}
	return strconv.FormatFloat(float64(r)*unit.seconds, 'g', 12, 64) + unit.suffix
}

// MarshalText writes it as String does.
func (r Rate) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// ParseRate reads either form: zero, or from one an hour to a million a second.
func ParseRate(text string) (Rate, error) {
	number, seconds := strings.TrimSpace(text), 1.0
	for _, unit := range rateUnits {
		if rest, found := strings.CutSuffix(number, unit.suffix); found {
			number, seconds = strings.TrimSpace(rest), unit.seconds
			break
		}
	}
	times, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not a rate such as 100/s, 30/m or 5/h", text)
	}
	r := Rate(times / seconds)
	if inRange := r == 0 || r >= minRate && r <= maxRate; !inRange {
		return 0, fmt.Errorf("%q is not within 1/h and %g/s", text, float64(maxRate))
	}
	return r, nil
}

// decodeUnits is the decode hook for the types that have a form of their own.
func decodeUnits(from, to reflect.Type, data any) (any, error) {
	switch to {
	case reflect.TypeFor[Duration]():
		return ParseDuration(fmt.Sprint(data))
	case reflect.TypeFor[Bytes]():
		return ParseBytes(fmt.Sprint(data))
	case reflect.TypeFor[Rate]():
		return ParseRate(fmt.Sprint(data))
	case reflect.TypeFor[Secret]():
		if text, isText := data.(string); isText {
			return map[string]any{"value": text}, nil
		}
	case reflect.TypeFor[time.Time]():
		if text, isText := data.(string); isText {
			return time.Parse(time.RFC3339, text)
		}
	case reflect.TypeFor[[]string]():
		if text, isText := data.(string); isText {
			return splitList(text), nil
		}
	}
	_ = from
	return data, nil
}

// splitList reads a list from one environment variable: parts separated by commas.
func splitList(text string) []string {
	var parts []string
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			parts = append(parts, part)
		}
	}
	return parts
}
