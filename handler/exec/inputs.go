package exec

import (
	"fmt"

	"github.com/hooktroupe/hooktroupe/handler"
)

const (
	// MaxInputBytes bounds one argument or variable that a task adds: Linux takes 128 KiB, with name and NUL.
	MaxInputBytes = 96 << 10
	// MaxInputsBytes bounds all of them together.
	MaxInputsBytes = 512 << 10
)

// Inputs are what one task adds to its run. The values are a sender's words: they reach the program as they are, and no
// shell. A program that takes options needs a -- at the end of Config.Command, lest a value be one.
type Inputs struct {
	// Arguments follow those of Config.Command.
	Arguments []string
	// Variables are values by name. Names that are not in Config.Variables are left out; a name without a value is not set.
	Variables map[string]string
}

// inputsOf asks for what the task adds and checks that a program can be given it.
func (h *Handler) inputsOf(t *handler.Task) (Inputs, error) {
	if h.inputs == nil {
		return Inputs{}, nil
	}
	in, err := h.inputs(t)
	if err != nil {
		return Inputs{}, err
	}
	total := 0
	check := func(what string, value string) error {
		total += len(value)
		switch {
		case holdsNUL(value):
			return fmt.Errorf("%s would hold a NUL", what)
		case len(value) > MaxInputBytes:
			return fmt.Errorf("%s would have %d bytes, more than %d", what, len(value), MaxInputBytes)
		case total > MaxInputsBytes:
			return fmt.Errorf("arguments and variables would have more than %d bytes", MaxInputsBytes)
		}
		return nil
	}
	for i, value := range in.Arguments {
		if err := check(fmt.Sprintf("argument %d", i+1), value); err != nil {
			return Inputs{}, err
		}
	}
	for _, name := range h.variables {
		if err := check(name, in.Variables[name]); err != nil {
			return Inputs{}, err
		}
	}
	return in, nil
}
