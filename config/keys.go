package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// walker compares a file with the structs it is for: what it holds beyond them is a problem, and where each key stands
// is remembered for what is found later.
type walker struct {
	file     string
	lines    map[string]int
	files    []string // that were read, or should have been
	problems Problems
}

// walk visits a node that is to become a value of that type.
func (w *walker) walk(node *yaml.Node, t reflect.Type, path string) {
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	w.lines[path] = node.Line
	switch {
	case node.Kind == yaml.MappingNode && t.Kind() == reflect.Pointer:
		w.walk(node, t.Elem(), path)
	case node.Kind == yaml.MappingNode && (t.Kind() == reflect.Struct || t.Kind() == reflect.Map):
		w.mapping(node, t, path)
	case node.Kind == yaml.SequenceNode && t.Kind() == reflect.Slice:
		for i, item := range node.Content {
			w.walk(item, t.Elem(), fmt.Sprintf("%s[%d]", path, i))
		}
	case node.Kind == yaml.MappingNode:
		w.problem(node.Line, path, "is a single value, not a map")
	case node.Kind == yaml.SequenceNode:
		w.problem(node.Line, path, "is a single value, not a list")
	case t.Kind() == reflect.Map && node.Tag != "!!null", t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct:
		w.problem(node.Line, path, "is not a single value")
	}
}

func (w *walker) mapping(node *yaml.Node, t reflect.Type, path string) {
	seen := make(map[string]bool)
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		name := key.Value
		if path == "" {
			name = strings.ToLower(name)
		}
		below := join(path, name)
		if seen[name] {
			w.problem(key.Line, below, "stands twice")
		}
		seen[name] = true
		if t.Kind() == reflect.Map {
			w.walk(value, t.Elem(), below)
			w.lines[below] = key.Line
			continue
		}
		field, known := fieldOf(t, name)
		if !known {
			w.problem(key.Line, below, unknown(t, name))
			continue
		}
		w.walk(value, field.Type, below)
		w.lines[below] = key.Line
	}
}

func (w *walker) problem(line int, path, message string) {
	w.problems = append(w.problems, Problem{File: w.file, Line: line, Path: path, Message: message})
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// fieldOf finds the field of a key.
func fieldOf(t reflect.Type, key string) (reflect.StructField, bool) {
	for i := range t.NumField() {
		if tag := t.Field(i).Tag.Get("koanf"); tag == key && tag != "-" {
			return t.Field(i), true
		}
	}
	return reflect.StructField{}, false
}

// unknown says that a key is unknown, and which one was meant.
func unknown(t reflect.Type, key string) string {
	best, distance := "", len(key)/2+1
	for i := range t.NumField() {
		candidate := t.Field(i).Tag.Get("koanf")
		if d := editDistance(key, candidate); candidate != "-" && d < distance {
			best, distance = candidate, d
		}
	}
	if best == "" {
		return "unknown key"
	}
	return fmt.Sprintf("unknown key; did you mean %q?", best)
}

// editDistance counts the letters to insert, delete, replace or swap with their neighbour (optimal string alignment).
func editDistance(a, b string) int {
	before, previous := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range previous {
		previous[j] = j
	}
	for i := 1; i <= len(a); i++ {
		current := make([]int, len(b)+1)
		current[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			current[j] = min(previous[j]+1, current[j-1]+1, previous[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				current[j] = min(current[j], before[j-2]+1)
			}
		}
		before, previous = previous, current
	}
	return previous[len(b)]
}

// leaf says whether a dotted path names a single value or a list of texts: what an environment variable can hold.
func leaf(path []string) (known bool, message string) {
	t := reflect.TypeFor[Config]()
	for i, name := range path {
		for t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		switch t.Kind() {
		case reflect.Map:
			t = t.Elem()
		case reflect.Struct:
			field, found := fieldOf(t, name)
			if !found {
				return false, unknown(t, name)
			}
			t = field.Type
		default:
			return false, fmt.Sprintf("%s holds no further keys", strings.Join(path[:i], "."))
		}
	}
	if slices.Contains([]reflect.Kind{reflect.Struct, reflect.Map, reflect.Pointer}, t.Kind()) {
		return false, "is not a single value"
	}
	return true, ""
}
