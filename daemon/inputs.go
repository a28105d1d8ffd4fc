package daemon

import (
	"fmt"
	"maps"
	"slices"

	"github.com/hooktroupe/hooktroupe/config"
	"github.com/hooktroupe/hooktroupe/handler"
	"github.com/hooktroupe/hooktroupe/handler/exec"
	"github.com/hooktroupe/hooktroupe/route"
)

// inputs are the arguments and variables of an exec handler that expressions make of a delivery.
type inputs struct {
	names       []string            // of the variables, sorted
	expressions []*route.Expression // of the arguments, then of the variables
}

// newInputs compiles the expressions of a handler. Every error names the key at fault.
func newInputs(h config.Handler) (*inputs, error) {
	in := &inputs{names: slices.Sorted(maps.Keys(h.Variables))}
	for i, text := range h.Arguments {
		e, err := route.Compile(text)
		if err != nil {
			return nil, fmt.Errorf("arguments[%d]: %w", i, err)
		}
		in.expressions = append(in.expressions, e)
	}
	for _, name := range in.names {
		e, err := route.Compile(h.Variables[name])
		if err != nil {
			return nil, fmt.Errorf("variables.%s: %w", name, err)
		}
		in.expressions = append(in.expressions, e)
	}
	return in, nil
}

// of evaluates them for a task. An argument that is not there is empty, so that the others keep their places.
func (in *inputs) of(t *handler.Task) (exec.Inputs, error) {
	if len(in.expressions) == 0 {
		return exec.Inputs{}, nil
	}
	d := &route.Delivery{
		Source: t.Source, EventType: t.EventType, DeliveryID: t.DeliveryID, Key: t.Key, Body: t.Body, ReceivedAt: t.ReceivedAt,
	}
	for _, h := range t.Headers {
		d.Headers = append(d.Headers, route.Header{Name: h.Name, Value: h.Value})
	}
	texts, err := route.Texts(d, in.expressions)
	if err != nil {
		return exec.Inputs{}, fmt.Errorf("arguments and variables: %w", err)
	}
	result := exec.Inputs{Variables: make(map[string]string)}
	arguments := len(texts) - len(in.names)
	for _, text := range texts[:arguments] {
		result.Arguments = append(result.Arguments, text.Value)
	}
	for i, text := range texts[arguments:] {
		if text.Present {
			result.Variables[in.names[i]] = text.Value
		}
	}
	return result, nil
}
