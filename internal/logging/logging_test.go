package logging_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/hooktroupe/hooktroupe/internal/logging"
	"github.com/hooktroupe/hooktroupe/messages"
)

// entries runs a test's logging and returns what was written.
func entries(t *testing.T, level string, log func(*slog.Logger)) []map[string]any {
	t.Helper()
	var out bytes.Buffer
	logger, err := logging.New(&out, level, "json")
	if err != nil {
		t.Fatal(err)
	}
	log(logging.Bridge(logger, "actor library"))
	var all []map[string]any
	for line := range strings.Lines(out.String()) {
		var entry map[string]any
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		all = append(all, entry)
	}
	return all
}

func TestBridgeKeepsBodiesOut(t *testing.T) {
	const body = "SECRET-PAYLOAD"
	delivery := &messages.Delivery{Source: "github", Body: []byte(body)}
	for name, value := range map[string]any{
		"logs itself": &messages.AcceptDelivery{Delivery: delivery},
		"a struct":    struct{ Body string }{body},
		"bytes":       []byte(body),
		"a function":  func() string { return body },
	} {
		got := entries(t, "info", func(l *slog.Logger) { l.Info("dead letter", slog.Any("message", value)) })
		text, _ := json.Marshal(got)
		if len(got) != 1 || strings.Contains(string(text), body) {
			t.Errorf("%s: %s", name, text)
		}
	}
}

func TestBridgeMapsLevelsGroupsAndValues(t *testing.T) {
	got := entries(t, "info", func(l *slog.Logger) {
		l.Debug("not shown")
		l.WithGroup("g").With("a", 1).Warn("grouped", slog.Group("h", slog.Bool("b", true)), "err", errors.New("why"))
		l.Info("[ACTOR] Recovering")
	})
	if len(got) != 2 {
		t.Fatalf("%d entries: %v", len(got), got)
	}
	first := got[0]
	if first["level"] != "warning" || first["g.a"] != 1.0 || first["g.h.b"] != true || first["g.err"] != "why" ||
		first["component"] != "actor library" {
		t.Errorf("got %v", first)
	}
	if got[1]["level"] != "warning" {
		t.Errorf("a recovering actor is logged at %v", got[1]["level"])
	}
}

func TestCleanEscapesAndCuts(t *testing.T) {
	cases := map[string]string{
		"plain":                 "plain",
		"two\nlines":            `two\nlines`,
		"\x1b[31mred":           `\x1b[31mred`,
		"\xff":                  `\xff`,
		"12345678901":           "1234567890…",
		"äöü äöü":               "äöü ä…", // cut at a letter, not within one
		`a "quote"`:             `a "quote"`,
		"zero\x00":              `zero\x00`,
		strings.Repeat("x", 10): strings.Repeat("x", 10),
	}
	for in, want := range cases {
		if got := logging.Clean(in, 10); got != want {
			t.Errorf("Clean(%q) = %q, want %q", in, got, want)
		}
	}
	if got := logging.Clean("a\u202eb", 10); got != `a\u202eb` {
		t.Errorf("a direction mark became %q", got)
	}
}

func TestNewRefusesUnknownWords(t *testing.T) {
	if _, err := logging.New(&bytes.Buffer{}, "loud", "json"); err == nil {
		t.Error("an unknown level was taken")
	}
	if _, err := logging.New(&bytes.Buffer{}, "info", "xml"); err == nil {
		t.Error("an unknown format was taken")
	}
}
