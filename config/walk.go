package config

import (
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// maxNodes bounds what a file comes to when its aliases are followed.
const maxNodes = 100_000

// place is where something stands in the file, both from 1. Columns count characters.
type place struct{ line, column int }

// walker turns a file into values, and compares it with the structs it is for: what it holds beyond them, or of another
// type, is a problem and left out, and where each key stands is remembered for what is found later.
type walker struct {
	file     string
	lines    []string         // of the file
	places   map[string]place // of values; of the key, where it holds further ones
	plain    map[string]int   // the columns of texts that stand as they are
	strange  map[string]bool  // the paths below which there are unknown keys
	files    []string         // that were read, or should have been
	problems Problems

	nodes     int                 // that were visited
	following map[*yaml.Node]bool // the anchors that are being followed
}

func newWalker(file string) *walker {
	return &walker{
		file: file, places: make(map[string]place), plain: make(map[string]int), strange: make(map[string]bool),
		following: make(map[*yaml.Node]bool),
	}
}

// parse reads the one document of a file; nil where it is empty, or no YAML, which is a problem.
func (w *walker) parse(text []byte) *yaml.Node {
	w.lines = strings.Split(string(text), "\n")
	decoder := yaml.NewDecoder(strings.NewReader(string(text)))
	var document, second yaml.Node
	err := decoder.Decode(&document)
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err == nil {
		err = decoder.Decode(&second)
		if err == nil {
			w.problem(w.secondDocument(&second), "YAML", "a second document begins here; everything must stand in one")
			err = io.EOF
		}
	}
	if !errors.Is(err, io.EOF) {
		w.problem(w.syntax(err), "YAML", w.explain(err))
		return nil
	}
	return document.Content[0]
}

// secondDocument is the line with the dashes above it.
func (w *walker) secondDocument(second *yaml.Node) place {
	line := max(second.Line, 1)
	for at := min(line, len(w.lines)); at > 0; at-- {
		if strings.HasPrefix(w.lines[at-1], "---") {
			return place{at, 1}
		}
	}
	return place{line, 1}
}

var (
	lineOfSyntax = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)
	indentedBy   = regexp.MustCompile(`^ *\t[ \t]*[^ \t#\r]`)
)

// syntax is where a file stops being YAML: at the first tab that indents, if there is one.
func (w *walker) syntax(err error) place {
	if tab := w.tab(); tab.line > 0 {
		return tab
	}
	at := place{}
	if found := lineOfSyntax.FindStringSubmatch(err.Error()); found != nil && found[1] != "" {
		_, _ = fmt.Sscan(found[1], &at.line)
	}
	return at
}

func (w *walker) explain(err error) string {
	if w.tab().line > 0 {
		return "a tab indents this line; YAML takes spaces only"
	}
	return lineOfSyntax.ReplaceAllString(err.Error(), "")
}

// tab is the first that indents a line.
func (w *walker) tab() place {
	for i, line := range w.lines {
		if indentedBy.MatchString(line) {
			return place{i + 1, strings.IndexByte(line, '\t') + 1}
		}
	}
	return place{}
}

// walk visits a node that is to become a value of that type, and returns it. What is wrong is a problem; in its place
// stands what a value of that type is at first, so that the rest can be judged.
func (w *walker) walk(node *yaml.Node, t reflect.Type, path string, tags reflect.StructTag) any {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	at := place{node.Line, node.Column}
	if w.nodes++; w.nodes > maxNodes {
		if w.nodes == maxNodes+1 {
			w.problem(at, path, "the file comes to too much: its aliases multiply")
		}
		return nil
	}
	if node.Kind == yaml.AliasNode {
		if w.following[node.Alias] {
			return w.wrong(at, t, path, fmt.Sprintf("*%s refers to itself", node.Value))
		}
		w.following[node.Alias] = true
		defer delete(w.following, node.Alias)
		node = node.Alias
	}
	w.places[path] = at
	return w.node(node, at, t, path, tags)
}

