package logger_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/sirupsen/logrus"

	"github.com/hooktroupe/hooktroupe/handler"
	"github.com/hooktroupe/hooktroupe/handler/handlertest"
	"github.com/hooktroupe/hooktroupe/handler/logger"
)

// newLog returns a logger that writes JSON lines to w, without their time.
func newLog(w io.Writer) *logrus.Logger {
	log := logrus.New()
	log.SetOutput(w)
	log.SetFormatter(&logrus.JSONFormatter{DisableTimestamp: true})
	return log
}

func TestConformance(t *testing.T) {
	handlertest.Run(t, handlertest.Subject{
		New: func(*testing.T) handler.Handler { return logger.New(newLog(io.Discard)) },
	})
}

func TestEntry(t *testing.T) {
	tests := map[string]struct {
		change func(*handler.Task)
		want   string
	}{
		"all there is": {
			func(*handler.Task) {},
			`{"bytes":65,"delivery.id":"72d3162e-cc78-11e3-81ab-4c9367dc0958","event":"push","key":"octo/hello",` +
				`"level":"info","msg":"delivery logged","source":"github","task.attempt":1,` +
				`"task.id":"0198f2a4-7c1e-7d3b-9a55-2f6f0c1d8e01"}`,
		},
		"no delivery ID, no key, no body": {
			func(task *handler.Task) { task.DeliveryID, task.Key, task.Body, task.Attempt = "", "", nil, 4 },
			`{"bytes":0,"event":"push","level":"info","msg":"delivery logged","source":"github","task.attempt":4,` +
				`"task.id":"0198f2a4-7c1e-7d3b-9a55-2f6f0c1d8e01"}`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			if _, err := logger.New(newLog(&out)).Handle(t.Context(), handlertest.NewTask(test.change)); err != nil {
				t.Fatal(err)
			}
			if got := strings.TrimSpace(out.String()); got != test.want {
				t.Errorf("logged\n\t%s, want\n\t%s", got, test.want)
			}
		})
	}
}

func TestEntryIsOneLineWithoutBodyOrHeaders(t *testing.T) {
	const secret = "hunter2"
	var out bytes.Buffer
	task := handlertest.NewTask(handlertest.WithBody([]byte(secret)), handlertest.WithHeader("X-Token", secret),
		func(task *handler.Task) { task.EventType = "push\n{\"level\":\"error\"}\x1b[2J" })
	if _, err := logger.New(newLog(&out)).Handle(t.Context(), task); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.String(), secret) {
		t.Errorf("the entry shows the body or a header: %s", &out)
	}
	var entry map[string]any
	if err := json.Unmarshal(out.Bytes(), &entry); err != nil {
		t.Fatalf("not one JSON value: %v", err)
	}
	if strings.Count(out.String(), "\n") != 1 || strings.ContainsRune(out.String(), '\x1b') {
		t.Errorf("not one clean line: %q", &out)
	}
}

func TestEndedContextLogsNothing(t *testing.T) {
	reason := errors.New("task cancelled")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(reason)
	var out bytes.Buffer
	if _, err := logger.New(newLog(&out)).Handle(ctx, handlertest.NewTask()); !errors.Is(err, reason) {
		t.Errorf("error %v, want the cause", err)
	}
	if out.Len() != 0 {
		t.Errorf("logged %s", &out)
	}
}
