package signature

import (
	"strconv"
	"time"

	"github.com/hooktroupe/hooktroupe/source"
)

// maxSecondsDigits bounds a time stamp in seconds: twelve digits last for thirty thousand years.
const maxSecondsDigits = 12

// Fresh checks a signed time stamp in whole seconds since 1970, written in digits and nothing else: older or newer than
// now by more than the tolerance it is refused as stale. The name is that of its header, for the refusal.
func Fresh(name, text string, now time.Time, tolerance time.Duration) error {
	if text == "" || len(text) > maxSecondsDigits {
		return Malformed(name, "whole seconds since 1970")
	}
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return Malformed(name, "whole seconds since 1970")
		}
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return Malformed(name, "whole seconds since 1970")
	}
	if age := now.Sub(time.Unix(seconds, 0)); age > tolerance || age < -tolerance {
		return refuse(source.ReasonStale, name+" is more than "+tolerance.String()+" from now")
	}
	return nil
}