// node is walk for what no alias stands before any more.
func (w *walker) node(node *yaml.Node, at place, t reflect.Type, path string, tags reflect.StructTag) any {
	_, holdsKeys := section(t)
	mapping := t.Kind() == reflect.Map || t.Kind() == reflect.Struct && holdsKeys
	switch {
	case node.Kind == yaml.MappingNode && mapping:
		return w.mapping(node, t, path)
	case node.Kind == yaml.SequenceNode && t.Kind() == reflect.Slice:
		list := make([]any, len(node.Content))
		for i, item := range node.Content {
			list[i] = w.walk(item, t.Elem(), fmt.Sprintf("%s[%d]", path, i), "")
		}
		return list
	case node.Kind == yaml.MappingNode && t.Kind() == reflect.Slice:
		return w.wrong(at, t, path, "is a list, not a map")
	case node.Kind == yaml.MappingNode:
		return w.wrong(at, t, path, "is a single value, not a map")
	case node.Kind == yaml.SequenceNode && mapping:
		return w.wrong(at, t, path, "is a map of keys, not a list")
	case node.Kind == yaml.SequenceNode:
		return w.wrong(at, t, path, "is a single value, not a list")
	case mapping && node.ShortTag() == "!!null":
		return map[string]any{}
	case t == reflect.TypeFor[Secret]():
		return w.scalar(node, reflect.TypeFor[string](), path, tags)
	default:
		return w.scalar(node, t, path, tags)
	}
}

// wrong notes a problem, and returns what stands in the place of what is wrong.
func (w *walker) wrong(at place, t reflect.Type, path, message string) any {
	w.problem(at, path, message)
	switch kind := t.Kind(); {
	case kind == reflect.Map, kind == reflect.Struct && t != reflect.TypeFor[time.Time]():
		return map[string]any{}
	case kind == reflect.Slice:
		return []any{}
	default:
		return nil
	}
}

// pair is a key with its value.
type pair struct{ key, value *yaml.Node }

// pairs are the keys of a map with those that << merges into it. Those of the map itself win, and then those that are
// merged first.
func (w *walker) pairs(node *yaml.Node, path string) []pair {
	var own, merged []pair
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		if key.Kind == yaml.AliasNode {
			key = key.Alias
		}
		if key.ShortTag() == "!!merge" {
			merged = append(merged, w.merge(key, value, path)...)
		} else {
			own = append(own, pair{key, value})
		}
	}
	for _, p := range merged {
		if !slices.ContainsFunc(own, func(o pair) bool { return o.key.Value == p.key.Value }) {
			own = append(own, p)
		}
	}
	return own
}

// merge are the keys behind one <<.
func (w *walker) merge(key, value *yaml.Node, path string) []pair {
	if value.Kind == yaml.AliasNode {
		if w.following[value.Alias] {
			w.problem(place{value.Line, value.Column}, join(path, "<<"), fmt.Sprintf("*%s refers to itself", value.Value))
			return nil
		}
		w.following[value.Alias] = true
		defer delete(w.following, value.Alias)
		value = value.Alias
	}
	if w.nodes++; w.nodes >= maxNodes {
		return nil // walk says so
	}
	switch value.Kind {
	case yaml.MappingNode:
		return w.pairs(value, path)
	case yaml.SequenceNode:
		var all []pair
		for _, item := range value.Content {
			all = append(all, w.merge(key, item, path)...)
		}
		return all
	default:
		w.problem(place{key.Line, key.Column}, join(path, "<<"), "merges maps only: write <<: *anchor of a map")
		return nil
	}
}

func (w *walker) mapping(node *yaml.Node, t reflect.Type, path string) any {
	values, seen := make(map[string]any), make(map[string]place)
	for _, p := range w.pairs(node, path) {
		name, at := p.key.Value, place{p.key.Line, p.key.Column}
		if path == "" {
			name = strings.ToLower(name)
		}
		below := join(path, name)
		first, twice := seen[name]
		switch {
		case p.key.Kind != yaml.ScalarNode:
			w.problem(at, path, "a key is text")
			continue
		case twice:
			w.problem(at, below, fmt.Sprintf("stands twice, first in line %d", first.line))
			continue
		}
		seen[name] = at
		field := reflect.StructField{}
		if t.Kind() == reflect.Map {
			field.Type = t.Elem()
		} else if found, known := fieldOf(t, name); known {
			field = found
		} else {
			w.strange[path] = true
			w.problem(at, below, unknown(t, name))
			continue
		}
		if p.value.ShortTag() == "!!null" {
			p.value.Line, p.value.Column = at.line, at.column // it has no place of its own
		}
		if value := w.walk(p.value, field.Type, below, field.Tag); value != nil {
			values[name] = value
		}
		if p.value.Kind != yaml.ScalarNode {
			w.places[below] = at
		}
	}
	if t.Kind() == reflect.Struct {
		w.required(seen, place{node.Line, node.Column}, t, path)
	}
	return values
}

