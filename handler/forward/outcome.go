package forward

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/hooktroupe/hooktroupe/handler"
)

// MaxRetryAfter bounds the delay that a sink can ask for.
const MaxRetryAfter = 24 * time.Hour

// excerptRunes bounds how much of a refusing answer an error quotes.
const excerptRunes = 256

// StatusError is an answer other than 2xx.
type StatusError struct {
	// Code is the status, such as 503.
	Code int
	// Excerpt is the start of the answer's body, as it came: at most Config.MaxResponseBytes.
	Excerpt []byte
}

// Error names the status and quotes the excerpt, cut and with control bytes escaped.
func (e *StatusError) Error() string {
	text := fmt.Sprintf("sink answered %d %s", e.Code, http.StatusText(e.Code))
	if len(e.Excerpt) > 0 {
		text += fmt.Sprintf(": %.*q", excerptRunes, e.Excerpt)
	}
	return text
}

// defaultDiscardStatuses are the statuses that are about the delivery itself.
func defaultDiscardStatuses() []int {
	return []int{
		http.StatusBadRequest, http.StatusGone, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType,
		http.StatusUnprocessableEntity,
	}
}

// refusal turns an answer other than 2xx into the error that stands for its outcome.
func (h *Handler) refusal(resp *http.Response, excerpt []byte) error {
	err := &StatusError{Code: resp.StatusCode, Excerpt: excerpt}
	if slices.Contains(h.discard, resp.StatusCode) {
		return handler.Discard(err)
	}
	now := h.clock.Now()
	if after := retryAfter(resp.Header.Get("Retry-After"), now); after > 0 {
		return handler.RetryAfter(err, after)
	}
	return err
}

// retryAfter reads the two forms of the header (RFC 9110, 10.2.3). What is neither, or lies in the past, asks for
// nothing; what lies beyond MaxRetryAfter is that.
func retryAfter(value string, now time.Time) time.Duration {
	if value == "" {
		return 0
	}
	if seconds, ok := parseSeconds(value); ok {
		return seconds
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), MaxRetryAfter)
}

// parseSeconds reads digits and nothing else. Too many of them to count are MaxRetryAfter.
func parseSeconds(value string) (time.Duration, bool) {
	for _, c := range []byte(value) {
		if c < '0' || c > '9' {
			return 0, false
		}
	}
	seconds, err := strconv.ParseInt(value, 10, 64)
	if err != nil || seconds > int64(MaxRetryAfter/time.Second) {
		return MaxRetryAfter, true
	}
	return time.Duration(seconds) * time.Second, true
}
