package exec_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/hooktroupe/hooktroupe/handler"
	"github.com/hooktroupe/hooktroupe/handler/exec"
	"github.com/hooktroupe/hooktroupe/handler/handlertest"
	"github.com/hooktroupe/hooktroupe/internal/tracing"
)

// seen runs env(1) and returns what it saw.
func seen(t testing.TB, cfg exec.Config, task *handler.Task) map[string]string {
	t.Helper()
	cfg.Command = []string{"env", "-0"}
	h, err := exec.New(cfg)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	result, err := h.Handle(t.Context(), task)
	if err != nil {
		t.Fatalf("Handle: %v", err)
	}
	variables := make(map[string]string)
	for line := range strings.SplitSeq(strings.TrimSuffix(string(result), "\x00"), "\x00") {
		name, value, _ := strings.Cut(line, "=")
		if _, twice := variables[name]; twice {
			t.Errorf("%s is set twice", name)
		}
		variables[name] = value
	}
	return variables
}

func TestTheTraceOfTheContextIsInTheEnvironment(t *testing.T) {
	h, err := exec.New(exec.Config{Command: []string{"env"}})
	if err != nil {
		t.Fatal(err)
	}
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	result, err := h.Handle(tracing.Follow(t.Context(), parent, "vendor=1"), handlertest.NewTask())
	if err != nil || !strings.Contains(string(result), "\nTRACEPARENT="+parent+"\nTRACESTATE=vendor=1\n") {
		t.Errorf("%v, %s", err, result)
	}
}

func TestEnvironmentIsAllThereIs(t *testing.T) {
	for name, value := range map[string]string{
		"PATH": "/bin:/usr/bin", "HOME": "/home/daemon", "LANG": "C.UTF-8", "TZ": "Europe/Vienna",
		"WANTED": "wanted", "REPLACED": "the daemon's", "DATABASE_PASSWORD": "secret", "HOOKTROUPE_TOKEN": "secret",
	} {
		t.Setenv(name, value)
	}
	cfg := exec.Config{
		Env: []string{"WANTED", "REPLACED", "NOT_THERE"},
		Set: map[string]string{"REPLACED": "the operator's", "TZ": "UTC", "EMPTY": ""},
	}
	task := handlertest.NewTask(handlertest.WithAttempt(7), handlertest.WithHeader("x-github-event", "a second one"))
	want := map[string]string{
		"PATH": "/bin:/usr/bin", "HOME": "/home/daemon", "LANG": "C.UTF-8", "TZ": "UTC",
		"WANTED": "wanted", "REPLACED": "the operator's", "EMPTY": "",
		"HOOKTROUPE_TASK_ID":                  task.ID,
		"HOOKTROUPE_ATTEMPT":                  "7",
		"HOOKTROUPE_SOURCE":                   task.Source,
		"HOOKTROUPE_EVENT":                    task.EventType,
		"HOOKTROUPE_DELIVERY_ID":              task.DeliveryID,
		"HOOKTROUPE_KEY":                      task.Key,
		"HOOKTROUPE_HEADER_CONTENT_TYPE":      "application/json",
		"HOOKTROUPE_HEADER_X_GITHUB_EVENT":    "push",
		"HOOKTROUPE_HEADER_X_GITHUB_DELIVERY": task.DeliveryID,
	}
	got := seen(t, cfg, task)
	for name, value := range want {
		if v, ok := got[name]; !ok || v != value {
			t.Errorf("%s=%q (there: %t), want %q", name, v, ok, value)
		}
	}
	for name, value := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("%s=%q is not expected", name, value)
		}
	}
}

func TestHeadersWithoutAVariable(t *testing.T) {
	for _, name := range []string{"", "X_Github_Event", "X.Dot", "X=Y", "X Y", "É", "X\x00", "X\nY", "BASH_FUNC_x%%"} {
		got := seen(t, exec.Config{}, handlertest.NewTask(
			func(task *handler.Task) { task.Headers = nil }, handlertest.WithHeader(name, "value")))
		for variable := range got {
			if strings.HasPrefix(variable, "HOOKTROUPE_HEADER_") {
				t.Errorf("header %q became %s", name, variable)
			}
		}
	}
}

func TestValuesAreNotInterpreted(t *testing.T) {
	value := "$(touch /tmp/x) `id`\n() { :;}; echo é \xff=\""
	got := seen(t, exec.Config{}, handlertest.NewTask(
		func(task *handler.Task) { task.Key = value }, handlertest.WithHeader("X-Title", value)))
	for _, name := range []string{"HOOKTROUPE_KEY", "HOOKTROUPE_HEADER_X_TITLE"} {
		if got[name] != value {
			t.Errorf("%s=%q, want %q", name, got[name], value)
		}
	}
}

func TestNULIsDiscarded(t *testing.T) {
	set := func(change func(*handler.Task)) *handler.Task { return handlertest.NewTask(change) }
	for name, task := range map[string]*handler.Task{
		"HOOKTROUPE_EVENT":          set(func(task *handler.Task) { task.EventType = "a\x00b" }),
		"HOOKTROUPE_DELIVERY_ID":    set(func(task *handler.Task) { task.DeliveryID = "a\x00b" }),
		"HOOKTROUPE_KEY":            set(func(task *handler.Task) { task.Key = "\x00" }),
		"HOOKTROUPE_HEADER_X_TITLE": set(handlertest.WithHeader("X-Title", "a\x00b")),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := newHandler(t, exec.Config{Command: []string{"false"}}).Handle(t.Context(), task)
			if !handler.IsDiscard(err) || !strings.Contains(err.Error(), name) {
				t.Errorf("error %v, want one that discards and names %s", err, name)
			}
		})
	}
}

// No header, whatever its name and value, sets a variable outside HOOKTROUPE_HEADER_ or one of ours.
func TestAnyHeaderStaysInItsPlace(t *testing.T) {
	base := seen(t, exec.Config{}, handlertest.NewTask(func(task *handler.Task) { task.Headers = nil }))
	rapid.Check(t, func(rt *rapid.T) {
		task := handlertest.NewTask(func(task *handler.Task) { task.Headers = nil })
		for range rapid.IntRange(0, 4).Draw(rt, "headers") {
			task.Headers = append(task.Headers, handler.Header{
				Name:  rapid.OneOf(rapid.StringMatching(`[A-Za-z0-9_=-]{0,8}`), rapid.StringN(0, 4, 8)).Draw(rt, "name"),
				Value: strings.ReplaceAll(rapid.StringN(0, 8, 16).Draw(rt, "value"), "\x00", ""),
			})
		}
		for name, value := range seen(t, exec.Config{}, task) {
			if strings.HasPrefix(name, "HOOKTROUPE_HEADER_") {
				continue
			}
			if v, ok := base[name]; !ok || v != value {
				rt.Errorf("%s=%q, which was %q before", name, value, v)
			}
		}
	})
}