// required notes what must be there and is not, unless an unknown key may be it.
func (w *walker) required(seen map[string]place, at place, t reflect.Type, path string) {
	for _, field := range fieldsOf(t) {
		name := field.Tag.Get("koanf")
		if _, there := seen[name]; !there && field.Tag.Get("required") == "true" && !w.strange[path] {
			w.problem(at, join(path, name), "is needed: "+field.Tag.Get("doc"))
		}
	}
}

// octal is a number that YAML reads as another one than people do.
var octal = regexp.MustCompile(`^[-+]?0[0-9_]+$`)

// scalar is a single value of the file. What it is must be told by how it is written: nothing is turned into anything else,
// and no message repeats it, for it may be a secret.
func (w *walker) scalar(node *yaml.Node, t reflect.Type, path string, tags reflect.StructTag) any {
	at, tag := w.places[path], node.ShortTag()
	var value any
	err := node.Decode(&value)
	switch {
	case err != nil:
		return w.wrong(at, t, path, lineOfSyntax.ReplaceAllString(err.Error(), ""))
	case tag == "!!null":
		return w.wrong(at, t, path, "stands without a value: give it one, or leave the key out")
	case t.Kind() == reflect.Slice:
		return w.wrong(at, t, path, "is a list: write [one, another]")
	case t.Kind() == reflect.Map || t.Kind() == reflect.Struct && t != reflect.TypeFor[time.Time]():
		return w.wrong(at, t, path, "is not a single value")
	case tag != "!!str" && t.Kind() != reflect.String && octal.MatchString(node.Value):
		return w.wrong(at, t, path, "begins with a 0, as an octal number does: leave the 0 out")
	}
	if message := mismatch(tag, value, t); message != "" {
		return w.wrong(at, t, path, message)
	}
	if message := misfit(value, tags); message != "" {
		return w.wrong(at, t, path, message)
	}
	w.remember(node, path)
	return value
}

