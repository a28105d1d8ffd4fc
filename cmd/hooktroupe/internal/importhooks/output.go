package importhooks

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"
)

// The entries are the parts of the configuration, with the keys that a hook can need.
type (
	sourceEntry struct {
		Type     string        `yaml:"type"`
		Secret   string        `yaml:"secret,omitempty"`
		Secrets  []string      `yaml:"secrets,omitempty"`
		Insecure bool          `yaml:"insecure,omitempty"`
		Aliases  []string      `yaml:"aliases,omitempty,flow"`
		Allow    []string      `yaml:"allow,omitempty,flow"`
		Generic  *genericEntry `yaml:"generic,omitempty"`
	}
	genericEntry struct {
		Scheme      string `yaml:"scheme,omitempty"`
		Header      string `yaml:"header,omitempty"`
		Algorithm   string `yaml:"algorithm,omitempty"`
		Prefix      string `yaml:"prefix,omitempty"`
		EventHeader string `yaml:"event_header,omitempty"`
		IDHeader    string `yaml:"id_header,omitempty"`
	}
	handlerEntry struct {
		Type      string            `yaml:"type"`
		Timeout   string            `yaml:"timeout"`
		Command   []string          `yaml:"command,flow"`
		Dir       string            `yaml:"dir,omitempty"`
		Arguments []string          `yaml:"arguments,omitempty"`
		Variables map[string]string `yaml:"variables,omitempty"`
	}
	routeEntry struct {
		Name        string `yaml:"name"`
		Source      string `yaml:"source"`
		Event       string `yaml:"event"`
		Filter      string `yaml:"filter,omitempty"`
		Handler     string `yaml:"handler"`
		MaxAttempts int    `yaml:"max_attempts"`
	}
)

const head = `# Made of a hooks file. Each hook is a source, a handler and a route.
# - A program runs once (max_attempts); raise it where a second run does no harm.
# - A program sees PATH, HOME, LANG and TZ of the daemon; name further variables in env.
# - Where a value of a sender could be taken for an option, put "--" at the end of command.
`

// YAML is the configuration. What it does not keep of the hooks is said in comments at its top.
func (r *Result) YAML() ([]byte, error) {
	var out bytes.Buffer
	out.WriteString(head)
	for _, w := range r.Warnings {
		fmt.Fprintf(&out, "# %s\n", printable(w.String()))
	}
	var root yaml.Node
	root.Kind = yaml.MappingNode
	if err := add(&root, "sources", r.sources); err != nil {
		return nil, err
	}
	if err := add(&root, "handlers", r.handlers); err != nil {
		return nil, err
	}
	if len(r.routes) > 0 {
		if err := addValue(&root, "routes", r.routes); err != nil {
			return nil, err
		}
	}
	if len(root.Content) == 0 {
		return out.Bytes(), nil
	}
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(&root); err != nil {
		return nil, err
	}
	return out.Bytes(), encoder.Close()
}

// add puts a map into a map, in its own order.
func add[T any](root *yaml.Node, key string, entries []entry[T]) error {
	if len(entries) == 0 {
		return nil
	}
	var below yaml.Node
	below.Kind = yaml.MappingNode
	for _, e := range entries {
		if err := addValue(&below, e.name, e.value); err != nil {
			return err
		}
	}
	return addValue(root, key, &below)
}

func addValue(root *yaml.Node, key string, value any) error {
	var name, node yaml.Node
	name.SetString(key)
	if err := node.Encode(value); err != nil {
		return err
	}
	root.Content = append(root.Content, &name, &node)
	return nil
}

// printable keeps a comment on its line, and a terminal as it is.
func printable(s string) string {
	return strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) {
			return '?'
		}
		return c
	}, s)
}
