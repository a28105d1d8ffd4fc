package local_test

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/hooktroupe/hooktroupe/handler"
	"github.com/hooktroupe/hooktroupe/handler/handlertest"
	"github.com/hooktroupe/hooktroupe/handler/local"
	"github.com/hooktroupe/hooktroupe/internal/clock"
)

var errWork = errors.New("the work failed")

// counter counts the attempts that its instance has seen, and does what the body says.
type counter struct {
	seen    int
	waiting chan struct{} // told of every attempt that hangs
}

// Receive works attempts.
func (c *counter) Receive(ctx actor.Context) {
	w, ok := ctx.Message().(*local.Work)
	if !ok {
		return
	}
	c.seen++
	switch string(w.Task.Body) {
	case "panic":
		panic("trouble")
	case "discard":
		w.Done(nil, handler.Discard(errWork))
	case "hang":
		c.waiting <- struct{}{}
		<-w.Context.Done()
	case "later":
		go w.Done([]byte("from elsewhere"), nil)
	default:
		w.Done([]byte(strconv.Itoa(c.seen)), nil)
		w.Done(nil, errWork) // counts for nothing
	}
}

// stage is a handler with its actors in a system of their own.
func stage(t *testing.T, c local.Config) (*local.Handler, *clock.Fake, chan struct{}) {
	t.Helper()
	waiting := make(chan struct{}, 10)
	c.Name = "counter"
	c.Props = actor.PropsFromProducer(func() actor.Actor { return &counter{waiting: waiting} })
	h, err := local.New(c)
	if err != nil {
		t.Fatal(err)
	}
	fake := clock.NewFake(time.Unix(1, 0))
	system := actor.NewActorSystem()
	pid := system.Root.Spawn(h.Props(fake))
	h.Attach(system, pid)
	t.Cleanup(func() {
		if err := system.Root.StopFuture(pid).Wait(); err != nil {
			t.Error(err)
		}
	})
	return h, fake, waiting
}

func handle(t *testing.T, h *local.Handler, key, body string) (string, error) {
	t.Helper()
	task := handlertest.NewTask()
	task.Key, task.Body = key, []byte(body)
	result, err := h.Handle(t.Context(), task)
	return string(result), err
}

func TestAnActorKeepsItsStateUntilItPanics(t *testing.T) {
	h, _, _ := stage(t, local.Config{})
	for _, want := range []string{"1", "2"} {
		if got, err := handle(t, h, "any", "count"); got != want || err != nil {
			t.Fatalf("%q, %v; want %s", got, err, want)
		}
	}
	if _, err := handle(t, h, "any", "discard"); !handler.IsDiscard(err) {
		t.Fatalf("error %v", err)
	}
	if got, err := handle(t, h, "any", "later"); got != "from elsewhere" || err != nil {
		t.Fatalf("%q, %v", got, err)
	}
	_, err := handle(t, h, "any", "panic")
	var crash *handler.CrashError
	if !errors.As(err, &crash) || crash.Value != "trouble" || len(crash.Stack) == 0 {
		t.Fatalf("error %v", err)
	}
	if got, err := handle(t, h, "other", "count"); got != "1" || err != nil {
		t.Fatalf("after the panic: %q, %v; want fresh state", got, err)
	}
}

func TestPanicsWithoutEndHarmNobody(t *testing.T) {
	h, _, _ := stage(t, local.Config{})
	for range 100 {
		if _, err := handle(t, h, "", "panic"); err == nil {
			t.Fatal("a panic is no error")
		}
	}
	if got, err := handle(t, h, "", "count"); got != "1" || err != nil {
		t.Fatalf("%q, %v", got, err)
	}
}

func TestPerKeyActorsDoNotWaitForEachOtherAndAreStoppedWhenIdle(t *testing.T) {
	h, fake, waiting := stage(t, local.Config{PerKey: true, IdleAfter: time.Minute, MaxActors: 2})
	ctx, cancel := context.WithCancel(t.Context())
	task := handlertest.NewTask()
	task.Key, task.Body = "busy", []byte("hang")
	ended := make(chan error, 1)
	go func() {
		_, err := h.Handle(ctx, task)
		ended <- err
	}()
	<-waiting
	for _, want := range []string{"1", "2"} {
		if got, err := handle(t, h, "other", "count"); got != want || err != nil {
			t.Fatalf("%q, %v; want %s", got, err, want)
		}
	}
	if _, err := handle(t, h, "third", "count"); !errors.Is(err, local.ErrTooMany) || handler.After(err) == 0 {
		t.Fatalf("one actor too many: %v", err)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Fatalf("cancelled: %v", err)
	}
	fake.Advance(time.Minute)
	if got, err := handle(t, h, "third", "count"); got != "1" || err != nil {
		t.Fatalf("after the idle ones were stopped: %q, %v", got, err)
	}
	if got, err := handle(t, h, "other", "count"); got != "1" || err != nil {
		t.Fatalf("an actor that was stopped: %q, %v; want fresh state", got, err)
	}
}

func TestWithoutAnActor(t *testing.T) {
	h, err := local.New(local.Config{Name: "x", Props: actor.PropsFromFunc(func(actor.Context) {})})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := handle(t, h, "", ""); !errors.Is(err, local.ErrNotRunning) {
		t.Errorf("not attached: %v", err)
	}
	for _, bad := range []local.Config{{}, {Name: "x"}, {Name: "x", Props: actor.PropsFromFunc(func(actor.Context) {}), IdleAfter: -1}} {
		if _, err := local.New(bad); err == nil {
			t.Errorf("took %+v", bad)
		}
	}
}
