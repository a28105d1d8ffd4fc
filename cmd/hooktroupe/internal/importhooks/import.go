package importhooks

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/hooktroupe/hooktroupe/route"
)

// Result is what became of a hooks file.
type Result struct {
	// Imported counts the hooks that the configuration holds; LeftOut names the others, in order.
	Imported int
	LeftOut  []string
	// Warnings name every key that is not kept, hook by hook.
	Warnings []Warning
	// Secrets are to be written where the configuration refers to them.
	Secrets []Secret

	sources  []entry[sourceEntry]
	handlers []entry[handlerEntry]
	routes   []routeEntry
}

// Warning is one key of a hook that the configuration does not keep.
type Warning struct {
	// Hook is its ID, or its place in the file where it has none.
	Hook string
	// Key is as the hooks file has it.
	Key string
	// Why is one clause, without secrets.
	Why string
}

// String is one line.
func (w Warning) String() string { return fmt.Sprintf("hook %q: %s: %s", w.Hook, w.Key, w.Why) }

// Secret is one that the configuration refers to by its file. It prints without its value.
type Secret struct {
	// Path is the file's.
	Path string
	// Value is its content.
	Value []byte
}

// String hides the value.
func (s Secret) String() string { return s.Path }

// GoString hides the value.
func (s Secret) GoString() string { return s.Path }

// entry is a named part of the configuration.
type entry[T any] struct {
	name  string
	value T
}

// importer makes one Result.
type importer struct {
	result  *Result
	folder  string
	secrets map[string]string // names of secret files, by value
	names   map[string]bool   // of sources
	ids     map[string]bool
}

// Import translates hooks. folder, absolute, is where the files of the secrets will be.
func Import(hooks []Hook, folder string) *Result {
	im := &importer{
		result: &Result{}, folder: folder,
		secrets: make(map[string]string), names: make(map[string]bool), ids: make(map[string]bool),
	}
	for i := range hooks {
		h := &hooks[i]
		label := string(h.ID)
		if label == "" {
			label = "#" + strconv.Itoa(i+1)
		}
		one := &translation{hook: h, label: label}
		if key, err := im.hook(one); err != nil {
			one.warnings = []Warning{{Hook: label, Key: key, Why: "left out: " + err.Error()}}
			im.result.LeftOut = append(im.result.LeftOut, label)
		} else {
			im.result.Imported++
		}
		im.result.Warnings = append(im.result.Warnings, one.warnings...)
	}
	return im.result
}

// translation is the work on one hook.
type translation struct {
	hook     *Hook
	label    string
	warnings []Warning
}

func (t *translation) warn(key, format string, args ...any) {
	t.warnings = append(t.warnings, Warning{Hook: t.label, Key: key, Why: fmt.Sprintf(format, args...)})
}

// hook translates one. An error is why it is left out, and key what of it was the reason.
func (im *importer) hook(t *translation) (key string, err error) {
	h := t.hook
	switch {
	case h.ID == "":
		return "id", errors.New("it has none")
	case im.ids[t.label]:
		return "id", errors.New("another hook has it")
	case h.Command == "":
		return "execute-command", errors.New("it has none")
	case len(h.Methods) > 0 && !slices.ContainsFunc(h.Methods, isPost):
		return "http-methods", errors.New("deliveries come by POST only")
	}
	d := demands{filter: constant(true)}
	if h.Rule != nil {
		if d, err = h.demand(h.Rule, false); err != nil {
			return "trigger-rule", err
		}
	}
	if d.filter.op == 'f' {
		return "trigger-rule", errors.New("it is never true")
	}
	if len(d.filter.kids) > 0 || d.filter.op == 'x' {
		if _, err := route.Compile(d.filter.String()); err != nil {
			return "trigger-rule", fmt.Errorf("as a filter it is refused: %w", err)
		}
	}
	s, err := t.source(d)
	if err != nil {
		return "trigger-rule", err
	}
	handler, err := t.handler()
	if err != nil {
		return "execute-command", err
	}
	t.answers()
	name := im.name(t.label)
	s.Aliases = t.aliases()
	s.Secret, s.Secrets = im.references(name, d)
	r := routeEntry{Name: name, Source: name, Event: "*", Handler: name, MaxAttempts: 1}
	if d.filter.op != 't' {
		r.Filter = d.filter.String()
	}
	im.ids[t.label] = true
	im.result.sources = append(im.result.sources, entry[sourceEntry]{name, s})
	im.result.handlers = append(im.result.handlers, entry[handlerEntry]{name, handler})
	im.result.routes = append(im.result.routes, r)
	return "", nil
}

func isPost(method text) bool { return strings.EqualFold(strings.TrimSpace(string(method)), "POST") }

var notInNames = regexp.MustCompile(`[^a-z0-9_-]+`)

// name makes a name of an ID that no other hook has.
func (im *importer) name(id string) string {
	base := strings.Trim(notInNames.ReplaceAllString(strings.ToLower(id), "-"), "-_")
	base = base[:min(len(base), 50)]
	if base == "" {
		base = "hook"
	}
	name := base
	for n := 2; im.names[name]; n++ {
		name = fmt.Sprintf("%s-%d", base, n)
	}
	im.names[name] = true
	return name
}

// references makes files of the secrets: one for each, whoever shares it.
func (im *importer) references(name string, d demands) (one string, several []string) {
	if len(d.proofs) == 0 {
		return "", nil
	}
	for i, value := range slices.Compact(slices.Clone(d.proofs[0].secrets)) {
		path, known := im.secrets[value]
		if !known {
			path = filepath.Join(im.folder, name)
			if i > 0 {
				path += "." + strconv.Itoa(i+1)
			}
			im.secrets[value] = path
			// A line end of its own keeps one that the secret ends in.
			im.result.Secrets = append(im.result.Secrets, Secret{Path: path, Value: []byte(value + "\n")})
		}
		several = append(several, "file:"+path)
	}
	if len(several) == 1 {
		return several[0], nil
	}
	return "", several
}
