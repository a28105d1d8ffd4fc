package handlertest_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/hooktroupe/hooktroupe/handler/handlertest"
)

// post sends a body and returns the status and the whole answer.
func post(ctx context.Context, t *testing.T, client *http.Client, url, body string) (int, string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Test", "value")
	resp, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(answer), err
}

func TestRecorderRecordsBeforeItAnswers(t *testing.T) {
	for name, start := range map[string]func(testing.TB, ...handlertest.Answer) *handlertest.Recorder{
		"plain": handlertest.NewRecorder,
		"TLS":   handlertest.NewTLSRecorder,
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t)
			status, answer, err := post(t.Context(), t, r.Server.Client(), r.URL+"/hook?a=b", "body\x00")
			if err != nil || status != http.StatusOK || answer != "" {
				t.Fatalf("answered %d %q, %v; want an empty 200", status, answer, err)
			}
			if len(r.Requests()) != 1 {
				t.Fatalf("%d requests recorded, want 1", len(r.Requests()))
			}
			got := r.Next(t)
			if got.Method != http.MethodPost || got.Path != "/hook?a=b" || string(got.Body) != "body\x00" ||
				got.Header.Get("X-Test") != "value" || !strings.HasSuffix(r.URL, got.Host) || got.RemoteAddr == "" {
				t.Errorf("recorded %+v", got)
			}
		})
	}
}

func TestRecorderFollowsItsScript(t *testing.T) {
	r := handlertest.NewRecorder(t,
		handlertest.Answer{Status: http.StatusServiceUnavailable, Header: map[string]string{"Retry-After": "1"}},
		handlertest.Answer{Body: []byte("ok")},
		handlertest.Answer{Status: http.StatusGone})
	var got []int
	for range 5 {
		status, _, err := post(t.Context(), t, r.Server.Client(), r.URL, "")
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, status)
	}
	for i, want := range []int{503, 200, 410, 410, 410} {
		if got[i] != want {
			t.Errorf("answer %d: %d, want %d", i, got[i], want)
		}
	}
}

func TestRecorderHoldsUntilTheGateOpens(t *testing.T) {
	for name, hold := range map[string]func(*handlertest.Answer, <-chan struct{}){
		"the answer":       func(a *handlertest.Answer, gate <-chan struct{}) { a.Hold = gate },
		"half of its body": func(a *handlertest.Answer, gate <-chan struct{}) { a.HoldBody = gate },
	} {
		t.Run(name, func(t *testing.T) {
			gate := make(chan struct{})
			answer := handlertest.Answer{Body: bytes.Repeat([]byte("b"), 9)}
			hold(&answer, gate)
			r := handlertest.NewRecorder(t, answer)
			type result struct {
				body string
				err  error
			}
			done := make(chan result, 1) // the one request's
			go func() {
				_, body, err := post(t.Context(), t, r.Server.Client(), r.URL, "")
				done <- result{body, err}
			}()
			r.Next(t)
			select {
			case got := <-done:
				t.Fatalf("answered %q, %v before the gate opened", got.body, got.err)
			default:
			}
			close(gate)
			if got := <-done; got.err != nil || got.body != string(answer.Body) {
				t.Errorf("answered %q, %v; want all of the body", got.body, got.err)
			}
		})
	}
}

func TestRecorderNoticesACallerGone(t *testing.T) {
	r := handlertest.NewRecorder(t, handlertest.Answer{Hold: make(chan struct{})})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1) // the one request's
	go func() {
		_, _, err := post(ctx, t, r.Server.Client(), r.URL, "")
		done <- err
	}()
	r.Next(t)
	cancel()
	r.AwaitAbort(t)
	if err := <-done; err == nil {
		t.Error("an answer came that was held back for ever")
	}
}

func TestNewTaskSharesNothing(t *testing.T) {
	a, b := handlertest.NewTask(), handlertest.NewTask()
	a.Body[0], a.Headers[0].Value = 'x', "changed"
	if b.Body[0] == 'x' || b.Headers[0].Value == "changed" {
		t.Error("two tasks share their body or headers")
	}
	c := handlertest.Clone(b)
	c.Body[0], c.Headers[0].Value = 'x', "changed"
	if b.Body[0] == 'x' || b.Headers[0].Value == "changed" {
		t.Error("a clone shares its body or headers")
	}
}

func TestNewTaskAppliesChangesInOrder(t *testing.T) {
	task := handlertest.NewTask(handlertest.WithAttempt(2), handlertest.WithBody([]byte("one")),
		handlertest.WithBody([]byte("two")), handlertest.WithHeader("X-Last", "value"))
	last := task.Headers[len(task.Headers)-1]
	if task.Attempt != 2 || string(task.Body) != "two" || last.Name != "X-Last" || last.Value != "value" {
		t.Errorf("changes were not applied: %+v", task)
	}
}
