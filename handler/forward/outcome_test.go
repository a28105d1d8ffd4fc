package forward_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/hooktroupe/hooktroupe/handler"
	"github.com/hooktroupe/hooktroupe/handler/forward"
	"github.com/hooktroupe/hooktroupe/handler/handlertest"
	"github.com/hooktroupe/hooktroupe/internal/clock"
)

func TestOutcomeByStatus(t *testing.T) {
	discarded := []int{400, 410, 413, 415, 422}
	for status := 200; status < 600; status++ {
		if http.StatusText(status) == "" {
			continue
		}
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			sink := handlertest.NewRecorder(t, handlertest.Answer{Status: status})
			_, err := newHandler(t, forward.Config{URL: sink.URL}).Handle(t.Context(), handlertest.NewTask())
			if status < 300 {
				if err != nil {
					t.Fatalf("error %v, want none", err)
				}
				return
			}
			var refusal *forward.StatusError
			if !errors.As(err, &refusal) || refusal.Code != status {
				t.Fatalf("error %v, want a StatusError of %d", err, status)
			}
			if got, want := handler.IsDiscard(err), slices.Contains(discarded, status); got != want {
				t.Errorf("discarded: %t, want %t", got, want)
			}
		})
	}
}

func TestOutcomeByStatusAsConfigured(t *testing.T) {
	for status, discard := range map[int]bool{400: false, 404: true, 422: false, 301: true, 503: false} {
		sink := handlertest.NewRecorder(t, handlertest.Answer{Status: status})
		h := newHandler(t, forward.Config{URL: sink.URL, DiscardStatuses: []int{301, 404}})
		if _, err := h.Handle(t.Context(), handlertest.NewTask()); err == nil || handler.IsDiscard(err) != discard {
			t.Errorf("%d: %v, want discarded: %t", status, err, discard)
		}
	}
}

func TestRefusalStandsThoughItsBodyBreaksOff(t *testing.T) {
	for status, discard := range map[int]bool{http.StatusBadRequest: true, http.StatusServiceUnavailable: false} {
		sink := handlertest.NewRecorder(t, handlertest.Answer{
			// A server that has promised more than it wrote closes the connection.
			Status: status, Header: map[string]string{"Content-Length": "100"}, Body: []byte("because, "),
		})
		_, err := newHandler(t, forward.Config{URL: sink.URL}).Handle(t.Context(), handlertest.NewTask())
		var refusal *forward.StatusError
		if !errors.As(err, &refusal) || handler.IsDiscard(err) != discard {
			t.Errorf("%d: error %v, want a StatusError that discards: %t", status, err, discard)
			continue
		}
		if string(refusal.Excerpt) != "because, " {
			t.Errorf("%d: excerpt %q, want what arrived", status, refusal.Excerpt)
		}
	}
}

func TestCompletedOnlyByAWholeAnswer(t *testing.T) {
	sink := handlertest.NewRecorder(t, handlertest.Answer{
		Header: map[string]string{"Content-Length": "100"}, Body: []byte("almost"),
	})
	result, err := newHandler(t, forward.Config{URL: sink.URL}).Handle(t.Context(), handlertest.NewTask())
	if err == nil || handler.IsDiscard(err) || result != nil {
		t.Errorf("Handle: %q, %v; want no result and an error to try again", result, err)
	}
}

