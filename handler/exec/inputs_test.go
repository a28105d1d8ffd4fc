package exec_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/hooktroupe/hooktroupe/handler"
	"github.com/hooktroupe/hooktroupe/handler/exec"
	"github.com/hooktroupe/hooktroupe/handler/handlertest"
)

// giving makes every task add the same.
func giving(in exec.Inputs) func(*handler.Task) (exec.Inputs, error) {
	return func(*handler.Task) (exec.Inputs, error) { return in, nil }
}

// arguments runs a program that prints its arguments, each with a NUL behind it.
func arguments(t *testing.T, given []string) []string {
	t.Helper()
	cfg := exec.Config{Command: []string{"printf", `%s\0`, "first"}, Inputs: giving(exec.Inputs{Arguments: given})}
	result, err := newHandler(t, cfg).Handle(t.Context(), handlertest.NewTask())
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(result), "\x00"), "\x00")
}

// No value is split, joined, expanded or left out.
func TestArgumentsOfATask(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		given := rapid.SliceOfN(rapid.OneOf(
			rapid.SampledFrom([]string{"", "$(id)", "`id`", "; id", "* ?", "--help", "\n", "'\"", "\\n", "%s", "\xff"}),
			rapid.StringMatching(`[^\x00]{0,20}`),
		), 0, 6).Draw(rt, "arguments")
		if got, want := arguments(t, given), append([]string{"first"}, given...); !slices.Equal(got, want) {
			rt.Errorf("the program saw %q, want %q", got, want)
		}
	})
}

func TestVariablesOfATask(t *testing.T) {
	t.Setenv("INHERITED", "the daemon's")
	cfg := exec.Config{
		Env: []string{"INHERITED"}, Set: map[string]string{"SET": "set"}, Variables: []string{"INHERITED", "REF", "ABSENT", "HOME"},
		Inputs: giving(exec.Inputs{Variables: map[string]string{
			"INHERITED": "the sender's", "REF": "$(id)\n", "LD_PRELOAD": "not named", "SET": "not named",
		}}),
	}
	got := seen(t, cfg, handlertest.NewTask())
	for name, want := range map[string]string{"INHERITED": "the sender's", "REF": "$(id)\n", "SET": "set"} {
		if got[name] != want {
			t.Errorf("%s=%q, want %q", name, got[name], want)
		}
	}
	for _, name := range []string{"ABSENT", "LD_PRELOAD", "HOME"} {
		if value, there := got[name]; there {
			t.Errorf("%s=%q, want none", name, value)
		}
	}
}

func TestInputsThatNoProgramCanBeGiven(t *testing.T) {
	long := strings.Repeat("x", exec.MaxInputBytes)
	refused := errors.New("no such value")
	for name, test := range map[string]struct {
		in   exec.Inputs
		err  error
		want string
	}{
		"NUL in an argument": {in: exec.Inputs{Arguments: []string{"", "a\x00b"}}, want: "argument 2 would hold a NUL"},
		"NUL in a variable":  {in: exec.Inputs{Variables: map[string]string{"REF": "\x00"}}, want: "REF would hold a NUL"},
		"a long argument":    {in: exec.Inputs{Arguments: []string{long + "x"}}, want: "argument 1 would have"},
		"a long variable":    {in: exec.Inputs{Variables: map[string]string{"REF": long + "x"}}, want: "REF would have"},
		"too much together":  {in: exec.Inputs{Arguments: slices.Repeat([]string{long}, 6)}, want: "more than"},
		"an error":           {err: refused, want: refused.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := exec.Config{Command: []string{"false"}, Variables: []string{"REF"},
				Inputs: func(*handler.Task) (exec.Inputs, error) { return test.in, test.err }}
			_, err := newHandler(t, cfg).Handle(t.Context(), handlertest.NewTask())
			if !handler.IsDiscard(err) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one that discards and says %q", err, test.want)
			}
		})
	}
}

func TestLargestInputsRun(t *testing.T) {
	long := strings.Repeat("x", exec.MaxInputBytes)
	cfg := script(`echo $# ${#REF}`)
	cfg.Command = append(cfg.Command, "sh")
	cfg.Variables = []string{"REF"}
	cfg.Inputs = giving(exec.Inputs{Arguments: slices.Repeat([]string{long}, 4), Variables: map[string]string{"REF": long}})
	result, err := newHandler(t, cfg).Handle(t.Context(), handlertest.NewTask())
	if err != nil || string(result) != "4 98304\n" {
		t.Errorf("%q, %v; want 4 98304", result, err)
	}
}

func TestNamesOfVariables(t *testing.T) {
	for name, want := range map[string]string{"": "not the name", "A=B": "not the name", "HOOKTROUPE_KEY": "reserved", "SET": "in set"} {
		_, err := exec.New(exec.Config{Command: []string{"true"}, Set: map[string]string{"SET": ""}, Variables: []string{name}})
		if err == nil || !strings.Contains(err.Error(), "variables: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q in it", name, err, want)
		}
	}
}
