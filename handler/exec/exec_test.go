package exec_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hooktroupe/hooktroupe/handler"
	"github.com/hooktroupe/hooktroupe/handler/exec"
	"github.com/hooktroupe/hooktroupe/handler/handlertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// script is the configuration of a program that the shell interprets: the test's words, never a sender's.
func script(text string) exec.Config {
	return exec.Config{Command: []string{"/bin/sh", "-c", text}}
}

func newHandler(t *testing.T, cfg exec.Config, options ...exec.Option) *exec.Handler {
	t.Helper()
	h, err := exec.New(cfg, options...)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return h
}

func TestConformance(t *testing.T) {
	handlertest.Run(t, handlertest.Subject{
		New: func(t *testing.T) handler.Handler {
			return newHandler(t, exec.Config{Command: []string{"cat"}})
		},
		Stuck: func(t *testing.T) (handler.Handler, func()) {
			p := newPipe(t)
			cfg := script(`echo $$ > "$READY"; exec sleep 1000`)
			cfg.Set = map[string]string{"READY": p.path}
			return newHandler(t, cfg), func() { p.readPIDs(t, 1) }
		},
	})
}

func TestBodyIsStandardInput(t *testing.T) {
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	for name, body := range map[string][]byte{
		"nothing":     nil,
		"every byte":  every,
		"a full pipe": bytes.Repeat(every, 4096),
	} {
		t.Run(name, func(t *testing.T) {
			copied := filepath.Join(t.TempDir(), "body")
			cfg := exec.Config{Command: []string{"dd", "of=" + copied, "status=none"}}
			if _, err := newHandler(t, cfg).Handle(t.Context(), handlertest.NewTask(handlertest.WithBody(body))); err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(copied)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, body) {
				t.Errorf("the program read %d bytes that are not the %d of the body", len(got), len(body))
			}
		})
	}
}

func TestProgramThatReadsNothing(t *testing.T) {
	body := bytes.Repeat([]byte("x"), 1<<20)
	result, err := newHandler(t, script("echo done")).Handle(t.Context(), handlertest.NewTask(handlertest.WithBody(body)))
	if err != nil || string(result) != "done\n" {
		t.Errorf("Handle: %q, %v; want done", result, err)
	}
}

func TestArgumentsAreNotInterpreted(t *testing.T) {
	arguments := []string{"$HOME", "`id`", "a b", "*", "'", "", "--", "%s;"}
	cfg := exec.Config{Command: append([]string{"printf", `[%s]`}, arguments...)}
	result, err := newHandler(t, cfg).Handle(t.Context(), handlertest.NewTask())
	if want := "[" + strings.Join(arguments, "][") + "]"; err != nil || string(result) != want {
		t.Errorf("Handle: %q, %v; want %q", result, err, want)
	}
}

func TestDirectory(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	cfg := script("pwd -P")
	cfg.Dir = dir
	result, err := newHandler(t, cfg).Handle(t.Context(), handlertest.NewTask())
	if err != nil || strings.TrimSpace(string(result)) != dir {
		t.Errorf("Handle: %q, %v; want %q", result, err, dir)
	}
}

func TestResultIsTheStartOfTheOutput(t *testing.T) {
	for name, test := range map[string]struct{ writes, bound, want int }{
		"nothing":            {0, 0, 0},
		"short":              {7, 0, 7},
		"at the default":     {handler.MaxResultBytes, 0, handler.MaxResultBytes},
		"beyond the default": {1 << 20, 0, handler.MaxResultBytes},
		"beyond a bound":     {11, 10, 10},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := script(fmt.Sprintf("head -c %d /dev/zero", test.writes))
			cfg.MaxOutputBytes = test.bound
			result, err := newHandler(t, cfg).Handle(t.Context(), handlertest.NewTask())
			if err != nil || len(result) != test.want {
				t.Errorf("%d bytes, %v; want %d", len(result), err, test.want)
			}
		})
	}
}

func TestOutcomeByExit(t *testing.T) {
	tests := map[string]struct {
		script  string
		code    int
		signal  syscall.Signal
		discard bool
	}{
		"one":             {script: "exit 1", code: 1},
		"EX_TEMPFAIL":     {script: "exit 75", code: 75},
		"hundred":         {script: "exit 100", code: 100},
		"highest":         {script: "exit 255", code: 255},
		"to discard":      {script: "exit 65", code: 65, discard: true},
		"killed":          {script: "kill -KILL $$", code: -1, signal: syscall.SIGKILL},
		"terminated":      {script: "kill -TERM $$", code: -1, signal: syscall.SIGTERM},
		"output, failing": {script: "echo result; exit 3", code: 3},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			cfg := script(test.script)
			cfg.DiscardCodes = []int{65, 66}
			result, err := newHandler(t, cfg).Handle(t.Context(), handlertest.NewTask())
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.Code != test.code || exit.Signal != test.signal {
				t.Fatalf("error %v, want exit %d by signal %d", err, test.code, test.signal)
			}
			if handler.IsDiscard(err) != test.discard {
				t.Errorf("discarded: %t, want %t", !test.discard, test.discard)
			}
			if result != nil {
				t.Errorf("result %q beside an error", result)
			}
		})
	}
}

