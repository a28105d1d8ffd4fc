package forward_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hooktroupe/hooktroupe/handler"
	"github.com/hooktroupe/hooktroupe/handler/forward"
	"github.com/hooktroupe/hooktroupe/handler/handlertest"
)

// deadProxy is where the environment of every test here points: nothing listens on port 1 of loopback.
const deadProxy = "http://127.0.0.1:1"

// TestMain sets the proxy variables before anything reads them, for net/http reads them once in the life of a process.
func TestMain(m *testing.M) {
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"} {
		if err := os.Setenv(name, deadProxy); err != nil {
			panic(err)
		}
	}
	goleak.VerifyTestMain(m)
}

// newHandler makes a Handler for a recorder, and closes it with the test.
func newHandler(t *testing.T, cfg forward.Config, options ...forward.Option) *forward.Handler {
	t.Helper()
	h, err := forward.New(cfg, options...)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	t.Cleanup(h.Close)
	return h
}

func TestConformance(t *testing.T) {
	handlertest.Run(t, handlertest.Subject{
		New: func(t *testing.T) handler.Handler {
			return newHandler(t, forward.Config{URL: handlertest.NewRecorder(t).URL})
		},
		Stuck: func(t *testing.T) (handler.Handler, func()) {
			sink := handlertest.NewRecorder(t, handlertest.Answer{Hold: make(chan struct{})})
			return newHandler(t, forward.Config{URL: sink.URL}), func() { sink.Next(t) }
		},
	})
}

func TestForwardsBodyByteForByte(t *testing.T) {
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	bodies := map[string][]byte{
		"nothing":      nil,
		"invalid JSON": []byte("{\"a\": 1,}\r\n\x00"),
		"every byte":   every,
		"large":        bytes.Repeat(every, 4096),
	}
	sink := handlertest.NewRecorder(t)
	h := newHandler(t, forward.Config{URL: sink.URL + "/hook?token=t"})
	for name, body := range bodies {
		t.Run(name, func(t *testing.T) {
			if _, err := h.Handle(t.Context(), handlertest.NewTask(handlertest.WithBody(body))); err != nil {
				t.Fatal(err)
			}
			got := sink.Next(t)
			if !bytes.Equal(got.Body, body) {
				t.Errorf("the sink received %d bytes that are not the %d sent", len(got.Body), len(body))
			}
			if got.Method != http.MethodPost || got.Path != "/hook?token=t" {
				t.Errorf("%s %s, want POST /hook?token=t", got.Method, got.Path)
			}
		})
	}
}

func TestResultIsTheStartOfTheAnswer(t *testing.T) {
	tests := map[string]struct {
		answer, want int
		max          int
	}{
		"nothing":            {answer: 0, want: 0},
		"short":              {answer: 7, want: 7},
		"at the default":     {answer: handler.MaxResultBytes, want: handler.MaxResultBytes},
		"beyond the default": {answer: 1 << 20, want: handler.MaxResultBytes},
		"beyond a bound":     {answer: 11, want: 10, max: 10},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			answer := bytes.Repeat([]byte("r"), test.answer)
			sink := handlertest.NewRecorder(t, handlertest.Answer{Status: http.StatusAccepted, Body: answer})
			h := newHandler(t, forward.Config{URL: sink.URL, MaxResponseBytes: test.max})
			result, err := h.Handle(t.Context(), handlertest.NewTask())
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(result, answer[:test.want]) {
				t.Errorf("result of %d bytes, want the first %d", len(result), test.want)
			}
		})
	}
}

func TestConnectionsAreKept(t *testing.T) {
	full := bytes.Repeat([]byte("r"), handler.MaxResultBytes)
	for name, answer := range map[string]handlertest.Answer{
		"completed":           {Body: []byte("ok")},
		"completed, no body":  {Status: http.StatusNoContent},
		"completed, full":     {Body: full},
		"failed":              {Status: http.StatusServiceUnavailable, Body: []byte("busy")},
		"failed, and no body": {Status: http.StatusNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			sink := handlertest.NewRecorder(t, answer)
			h := newHandler(t, forward.Config{URL: sink.URL})
			for range 5 {
				_, _ = h.Handle(t.Context(), handlertest.NewTask()) // the outcome is another test's
			}
			first := sink.Next(t).RemoteAddr
			for range 4 {
				if next := sink.Next(t).RemoteAddr; next != first {
					t.Fatalf("a second connection, %s after %s", next, first)
				}
			}
		})
	}
}

func TestStaleConnectionIsReplaced(t *testing.T) {
	sink := handlertest.NewRecorder(t)
	h := newHandler(t, forward.Config{URL: sink.URL})
	for i := range 3 {
		if _, err := h.Handle(t.Context(), handlertest.NewTask()); err != nil {
			t.Fatalf("attempt %d: %v", i+1, err)
		}
		h.Close()
	}
	if n := len(sink.Requests()); n != 3 {
		t.Errorf("%d requests, want 3", n)
	}
}

func TestCancelAbortsTheExchange(t *testing.T) {
	tests := map[string]handlertest.Answer{
		"before the answer":  {Hold: make(chan struct{})},
		"amid a 200's body":  {Body: []byte("halfhalf"), HoldBody: make(chan struct{})},
		"amid a large body":  {Body: bytes.Repeat([]byte("b"), 4<<10), HoldBody: make(chan struct{})},
		"before a redirect":  {Status: http.StatusFound, Hold: make(chan struct{})},
		"before a rejection": {Status: http.StatusBadRequest, Hold: make(chan struct{})},
	}
	for name, answer := range tests {
		t.Run(name, func(t *testing.T) {
			sink := handlertest.NewRecorder(t, answer)
			h := newHandler(t, forward.Config{URL: sink.URL})
			reason := errors.New("task cancelled")
			ctx, cancel := context.WithCancelCause(t.Context())
			done := make(chan error, 1) // the one Handle's
			go func() {
				_, err := h.Handle(ctx, handlertest.NewTask())
				done <- err
			}()
			sink.Next(t)
			cancel(reason)
			sink.AwaitAbort(t)
			if err := <-done; !errors.Is(err, reason) {
				t.Errorf("error %v, want the cause", err)
			}
		})
	}
}

