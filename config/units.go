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

// String writes it with units.
func (d Duration) String() string { return time.Duration(d).String() }

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

// decodeUnits is the decode hook for the types that have a form of their own.
func decodeUnits(from, to reflect.Type, data any) (any, error) {
	switch to {
	case reflect.TypeFor[Duration]():
		return ParseDuration(fmt.Sprint(data))
	case reflect.TypeFor[Bytes]():
		return ParseBytes(fmt.Sprint(data))
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
