package forward_test

import (
	"net/http"
	"strings"
	"testing"

	"golang.org/x/net/http/httpguts"
	"pgregory.net/rapid"

	"github.com/hooktroupe/hooktroupe/handler"
	"github.com/hooktroupe/hooktroupe/handler/forward"
	"github.com/hooktroupe/hooktroupe/handler/handlertest"
	"github.com/hooktroupe/hooktroupe/internal/tracing"
)

// sent forwards a task to a recorder and returns the headers that arrived.
func sent(t *testing.T, cfg forward.Config, task *handler.Task, options ...forward.Option) http.Header {
	t.Helper()
	sink := handlertest.NewRecorder(t)
	cfg.URL = sink.URL
	if _, err := newHandler(t, cfg, options...).Handle(t.Context(), task); err != nil {
		t.Fatal(err)
	}
	return sink.Next(t).Header
}

func TestHeadersThatTellOfTheTask(t *testing.T) {
	task := handlertest.NewTask(handlertest.WithAttempt(3))
	got := sent(t, forward.Config{}, task, forward.WithVersion("1.2.3"))
	for name, want := range map[string]string{
		"User-Agent":             "Hooktroupe/1.2.3",
		forward.HeaderTaskID:     task.ID,
		forward.HeaderAttempt:    "3",
		forward.HeaderSource:     "github",
		forward.HeaderEvent:      "push",
		forward.HeaderDeliveryID: task.DeliveryID,
		"Content-Type":           "application/json",
		"X-Github-Event":         "push",
	} {
		if got.Get(name) != want {
			t.Errorf("%s: %q, want %q", name, got.Get(name), want)
		}
	}
}

func TestAnswerIsNotAskedToBeCompressed(t *testing.T) {
	got := sent(t, forward.Config{}, handlertest.NewTask(handlertest.WithHeader("Accept-Encoding", "gzip")))
	if values, ok := got["Accept-Encoding"]; ok {
		t.Errorf("Accept-Encoding: %q, want none", values)
	}
}

func TestEmptyDeliveryIDIsNotSent(t *testing.T) {
	got := sent(t, forward.Config{}, handlertest.NewTask(func(task *handler.Task) { task.DeliveryID = "" }))
	if values, ok := got[forward.HeaderDeliveryID]; ok {
		t.Errorf("%s: %q, want none", forward.HeaderDeliveryID, values)
	}
}

func TestSenderHeaders(t *testing.T) {
	tests := map[string]struct {
		name string
		want bool
	}{
		"signature":              {"X-Hub-Signature-256", true},
		"in lower case":          {"x-custom", true},
		"trace":                  {"traceparent", false},
		"encoding of the body":   {"Content-Encoding", true},
		"hop by hop":             {"Keep-Alive", false},
		"transfer":               {"TE", false},
		"proxy credentials":      {"Proxy-Authorization", false},
		"credentials":            {"Authorization", false},
		"cookie":                 {"cookie", false},
		"token":                  {"X-Gitlab-Token", false},
		"origin":                 {"X-Forwarded-For", false},
		"origin, RFC 7239":       {"Forwarded", false},
		"ours":                   {"X-Hooktroupe-Fencing", false},
		"ours in disguise":       {"X_Hooktroupe_Task_Id", false},
		"nominated by the hop":   {"X-Hop", false},
		"nominated, other case":  {"x-other-hop", false},
		"beside those nominated": {"X-Other", true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			task := handlertest.NewTask(
				handlertest.WithHeader("Connection", "close, X-Hop ,X-Other-Hop"),
				handlertest.WithHeader(test.name, "value"))
			got := sent(t, forward.Config{}, task)
			if has := len(got.Values(test.name)) > 0 || len(got[test.name]) > 0; has != test.want {
				t.Errorf("%s arrived: %t, want %t", test.name, has, test.want)
			}
		})
	}
}

func TestTheTraceOfTheContextIsSentOn(t *testing.T) {
	const parent, state = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "vendor=1"
	sink := handlertest.NewRecorder(t)
	h := newHandler(t, forward.Config{URL: sink.URL, PassHeaders: []string{"Content-Type"}})
	task := handlertest.NewTask(
		handlertest.WithHeader("Traceparent", "00-11111111111111111111111111111111-2222222222222222-01"),
		handlertest.WithHeader("Tracestate", "theirs=1"))
	for _, c := range []struct{ parent, state string }{{parent, state}, {"", ""}} {
		if _, err := h.Handle(tracing.Follow(t.Context(), c.parent, c.state), task); err != nil {
			t.Fatal(err)
		}
		got := sink.Next(t).Header
		if got.Get("Traceparent") != c.parent || got.Get("Tracestate") != c.state {
			t.Errorf("sent on: %q, %q; want %q, %q", got.Get("Traceparent"), got.Get("Tracestate"), c.parent, c.state)
		}
	}
}

