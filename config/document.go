package config

import (
	"fmt"
	"reflect"
	"strings"
)

// Three texts tell of the keys: the reference, the example and the schema. All are made of the structs and their tags:
//
//	koanf     the name of the key
//	doc       what it means, in one sentence
//	reload    "restart" where it holds from the next start on, for everything below it as well
//	enum      the words it may be, separated by commas
//	range     the least and the most of a number, separated by a comma
//	required  "true" where it must not be left out

// seedKeys are so many keys at the beginning of Config that stand in capitals where they are told of.
const seedKeys = 8

// fieldsOf are the fields of a struct that are keys.
func fieldsOf(t reflect.Type) []reflect.StructField {
	var fields []reflect.StructField
	for i := range t.NumField() {
		if name := t.Field(i).Tag.Get("koanf"); name != "" && name != "-" {
			fields = append(fields, t.Field(i))
		}
	}
	return fields
}

// nameOf is how a key is written in what people read.
func nameOf(of reflect.Type, field reflect.StructField) string {
	name := field.Tag.Get("koanf")
	if of == reflect.TypeFor[Config]() && field.Index[0] < seedKeys {
		return strings.ToUpper(name)
	}
	return name
}

// holdsFromStart says whether a key holds from a start on.
func holdsFromStart(field reflect.StructField) bool { return field.Tag.Get("reload") == "restart" }

// section is the struct behind a type that holds further keys: a struct, or a pointer, a map or a list of them.
func section(t reflect.Type) (below reflect.Type, is bool) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Map || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	return t, t.Kind() == reflect.Struct && t.PkgPath() == reflect.TypeFor[Config]().PkgPath()
}

// Reference is the table of every key with its default and meaning, in Markdown.
func Reference() string {
	var table strings.Builder
	table.WriteString("| key | default | meaning |\n|---|---|---|\n")
	rows(&table, "", reflect.ValueOf(*Default()), false)
	return table.String()
}

// rows writes a line for each key below a struct.
func rows(out *strings.Builder, path string, v reflect.Value, restart bool) {
	for _, field := range fieldsOf(v.Type()) {
		key, value := path+nameOf(v.Type(), field), v.FieldByIndex(field.Index)
		marked := restart || holdsFromStart(field)
		below, is := section(field.Type)
		switch {
		case is && field.Type.Kind() == reflect.Struct:
			rows(out, key+".", value, marked)
		case is:
			between := map[reflect.Kind]string{reflect.Map: ".NAME.", reflect.Slice: "[].", reflect.Pointer: "."}[field.Type.Kind()]
			rows(out, key+between, reflect.New(below).Elem(), marked)
		default:
			mark := ""
			if marked {
				mark = " *restart*"
			}
			fmt.Fprintf(out, "| `%s` | %s | %s%s |\n", key, defaultOf(value), field.Tag.Get("doc"), mark)
		}
	}
}

func defaultOf(v reflect.Value) string {
	if v.IsZero() && v.Kind() != reflect.Bool {
		return ""
	}
	return fmt.Sprintf("`%v`", v.Interface())
}