// mismatch says why a value is none of that type; empty where it is one.
func mismatch(tag string, value any, t reflect.Type) string {
	number := tag == "!!int" || tag == "!!float"
	var err error
	switch {
	case t == reflect.TypeFor[Duration]() && (number || tag == "!!str"):
		_, err = ParseDuration(fmt.Sprint(value))
	case t == reflect.TypeFor[Bytes]() && (tag == "!!int" || tag == "!!str"):
		_, err = ParseBytes(fmt.Sprint(value))
	case t == reflect.TypeFor[Rate]() && (number || tag == "!!str"):
		_, err = ParseRate(fmt.Sprint(value))
	case t == reflect.TypeFor[time.Time]():
		text, is := value.(string)
		if is {
			_, err = time.Parse(time.RFC3339, text)
		}
		if err != nil || !is && tag != "!!timestamp" {
			return "is not a time such as 2027-01-31T00:00:00Z"
		}
	default:
		return mismatchOfKind(tag, value, t)
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

// words name what a value is written as.
var words = map[string]string{
	"!!str": "text", "!!int": "a number", "!!float": "a number", "!!bool": "true or false", "!!timestamp": "a date",
}

// formsOf say how values are written that have a form of their own.
var formsOf = map[reflect.Type]string{
	reflect.TypeFor[Duration](): "a time such as 90, 90s or 24h",
	reflect.TypeFor[Bytes]():    "a size such as 1048576 or 25MiB",
	reflect.TypeFor[Rate]():     "a rate such as 100/s, 30/m or 5/h",
}

func mismatchOfKind(tag string, value any, t reflect.Type) string {
	is, known := words[tag]
	if !known {
		return fmt.Sprintf("the tag %s is not understood", tag)
	}
	if forms, has := formsOf[t]; has {
		return "is " + is + ", not " + forms
	}
	switch kind := t.Kind(); {
	case kind == reflect.String && tag != "!!str":
		return "is " + is + " where text is wanted: write it in quotes"
	case kind == reflect.Bool && tag != "!!bool":
		return "is " + is + ": write true or false"
	case kind == reflect.Int && tag == "!!float":
		return "is no whole number"
	case kind == reflect.Int && tag != "!!int", kind == reflect.Float64 && tag != "!!int" && tag != "!!float":
		return "is " + is + ": write a number, without quotes"
	case kind == reflect.Int:
		if _, fits := value.(int); !fits {
			return "is too large a number"
		}
	case kind == reflect.Float64:
		if f, is := value.(float64); is && (math.IsNaN(f) || math.IsInf(f, 0)) {
			return "is no number to count with"
		}
	}
	return ""
}

// misfit says why a value is none of those that the tags allow.
func misfit(value any, tags reflect.StructTag) string {
	field := reflect.StructField{Tag: tags}
	if text, is := value.(string); is && tags.Get("enum") != "" {
		if message := noneOf(text, field); message != "" {
			return message
		}
	}
	if least, most, bounded := boundsOf(field); bounded {
		if v := reflect.ValueOf(value); v.CanInt() {
			return beyond(float64(v.Int()), least, most)
		} else if v.CanFloat() {
			return beyond(v.Float(), least, most)
		}
	}
	return ""
}

func noneOf(text string, field reflect.StructField) string {
	allowed := strings.Split(field.Tag.Get("enum"), ",")
	if slices.Contains(allowed, text) {
		return ""
	}
	return fmt.Sprintf("%q is none of %s", text, strings.Join(allowed, ", "))
}

func beyond(value, least, most float64) string {
	if value >= least && value <= most {
		return ""
	}
	return fmt.Sprintf("%s is not within %.0f and %.0f", strconv.FormatFloat(value, 'f', -1, 64), least, most)
}

func (w *walker) problem(at place, path, message string) {
	w.problems = append(w.problems, Problem{File: w.file, Line: at.line, Column: at.column, Path: path, Message: message})
}

// locate is the place of a path, or of the nearest key above that the file holds.
func (w *walker) locate(path string) place {
	for above := path; above != ""; above = above[:max(strings.LastIndexAny(above, ".["), 0)] {
		if at, there := w.places[above]; there {
			return at
		}
	}
	return place{}
}

// inside is the place of a character within a text, from 1; that of the text where it does not stand in one line as it is.
func (w *walker) inside(path string, character int) place {
	at := w.locate(path)
	if first, plain := w.plain[path]; plain && character > 0 {
		at.column = first + character - 1
	}
	return at
}

// remember notes where a text begins that stands in one line as it is, without escapes.
func (w *walker) remember(node *yaml.Node, path string) {
	if node.Line < 1 || node.Line > len(w.lines) {
		return
	}
	line, column := []rune(w.lines[node.Line-1]), node.Column
	if node.Style == yaml.DoubleQuotedStyle || node.Style == yaml.SingleQuotedStyle {
		column++
	}
	if column <= len(line) && strings.HasPrefix(string(line[column-1:]), node.Value) {
		w.plain[path] = column
	}
}

// covers says whether a path is another, or leads to it.
func covers(path, below string) bool {
	rest, is := strings.CutPrefix(below, path)
	return is && (rest == "" || path == "" || rest[0] == '.' || rest[0] == '[')
}

// follows says whether what is found at a path may only be what one of these problems brought about: one of the path
// itself, above or below it, or an unknown key beside it that may have been meant for it.
func (w *walker) follows(path string, earlier Problems) bool {
	for _, p := range earlier {
		if p.File == w.file && (covers(p.Path, path) || covers(path, p.Path)) {
			return true
		}
	}
	_, there := w.places[path]
	return !there && w.strange[path[:max(strings.LastIndexAny(path, ".["), 0)]]
}

// partOf says whether what is missing at a path belongs to a source or handler that has problems already: what is built of one
// half misses the other.
func (w *walker) partOf(path string, earlier Problems) bool {
	parts := strings.SplitN(path, ".", 3)
	if _, there := w.places[path]; there || len(parts) < 2 || parts[0] != "sources" && parts[0] != "handlers" {
		return false
	}
	return w.follows(parts[0]+"."+parts[1], earlier)
}

// unsure says whether it is not known what a section of the top level holds.
func (w *walker) unsure(section string) bool {
	_, there := w.places[section]
	return !there && w.strange[""] || slices.ContainsFunc(w.problems, func(p Problem) bool { return p.Path == section })
}
