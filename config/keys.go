package config

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

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

// boundsOf are the least and the most of a number.
func boundsOf(field reflect.StructField) (least, most float64, bounded bool) {
	from, to, bounded := strings.Cut(field.Tag.Get("range"), ",")
	if !bounded {
		return 0, 0, false
	}
	least, leastErr := strconv.ParseFloat(from, 64)
	most, mostErr := strconv.ParseFloat(to, 64)
	return least, most, leastErr == nil && mostErr == nil
}

// IsKey says whether a path such as routes[0].policy leads to a key.
func IsKey(path string) bool { return fieldAt(path).Name != "" }

// fieldAt is the field that a path such as routes[0].policy leads to; a path that leads nowhere has no tags.
func fieldAt(path string) (field reflect.StructField) {
	t := reflect.TypeFor[Config]()
	for name := range strings.SplitSeq(path, ".") {
		name, _, _ = strings.Cut(name, "[")
		for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
			t = t.Elem()
		}
		switch t.Kind() {
		case reflect.Map:
			t = t.Elem()
		case reflect.Struct:
			field, _ = fieldOf(t, name)
			if t = field.Type; t == nil {
				return reflect.StructField{}
			}
		default:
			return reflect.StructField{}
		}
	}
	return field
}
