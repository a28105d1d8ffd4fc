package handlertest_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	osexec "os/exec"
	"strings"
	"testing"

	"github.com/hooktroupe/hooktroupe/handler"
	"github.com/hooktroupe/hooktroupe/handler/handlertest"
)

// broken are handlers that each break one clause of the contract, with what the suite must say of them. Each begins as
// the one that keeps it.
func broken() map[string]struct {
	handle handler.Func
	want   string
} {
	return map[string]struct {
		handle handler.Func
		want   string
	}{
		"changes the body": {func(ctx context.Context, t *handler.Task) ([]byte, error) {
			if len(t.Body) > 0 {
				t.Body[0]++
			}
			return nil, context.Cause(ctx)
		}, "the task was changed"},
		"changes a header": {func(ctx context.Context, t *handler.Task) ([]byte, error) {
			t.Headers[0].Value = ""
			return nil, context.Cause(ctx)
		}, "the task was changed"},
		"returns too much": {func(ctx context.Context, _ *handler.Task) ([]byte, error) {
			return make([]byte, handler.MaxResultBytes+1), context.Cause(ctx)
		}, "more than 4096"},
		"fails on large bodies": {func(ctx context.Context, t *handler.Task) ([]byte, error) {
			if len(t.Body) > 64<<10 {
				return nil, errors.New("too large for me")
			}
			return nil, context.Cause(ctx)
		}, "too large for me"},
		"fails some of many": {func(ctx context.Context, t *handler.Task) ([]byte, error) {
			if strings.HasSuffix(t.ID, "7") {
				return nil, errors.New("not in the mood")
			}
			return nil, context.Cause(ctx)
		}, "not in the mood"},
		"ignores its context": {func(context.Context, *handler.Task) ([]byte, error) {
			return nil, nil
		}, "no error although the context had ended"},
		"hides the cause": {func(ctx context.Context, _ *handler.Task) ([]byte, error) {
			if ctx.Err() != nil {
				return nil, errors.New("something went wrong")
			}
			return nil, nil
		}, "does not wrap the cause"},
		"discards when cancelled": {func(ctx context.Context, _ *handler.Task) ([]byte, error) {
			return nil, handler.Discard(context.Cause(ctx))
		}, "merely cut short"},
	}
}

// A suite that lets everything pass proves nothing: this runs it, in a process of its own, on each broken handler.
func TestSuiteFindsWhatIsBroken(t *testing.T) {
	const role = "HANDLERTEST_BROKEN"
	if name, ok := os.LookupEnv(role); ok {
		handlertest.Run(t, handlertest.Subject{New: func(*testing.T) handler.Handler { return broken()[name].handle }})
		return
	}
	for name, test := range broken() {
		t.Run(name, func(t *testing.T) {
			cmd := osexec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestSuiteFindsWhatIsBroken$")
			cmd.Env = append(os.Environ(), role+"="+name)
			output, err := cmd.CombinedOutput()
			var exit *osexec.ExitError
			if !errors.As(err, &exit) {
				t.Fatalf("the suite let it pass (%v)", err)
			}
			if !bytes.Contains(output, []byte(test.want)) {
				t.Errorf("the suite does not say %q:\n%s", test.want, output)
			}
		})
	}
}