func TestRedirectIsNotFollowed(t *testing.T) {
	elsewhere := handlertest.NewRecorder(t)
	for _, status := range []int{301, 302, 303, 307, 308} {
		sink := handlertest.NewRecorder(t, handlertest.Answer{
			Status: status, Header: map[string]string{"Location": elsewhere.URL},
		})
		_, err := newHandler(t, forward.Config{URL: sink.URL}).Handle(t.Context(), handlertest.NewTask())
		if err == nil {
			t.Errorf("%d: completed, want a failure", status)
		}
	}
	if requests := elsewhere.Requests(); len(requests) != 0 {
		t.Errorf("%d requests went where the sink pointed", len(requests))
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	tests := map[string]struct {
		value string
		want  time.Duration
	}{
		"absent":              {"", 0},
		"seconds":             {"120", 2 * time.Minute},
		"zero":                {"0", 0},
		"a day":               {"86400", 24 * time.Hour},
		"more than a day":     {"86401", 24 * time.Hour},
		"more than an int64":  {strings.Repeat("9", 40), 24 * time.Hour},
		"negative":            {"-5", 0},
		"signed":              {"+5", 0},
		"fraction":            {"1.5", 0},
		"words":               {"soon", 0},
		"date":                {"Mon, 23 Nov 2026 12:01:30 GMT", 90 * time.Second},
		"date, RFC 850":       {"Monday, 23-Nov-26 12:01:30 GMT", 90 * time.Second},
		"date, asctime":       {"Mon Nov 23 12:01:30 2026", 90 * time.Second},
		"date in the past":    {"Mon, 23 Nov 2026 11:00:00 GMT", 0},
		"date next year":      {"Tue, 23 Nov 2027 12:00:00 GMT", 24 * time.Hour},
		"date in another age": {"Fri, 31 Dec 9999 23:59:59 GMT", 24 * time.Hour},
	}
	for name, test := range tests {
		for _, status := range []int{408, 425, 429, 503} {
			t.Run(fmt.Sprintf("%s, %d", name, status), func(t *testing.T) {
				answer := handlertest.Answer{Status: status, Header: map[string]string{}}
				if test.value != "" {
					answer.Header["Retry-After"] = test.value
				}
				sink := handlertest.NewRecorder(t, answer)
				h := newHandler(t, forward.Config{URL: sink.URL}, forward.WithClock(clock.NewFake(now)))
				_, err := h.Handle(t.Context(), handlertest.NewTask())
				if err == nil || handler.IsDiscard(err) {
					t.Fatalf("error %v, want one to try again", err)
				}
				if got := handler.After(err); got != test.want {
					t.Errorf("after %s, want %s", got, test.want)
				}
			})
		}
	}
}

func TestRetryAfterStaysWithinBounds(t *testing.T) {
	sinks := make(map[string]string) // by value, so that a repeated value finds its sink
	rapid.Check(t, func(rt *rapid.T) {
		value := rapid.StringMatching(`[ -~]{0,24}|[0-9]{1,30}`).Draw(rt, "value")
		if sinks[value] == "" {
			sinks[value] = handlertest.NewRecorder(t, handlertest.Answer{
				Status: http.StatusTooManyRequests, Header: map[string]string{"Retry-After": value},
			}).URL
		}
		h, err := forward.New(forward.Config{URL: sinks[value]})
		if err != nil {
			rt.Fatal(err)
		}
		defer h.Close()
		_, err = h.Handle(t.Context(), handlertest.NewTask())
		if after := handler.After(err); err == nil || after < 0 || after > forward.MaxRetryAfter {
			rt.Errorf("Retry-After %q: %v after %s", value, err, after)
		}
	})
}

func TestRefusalQuotesTheAnswerSafely(t *testing.T) {
	body := []byte("\x1b[31mno\r\nsuch\x00hook " + strings.Repeat("é", 5000))
	sink := handlertest.NewRecorder(t, handlertest.Answer{Status: http.StatusNotFound, Body: body})
	_, err := newHandler(t, forward.Config{URL: sink.URL}).Handle(t.Context(), handlertest.NewTask())
	if err == nil {
		t.Fatal("completed, want a failure")
	}
	text := err.Error()
	if !strings.Contains(text, "404 Not Found") || !strings.Contains(text, "such") {
		t.Errorf("error %q says neither what nor why", text)
	}
	if strings.ContainsAny(text, "\x00\x1b\r\n") || len(text) > handler.MaxErrorBytes {
		t.Errorf("error of %d bytes, or with control bytes: %q", len(text), text)
	}
}