func TestTimeout(t *testing.T) {
	for name, answer := range map[string]handlertest.Answer{
		"no answer":           {Hold: make(chan struct{})},
		"a body without end":  {Body: []byte("halfhalf"), HoldBody: make(chan struct{})},
		"nothing but headers": {Body: []byte("1"), HoldBody: make(chan struct{})},
	} {
		t.Run(name, func(t *testing.T) {
			sink := handlertest.NewRecorder(t, answer)
			h := newHandler(t, forward.Config{URL: sink.URL, Timeout: 30 * time.Millisecond})
			_, err := h.Handle(t.Context(), handlertest.NewTask())
			if !errors.Is(err, context.DeadlineExceeded) || handler.IsDiscard(err) {
				t.Errorf("error %v, want one to try again that says the time is up", err)
			}
			if err == nil || !strings.Contains(err.Error(), "30ms") {
				t.Errorf("error %v does not say how long it waited", err)
			}
		})
	}
}

func TestSinkThatIsNotThere(t *testing.T) {
	sink := handlertest.NewRecorder(t)
	sink.Server.Close()
	h := newHandler(t, forward.Config{URL: sink.URL + "/secret-path"})
	_, err := h.Handle(t.Context(), handlertest.NewTask())
	if err == nil || handler.IsDiscard(err) {
		t.Fatalf("error %v, want one to try again", err)
	}
	if strings.Contains(err.Error(), "secret-path") {
		t.Errorf("error %q shows the path", err)
	}
}

func TestConfigIsJudged(t *testing.T) {
	key := forward.SigningKey{}
	tests := map[string]struct {
		cfg  forward.Config
		want string
	}{
		"no URL":               {forward.Config{}, "url:"},
		"relative URL":         {forward.Config{URL: "/hook"}, "url:"},
		"other scheme":         {forward.Config{URL: "file:///etc/passwd"}, "url:"},
		"no host":              {forward.Config{URL: "http://:80/"}, "url:"},
		"user information":     {forward.Config{URL: "http://user:hunter2@sink.example/"}, "url:"},
		"fragment":             {forward.Config{URL: "http://sink.example/#f"}, "url:"},
		"control byte":         {forward.Config{URL: "http://sink.example/\nhunter2"}, "url:"},
		"port zero":            {forward.Config{URL: "http://sink.example:0/"}, "url:"},
		"port too large":       {forward.Config{URL: "http://sink.example:65536/"}, "url:"},
		"negative timeout":     {forward.Config{URL: "http://sink.example/", Timeout: -1}, "timeout:"},
		"response too large":   {forward.Config{URL: "http://sink.example/", MaxResponseBytes: 4097}, "max_response_bytes:"},
		"negative response":    {forward.Config{URL: "http://sink.example/", MaxResponseBytes: -1}, "max_response_bytes:"},
		"negative connections": {forward.Config{URL: "http://sink.example/", MaxIdleConns: -1}, "max_idle_conns:"},
		"discarded success":    {forward.Config{URL: "http://sink.example/", DiscardStatuses: []int{404, 204}}, "discard_statuses:"},
		"key without cert":     {forward.Config{URL: "http://sink.example/", KeyFile: "k"}, "cert_file, key_file:"},
		"cert not there":       {forward.Config{URL: "http://sink.example/", CertFile: "/no", KeyFile: "/no"}, "cert_file, key_file:"},
		"CA not there":         {forward.Config{URL: "http://sink.example/", CAFile: "/no"}, "ca_file:"},
		"CA that is none":      {forward.Config{URL: "http://sink.example/", CAFile: "forward_test.go"}, "ca_file:"},
		"no prefix":            {forward.Config{URL: "http://sink.example/", Allow: make([]netip.Prefix, 1)}, "allow:"},
		"empty signing key":    {forward.Config{URL: "http://sink.example/", SigningKeys: []forward.SigningKey{key}}, "signing_keys[0]:"},
		"header twice":         {forward.Config{URL: "http://sink.example/", Headers: map[string]string{"X-A": "1", "x-a": "2"}}, "headers:"},
		"pass header":          {forward.Config{URL: "http://sink.example/", PassHeaders: []string{"a b"}}, "pass_headers:"},
	}
	for name, header := range map[string]string{"X-Line": "a\r\nb: hunter2", "no name": "v", "Host": "h", "Content-Length": "1",
		"x-hooktroupe-attempt": "9", "Transfer-Encoding": "chunked"} {
		tests["header "+name] = struct {
			cfg  forward.Config
			want string
		}{forward.Config{URL: "http://sink.example/", Headers: map[string]string{name: header}}, "headers:"}
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := forward.New(test.cfg)
			if err == nil || !strings.HasPrefix(err.Error(), test.want) {
				t.Fatalf("New: %v, want an error that begins with %q", err, test.want)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error shows a secret: %v", err)
			}
		})
	}
}

func TestConfigPrintsNoSecret(t *testing.T) {
	cfg := forward.Config{URL: "https://sink.example/T0/hunter2?k=hunter2", Headers: map[string]string{"Authorization": "hunter2"}}
	for _, text := range []string{cfg.String(), cfg.GoString(), forward.Config{URL: "://hunter2"}.String()} {
		if strings.Contains(text, "hunter2") {
			t.Errorf("%q shows a secret", text)
		}
	}
}
