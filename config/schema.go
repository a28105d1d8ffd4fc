package config

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"
	"unicode"
)

// The forms of values that have one of their own; ParseDuration, ParseBytes and ParseRate are their judges.
const (
	durationForm = `^\+?([0-9]*\.?[0-9]+|[0-9]+\.|(([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+)$`
	bytesForm    = `^ *[0-9]+ *(KiB|MiB|GiB|TiB|kB|KB|MB|GB|TB|B)? *$`
	rateForm     = `^ *([0-9]+\.?[0-9]*|\.[0-9]+) *(/s|/m|/h)? *$`
)

// schema is a JSON Schema, or a part of one.
type schema map[string]any

// Schema is the JSON Schema (draft 2020-12) of the file, for editors and for checks without the daemon: keys, types, words
// and bounds. What no single value shows is for Load. The types of sources are named where they are given.
func Schema(sourceTypes ...string) []byte {
	m := &schemaMaker{defs: make(schema), types: sourceTypes}
	root := m.object(reflect.TypeFor[Config](), reflect.ValueOf(*Default()))
	// At the top level, and only there, keys may be written in any letter case.
	patterns := make(schema)
	for name := range root["properties"].(schema) {
		patterns[anyCase(name)] = schema{"$ref": "#/properties/" + name}
	}
	root["patternProperties"] = patterns
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "The configuration of Hooktroupe"
	root["$defs"] = m.defs
	text, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		panic(err) // maps, texts and numbers
	}
	return append(text, '\n')
}

type schemaMaker struct {
	defs  schema
	types []string
}

// object is the schema of a struct with those defaults, if there are any.
func (m *schemaMaker) object(t reflect.Type, defaults reflect.Value) schema {
	properties, required := make(schema), []string{}
	for _, field := range fieldsOf(t) {
		name := field.Tag.Get("koanf")
		value := reflect.Value{}
		if defaults.IsValid() {
			value = defaults.FieldByIndex(field.Index)
		}
		properties[name] = m.property(t, field, value)
		if field.Tag.Get("required") == "true" {
			required = append(required, name)
		}
	}
	object := schema{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		object["required"] = required
	}
	return object
}

// property is the schema of one key, with what the tags say of it.
func (m *schemaMaker) property(of reflect.Type, field reflect.StructField, byDefault reflect.Value) schema {
	s := m.value(field.Type, byDefault)
	if words := field.Tag.Get("enum"); words != "" {
		s["enum"] = strings.Split(words, ",")
	}
	if (of == reflect.TypeFor[Source]() || of == reflect.TypeFor[SignAs]()) && field.Name == "Type" && len(m.types) > 0 {
		s["enum"] = m.types
	}
	if least, most, bounded := boundsOf(field); bounded {
		s["minimum"], s["maximum"] = least, most
	}
	doc := field.Tag.Get("doc")
	if holdsFromStart(field) {
		doc = strings.TrimSpace(doc + " Holds from the next start on.")
	}
	if doc != "" {
		s["description"] = doc
	}
	if byDefault.IsValid() && byDefault.Kind() != reflect.Struct && !byDefault.IsZero() {
		s["default"] = jsonOf(byDefault)
	}
	return s
}

// jsonOf is a default as the file would hold it.
func jsonOf(v reflect.Value) any {
	if text, is := v.Interface().(fmt.Stringer); is {
		return text.String()
	}
	return v.Interface()
}

// value is the schema of a type.
func (m *schemaMaker) value(t reflect.Type, byDefault reflect.Value) schema {
	switch t {
	case reflect.TypeFor[Duration]():
		return numberOr(durationForm)
	case reflect.TypeFor[Bytes]():
		return schema{"type": []string{"integer", "string"}, "minimum": 0, "pattern": bytesForm}
	case reflect.TypeFor[Rate]():
		return numberOr(rateForm)
	case reflect.TypeFor[time.Time]():
		return schema{"type": "string", "format": "date-time"}
	case reflect.TypeFor[Secret]():
		return schema{"anyOf": []schema{{"type": "string"}, m.reference(t, reflect.Value{})}}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return m.value(t.Elem(), reflect.Value{})
	case reflect.Struct:
		return m.reference(t, byDefault)
	case reflect.Map:
		s := schema{"type": []string{"object", "null"}, "additionalProperties": m.value(t.Elem(), reflect.Value{})}
		if _, is := section(t); is {
			s["propertyNames"] = schema{"pattern": namePattern.String()}
		}
		return s
	case reflect.Slice:
		return schema{"type": "array", "items": m.value(t.Elem(), reflect.Value{})}
	case reflect.Bool:
		return schema{"type": "boolean"}
	case reflect.Int:
		return schema{"type": "integer"}
	case reflect.Float64:
		return schema{"type": "number"}
	default:
		return schema{"type": "string"}
	}
}

// numberOr is a number that is not negative, or a text of that form.
func numberOr(form string) schema {
	return schema{"type": []string{"number", "string"}, "minimum": 0, "pattern": form}
}

// reference names the schema of a struct, which is made once. A section may be left without a key.
func (m *schemaMaker) reference(t reflect.Type, byDefault reflect.Value) schema {
	name := string(unicode.ToLower(rune(t.Name()[0]))) + t.Name()[1:]
	if _, made := m.defs[name]; !made {
		object := m.object(t, byDefault)
		if _, needs := object["required"]; !needs {
			object["type"] = []string{"object", "null"}
		}
		m.defs[name] = object
	}
	return schema{"$ref": "#/$defs/" + name}
}

// anyCase is a pattern of a name in any letter case, other than in small letters.
func anyCase(name string) string {
	var pattern strings.Builder
	pattern.WriteByte('^')
	for _, c := range name {
		if unicode.IsLetter(c) {
			fmt.Fprintf(&pattern, "[%c%c]", c, unicode.ToUpper(c))
		} else {
			pattern.WriteRune(c)
		}
	}
	return pattern.String() + "$"
}