func TestErrorQuotesTheEndOfStderrSafely(t *testing.T) {
	cfg := script(`head -c 100000 /dev/zero >&2; printf 'first\n\033[31mlast words\r\n\n' >&2; exit 3`)
	_, err := newHandler(t, cfg).Handle(t.Context(), handlertest.NewTask())
	if err == nil {
		t.Fatal("completed, want a failure")
	}
	text := err.Error()
	if !strings.Contains(text, "exit status 3") || !strings.Contains(text, `last words"`) {
		t.Errorf("error %q says neither what nor why", text)
	}
	if strings.ContainsAny(text, "\x00\x1b\r\n") || len(text) > handler.MaxErrorBytes {
		t.Errorf("error of %d bytes, or with control bytes: %q", len(text), text)
	}
}

func TestProgramThatGoesAwayIsTriedAgain(t *testing.T) {
	program := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	h := newHandler(t, exec.Config{Command: []string{program}})
	if err := os.Remove(program); err != nil {
		t.Fatal(err)
	}
	_, err := h.Handle(t.Context(), handlertest.NewTask())
	if !errors.Is(err, os.ErrNotExist) || handler.IsDiscard(err) {
		t.Errorf("error %v, want one to try again that says it is gone", err)
	}
}

func TestConfigIsJudged(t *testing.T) {
	notExecutable := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(notExecutable, []byte("#!/bin/sh\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	with := func(change func(*exec.Config)) exec.Config {
		cfg := exec.Config{Command: []string{"cat"}}
		change(&cfg)
		return cfg
	}
	for name, test := range map[string]struct {
		cfg  exec.Config
		want string
	}{
		"no command":        {exec.Config{}, "command:"},
		"empty command":     {exec.Config{Command: []string{""}}, "command:"},
		"not found":         {exec.Config{Command: []string{"no-such-program-anywhere"}}, "command:"},
		"not executable":    {exec.Config{Command: []string{notExecutable}}, "command:"},
		"NUL":               {exec.Config{Command: []string{"cat", "a\x00b"}}, "command:"},
		"no directory":      {with(func(c *exec.Config) { c.Dir = "/no/such" }), "dir:"},
		"a file":            {with(func(c *exec.Config) { c.Dir = notExecutable }), "dir:"},
		"negative timeout":  {with(func(c *exec.Config) { c.Timeout = -1 }), "timeout:"},
		"negative grace":    {with(func(c *exec.Config) { c.KillGrace = -1 }), "kill_grace:"},
		"too much output":   {with(func(c *exec.Config) { c.MaxOutputBytes = 4097 }), "max_output_bytes:"},
		"negative output":   {with(func(c *exec.Config) { c.MaxOutputBytes = -1 }), "max_output_bytes:"},
		"discarded success": {with(func(c *exec.Config) { c.DiscardCodes = []int{0} }), "discard_codes:"},
		"no exit code":      {with(func(c *exec.Config) { c.DiscardCodes = []int{256} }), "discard_codes:"},
		"discarded retry":   {with(func(c *exec.Config) { c.DiscardCodes = []int{65, exec.TempFail} }), "discard_codes:"},
		"assignment in env": {with(func(c *exec.Config) { c.Env = []string{"A=b"} }), "env:"},
		"reserved in env":   {with(func(c *exec.Config) { c.Env = []string{"HOOKTROUPE_TOKEN"} }), "env:"},
		"empty in set":      {with(func(c *exec.Config) { c.Set = map[string]string{"": "v"} }), "set:"},
		"reserved in set":   {with(func(c *exec.Config) { c.Set = map[string]string{"HOOKTROUPE_KEY": "v"} }), "set:"},
		"NUL in set":        {with(func(c *exec.Config) { c.Set = map[string]string{"A": "hunter2\x00"} }), "set:"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := exec.New(test.cfg)
			if err == nil || !strings.HasPrefix(err.Error(), test.want) {
				t.Fatalf("New: %v, want an error that begins with %q", err, test.want)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error shows a value: %v", err)
			}
		})
	}
}

func TestConfigPrintsNoSecret(t *testing.T) {
	cfg := exec.Config{Command: []string{"deploy", "--token=hunter2"}, Set: map[string]string{"A": "hunter2"}}
	for _, text := range []string{fmt.Sprint(cfg), fmt.Sprintf("%+v", cfg), fmt.Sprintf("%#v", cfg)} {
		if text != "exec deploy" {
			t.Errorf("prints as %q", text)
		}
	}
}

func TestTimeout(t *testing.T) {
	cfg := script("echo so far >&2; exec sleep 1000")
	cfg.Timeout = 50 * time.Millisecond
	_, err := newHandler(t, cfg).Handle(t.Context(), handlertest.NewTask())
	if !errors.Is(err, context.DeadlineExceeded) || handler.IsDiscard(err) {
		t.Fatalf("error %v, want one to try again that says the time is up", err)
	}
	if !strings.Contains(err.Error(), "50ms") {
		t.Errorf("error %q does not say how long it waited", err)
	}
}
