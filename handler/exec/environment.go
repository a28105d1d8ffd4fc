package exec

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/hooktroupe/hooktroupe/handler"
	"github.com/hooktroupe/hooktroupe/internal/tracing"
)

// prefix begins the name of every variable that is about the task.
const prefix = "HOOKTROUPE_"

// always lists what every program inherits, where the daemon has it.
func always() []string { return []string{"PATH", "HOME", "LANG", "TZ"} }

// baseEnvironment is the part of the environment that is the same for every task.
func baseEnvironment(cfg Config, lookUp func(string) (string, bool)) []string {
	var base []string
	for _, name := range append(always(), cfg.Env...) {
		if _, replaced := cfg.Set[name]; replaced {
			continue
		}
		if slices.Contains(cfg.Variables, name) {
			continue
		}
		if value, ok := lookUp(name); ok {
			base = append(base, name+"="+value)
		}
	}
	for name, value := range cfg.Set {
		base = append(base, name+"="+value)
	}
	return base
}

// environment is the whole of it for one task, of whose own values only the named ones count. An error is about this
// delivery and no later attempt mends it.
func environment(
	ctx context.Context, base, names []string, values map[string]string, t *handler.Task,
) ([]string, error) {
	own := [...]struct{ name, value string }{
		{"TASK_ID", t.ID},
		{"ATTEMPT", strconv.Itoa(t.Attempt)},
		{"SOURCE", t.Source},
		{"EVENT", t.EventType},
		{"DELIVERY_ID", t.DeliveryID},
		{"KEY", t.Key},
	}
	env := make([]string, len(base), len(base)+len(names)+len(own)+len(t.Headers))
	copy(env, base)
	for _, name := range names {
		if value, ok := values[name]; ok {
			env = append(env, name+"="+value)
		}
	}
	for _, variable := range own {
		if holdsNUL(variable.value) {
			return nil, fmt.Errorf("%s%s would hold a NUL", prefix, variable.name)
		}
		env = append(env, prefix+variable.name+"="+variable.value)
	}
	if parent, state := tracing.Headers(ctx); parent != "" {
		env = append(env, "TRACEPARENT="+parent)
		if state != "" {
			env = append(env, "TRACESTATE="+state)
		}
	}
	taken := make(map[string]struct{}, len(t.Headers))
	for _, header := range t.Headers {
		name, ok := headerVariable(header.Name)
		if _, again := taken[name]; again || !ok {
			continue
		}
		if holdsNUL(header.Value) {
			return nil, fmt.Errorf("%s would hold a NUL", name)
		}
		taken[name] = struct{}{}
		env = append(env, name+"="+header.Value)
	}
	return env, nil
}

// headerVariable names the variable of a header, if it is one that gets a variable.
func headerVariable(header string) (string, bool) {
	var name strings.Builder
	name.Grow(len(prefix) + len("HEADER_") + len(header))
	name.WriteString(prefix + "HEADER_")
	for _, c := range []byte(header) {
		switch {
		case c == '-':
			c = '_'
		case 'a' <= c && c <= 'z':
			c -= 'a' - 'A'
		case 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		default:
			return "", false
		}
		name.WriteByte(c)
	}
	return name.String(), header != ""
}
