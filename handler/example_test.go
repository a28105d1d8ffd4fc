package handler_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/hooktroupe/hooktroupe/handler"
)

// A function is a handler. What it returns without an error is kept with the task.
func ExampleFunc() {
	greet := handler.Func(func(_ context.Context, t *handler.Task) ([]byte, error) {
		var push struct{ Ref string }
		if err := json.Unmarshal(t.Body, &push); err != nil {
			return nil, handler.Discard(err) // no later attempt will read it any better
		}
		return fmt.Appendf(nil, "attempt %d saw %s", t.Attempt, push.Ref), nil
	})

	result, err := greet.Handle(context.Background(), &handler.Task{
		ID: "0198f2a4-7c1e-7d3b-9a55-2f6f0c1d8e01", Attempt: 1, Source: "github", EventType: "push",
		Body: []byte(`{"ref":"refs/heads/main"}`),
	})
	fmt.Println(string(result), err)
	// Output: attempt 1 saw refs/heads/main <nil>
}

// The exact pair wins, then the event without its action, then any event of the source, then anything.
func ExampleMux() {
	none := handler.Func(func(context.Context, *handler.Task) ([]byte, error) { return nil, nil })
	mux := handler.NewMux()
	for _, b := range []struct{ source, event, name string }{
		{"github", "pull_request", "review"},
		{"github", "pull_request.closed", "tidy"},
		{handler.Any, handler.Any, "log"},
	} {
		if err := mux.Register(b.source, b.event, handler.Binding{Name: b.name, Handler: none, MaxAttempts: 5}); err != nil {
			fmt.Println(err)
		}
	}

	for _, event := range []string{"pull_request.opened", "pull_request.closed", "push"} {
		b, _ := mux.Lookup("github", event)
		fmt.Println(event, "goes to", b.Name)
	}
	// Output:
	// pull_request.opened goes to review
	// pull_request.closed goes to tidy
	// push goes to log
}

// Discard spares the attempts that are left: the task has failed.
func ExampleDiscard() {
	err := handler.Discard(errors.New("no such repository"))
	fmt.Println(err, handler.IsDiscard(err))
	// Output: no such repository true
}

// RetryAfter puts off the next attempt, as when a service says how long it will be busy.
func ExampleRetryAfter() {
	err := handler.RetryAfter(errors.New("rate limit reached"), 90*time.Second)
	fmt.Println(err, handler.After(err))
	// Output: rate limit reached 1m30s
}
