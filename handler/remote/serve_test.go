package remote_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/hooktroupe/hooktroupe/handler"
	"github.com/hooktroupe/hooktroupe/handler/handlertest"
	"github.com/hooktroupe/hooktroupe/handler/remote"
	"github.com/hooktroupe/hooktroupe/handler/remote/hub"
	"github.com/hooktroupe/hooktroupe/handler/remote/link"
	"github.com/hooktroupe/hooktroupe/handler/remote/linktest"
)

// start runs a hub until the test ends.
func start(t *testing.T, ca *linktest.CA) *hub.Hub {
	t.Helper()
	quiet := logrus.New()
	quiet.SetOutput(io.Discard)
	h, err := hub.New(hub.Config{
		Listen: "127.0.0.1:0", TLS: ca.Issue(t, "daemon"), AllowedKinds: []string{"review", "stuck"}, Log: quiet,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Stop)
	return h
}

// both starts a hub and a member of it.
func both(t *testing.T, change func(*memberConfig)) (*hub.Hub, *process) {
	t.Helper()
	ca := linktest.NewCA(t)
	h := start(t, ca)
	c := memberConfig{Daemon: h.Address(), Kind: "review", Credits: 8, TLS: ca.Issue(t, "worker")}
	if change != nil {
		change(&c)
	}
	p := launch(t, c)
	p.says("registered")
	return h, p
}

func event(name string) *handler.Task {
	return handlertest.NewTask(func(t *handler.Task) { t.EventType = name })
}

// begin calls the handler from a goroutine that ends with the call.
func begin(ctx context.Context, h *hub.Hub, t *handler.Task) <-chan error {
	done := make(chan error, 1) // the one end
	go func() {
		_, err := h.Handler("review").Handle(ctx, t)
		done <- err
	}()
	return done
}

func await(t *testing.T, done <-chan error) error {
	t.Helper()
	select {
	case err := <-done:
		return err
	case <-time.After(linktest.Bound):
		t.Fatal("the attempt did not end")
		return nil
	}
}

func TestConformance(t *testing.T) {
	if linktest.Alone(t) {
		return
	}
	h, p := both(t, nil)
	inner := h.Handler("review")
	handlertest.Run(t, handlertest.Subject{
		New: func(*testing.T) handler.Handler { return inner },
		Stuck: func(*testing.T) (handler.Handler, func()) {
			stuck := handler.Func(func(ctx context.Context, task *handler.Task) ([]byte, error) {
				task.ID, task.EventType = "stuck", "stuck"
				return inner.Handle(ctx, task)
			})
			return stuck, func() { p.says("running stuck") }
		},
	})
}

// A task arrives as it was sent.
func TestTaskCrossesUnharmed(t *testing.T) {
	if linktest.Alone(t) {
		return
	}
	h, _ := both(t, nil)
	sent := handlertest.NewTask(func(t *handler.Task) {
		t.DeliveryID, t.Key, t.Route, t.Attempt = "d", "k", "r", 7
		t.Body = []byte{0, 0xff, '\n'}
	})
	result, err := h.Handler("review").Handle(t.Context(), sent)
	if err != nil {
		t.Fatal(err)
	}
	var seen handler.Task
	if err := json.Unmarshal(result, &seen); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(&seen, sent) {
		t.Errorf("arrived as %+v, sent as %+v", &seen, sent)
	}
}

func TestOutcomesCross(t *testing.T) {
	if linktest.Alone(t) {
		return
	}
	h, _ := both(t, nil)
	for name, as := range map[string]func(error) bool{
		"discard": handler.IsDiscard,
		"retry":   func(err error) bool { return handler.After(err) == time.Minute && err.Error() == "no good" },
		"exit":    func(err error) bool { return !handler.IsDiscard(err) && !errors.Is(err, handler.ErrLost) },
		"panic": func(err error) bool {
			var crash *handler.CrashError
			return errors.As(err, &crash) && strings.Contains(string(crash.Stack), "process_test.go")
		},
	} {
		t.Run(name, func(t *testing.T) {
			if err := await(t, begin(t.Context(), h, event(name))); err == nil || !as(err) {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestCancellationReachesTheHandler(t *testing.T) {
	if linktest.Alone(t) {
		return
	}
	h, p := both(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	done := begin(ctx, h, event("stuck"))
	p.says("running")
	cancel()
	if cause := p.says("cause:"); !strings.Contains(cause, remote.ErrCancelled.Error()) {
		t.Errorf("the handler saw %q", cause)
	}
	if err := await(t, done); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// The deadline holds in the member although nobody cancels: what is left of it travels with the attempt.
func TestDeadlineTravels(t *testing.T) {
	if linktest.Alone(t) {
		return
	}
	h, p := both(t, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	begin(ctx, h, event("stuck"))
	p.says("cause:")
}

func TestKilledMember(t *testing.T) {
	if linktest.Alone(t) {
		return
	}
	h, p := both(t, nil)
	done := begin(t.Context(), h, event("stuck"))
	p.says("running")
	killed := time.Now()
	p.signal(syscall.SIGKILL)
	if err := await(t, done); !errors.Is(err, handler.ErrLost) {
		t.Errorf("error %v, want ErrLost", err)
	}
	if took := time.Since(killed); took > 5*time.Second {
		t.Errorf("noticed after %s", took)
	}
}

func TestDrainFinishesWhatRuns(t *testing.T) {
	if linktest.Alone(t) {
		return
	}
	h, p := both(t, nil)
	done := begin(t.Context(), h, event("slow"))
	p.says("running")
	p.signal(syscall.SIGTERM)
	waitUntil(t, func() bool { return h.Members()[0].Draining })
	if _, err := io.WriteString(p.stdin, "go\n"); err != nil {
		t.Fatal(err)
	}
	if err := await(t, done); err != nil {
		t.Error(err)
	}
	p.says("drained")
	p.exits(0)
	waitUntil(t, func() bool { return len(h.Members()) == 0 })
}

func TestDrainGivesBackWhatDoesNotEnd(t *testing.T) {
	if linktest.Alone(t) {
		return
	}
	h, p := both(t, func(c *memberConfig) { c.Drain = 50 * time.Millisecond })
	done := begin(t.Context(), h, event("stuck"))
	p.says("running")
	p.signal(syscall.SIGTERM)
	p.says("cause: " + remote.ErrDrained.Error())
	if err := await(t, done); !errors.Is(err, handler.ErrLost) || !strings.Contains(err.Error(), remote.ErrDrained.Error()) {
		t.Errorf("error %v, want ErrLost because the member stops", err)
	}
	p.exits(0)
}

func TestDaemonThatStops(t *testing.T) {
	if linktest.Alone(t) {
		return
	}
	h, p := both(t, nil)
	done := begin(t.Context(), h, event("stuck"))
	p.says("running")
	h.Stop()
	if err := await(t, done); !errors.Is(err, handler.ErrLost) {
		t.Errorf("error %v, want ErrLost", err)
	}
	p.says("cause: " + remote.ErrDaemonLost.Error())
	p.signal(syscall.SIGTERM)
	p.exits(0)
}

func TestRefusedForGood(t *testing.T) {
	if linktest.Alone(t) {
		return
	}
	ca := linktest.NewCA(t)
	h := start(t, ca)
	p := launch(t, memberConfig{Daemon: h.Address(), Kind: "deploy", Credits: 1, TLS: ca.Issue(t, "worker")})
	p.says("refused")
	p.exits(3)
}

func TestConfig(t *testing.T) {
	files := linktest.NewCA(t).Issue(t, "worker")
	good := remote.Config{
		Daemon: "127.0.0.1:1", Listen: "127.0.0.1:0", Kind: "review", TLS: files, Handler: handler.Func(work),
	}
	for name, change := range map[string]func(*remote.Config){
		"no handler":              func(c *remote.Config) { c.Handler = nil },
		"no kind":                 func(c *remote.Config) { c.Kind = "" },
		"negative credits":        func(c *remote.Config) { c.Credits = -1 },
		"no daemon":               func(c *remote.Config) { c.Daemon = "" },
		"daemon without port":     func(c *remote.Config) { c.Daemon = "127.0.0.1" },
		"nowhere to listen":       func(c *remote.Config) { c.Listen = "" },
		"wildcard":                func(c *remote.Config) { c.Listen = "[::]:0" },
		"no certificate":          func(c *remote.Config) { c.TLS = link.TLS{} },
		"no TLS, daemon far away": func(c *remote.Config) { c.Insecure, c.Daemon = true, "192.0.2.1:8090" },
		"no TLS, listens to all":  func(c *remote.Config) { c.Insecure, c.Listen, c.Advertise = true, ":0", "127.0.0.1:1" },
	} {
		t.Run(name, func(t *testing.T) {
			c := good
			change(&c)
			ctx, cancel := context.WithTimeout(t.Context(), linktest.Bound)
			defer cancel()
			if err := remote.Serve(ctx, c); err == nil || ctx.Err() != nil {
				t.Errorf("error %v", err)
			}
		})
	}
}

// waitUntil waits for what the hub shows to become so.
func waitUntil(t *testing.T, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(linktest.Bound); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not so in time")
		}
	}
}