func TestSenderCannotSpeakForUs(t *testing.T) {
	task := handlertest.NewTask(
		handlertest.WithHeader("X-Hooktroupe-Task-Id", "forged"),
		handlertest.WithHeader("x-hooktroupe-attempt", "forged"),
		handlertest.WithHeader("User-Agent", "forged"),
		handlertest.WithHeader("Host", "forged"),
		handlertest.WithHeader("X-Mine", "forged"))
	got := sent(t, forward.Config{Headers: map[string]string{"x-mine": "configured"}}, task)
	for name, values := range got {
		for _, value := range values {
			if value == "forged" {
				t.Errorf("%s is the sender's", name)
			}
		}
	}
	if got.Get("X-Mine") != "configured" {
		t.Errorf("X-Mine: %q, want the configured value", got.Get("X-Mine"))
	}
}

func TestRepeatedHeaderKeepsItsOrder(t *testing.T) {
	task := handlertest.NewTask(
		handlertest.WithHeader("X-Many", "1"), handlertest.WithHeader("X-Other", "o"),
		handlertest.WithHeader("x-many", "2"), handlertest.WithHeader("X-MANY", "3"))
	if got := strings.Join(sent(t, forward.Config{}, task).Values("X-Many"), " "); got != "1 2 3" {
		t.Errorf("X-Many: %q, want 1 2 3", got)
	}
}

func TestPassHeaders(t *testing.T) {
	task := handlertest.NewTask(handlertest.WithHeader("Authorization", "secret"))
	cfg := forward.Config{PassHeaders: []string{"content-type", "Authorization"}}
	got := sent(t, cfg, task)
	if got.Get("Content-Type") == "" {
		t.Error("Content-Type is listed and did not pass")
	}
	if got.Get("X-Github-Event") != "" {
		t.Error("X-Github-Event is not listed and passed")
	}
	if got.Get("Authorization") != "" {
		t.Error("Authorization never passes, and did by being listed")
	}
}

func TestHeaderInjectionSendsNothing(t *testing.T) {
	set := func(change func(*handler.Task)) *handler.Task { return handlertest.NewTask(change) }
	for name, task := range map[string]*handler.Task{
		"CRLF in a value": set(handlertest.WithHeader("X-Title", "a\r\nX-Admin: 1")),
		"LF in a value":   set(handlertest.WithHeader("X-Title", "a\nX-Admin: 1")),
		"NUL in a value":  set(handlertest.WithHeader("X-Title", "a\x00")),
		"CRLF in a name":  set(handlertest.WithHeader("X-Title: a\r\nX-Admin", "1")),
		"empty name":      set(handlertest.WithHeader("", "1")),
		"in the event":    set(func(task *handler.Task) { task.EventType = "push\r\nX-Admin: 1" }),
		"in the ID":       set(func(task *handler.Task) { task.DeliveryID = "1\r\n\r\nPOST / HTTP/1.1" }),
	} {
		t.Run(name, func(t *testing.T) {
			sink := handlertest.NewRecorder(t)
			_, err := newHandler(t, forward.Config{URL: sink.URL}).Handle(t.Context(), task)
			if !handler.IsDiscard(err) {
				t.Errorf("error %v, want one that discards", err)
			}
			if requests := sink.Requests(); len(requests) != 0 {
				t.Errorf("%d requests were sent", len(requests))
			}
		})
	}
}

// Whatever a sender writes, either nothing is sent or what arrives is one request with the right body, our own words
// about the task, and each header that passes.
func TestAnyHeaderBlock(t *testing.T) {
	sink := handlertest.NewRecorder(t)
	h := newHandler(t, forward.Config{URL: sink.URL})
	names := rapid.OneOf(
		rapid.StringMatching(`[A-Za-z][A-Za-z0-9-]{0,12}`),
		rapid.SampledFrom([]string{"Connection", "X-Hooktroupe-Task-Id", "Host", "Content-Length", "Expect"}),
		rapid.StringN(0, 4, 8))
	values := rapid.OneOf(rapid.StringMatching(`[ -~]{0,16}`), rapid.StringN(0, 4, 8))
	rapid.Check(t, func(rt *rapid.T) {
		task := handlertest.NewTask()
		for range rapid.IntRange(0, 8).Draw(rt, "headers") {
			task.Headers = append(task.Headers, handler.Header{Name: names.Draw(rt, "name"), Value: values.Draw(rt, "value")})
		}
		_, err := h.Handle(t.Context(), task)
		if handler.IsDiscard(err) {
			return
		}
		if err != nil {
			rt.Fatalf("neither sent nor discarded: %v", err)
		}
		got := sink.Next(t)
		if string(got.Body) != string(task.Body) || got.Header.Get(forward.HeaderTaskID) != task.ID {
			rt.Errorf("arrived: body %q, task %q", got.Body, got.Header.Get(forward.HeaderTaskID))
		}
		for name, values := range got.Header {
			if !httpguts.ValidHeaderFieldName(name) || len(values) == 0 {
				rt.Errorf("arrived: %q with %d values", name, len(values))
			}
		}
	})
}
