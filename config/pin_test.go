package config_test

import (
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hooktroupe/hooktroupe/config"
)

// TestWhatTheReferenceMarksIsPinnedAndNothingElse changes every key, one after the other.
func TestWhatTheReferenceMarksIsPinnedAndNothingElse(t *testing.T) {
	marked := make(map[string]bool)
	for _, row := range regexp.MustCompile("(?m)^\\| `([^`]+)` .*$").FindAllStringSubmatch(config.Reference(), -1) {
		marked[strings.ToLower(row[1])] = strings.Contains(row[0], "*restart* |")
	}
	var change func(c *config.Config, v reflect.Value, path string)
	changed := 0
	change = func(next *config.Config, v reflect.Value, path string) {
		for i := range v.NumField() {
			name, field := v.Type().Field(i).Tag.Get("koanf"), v.Field(i)
			key := strings.TrimPrefix(path+"."+name, ".")
			before := reflect.New(field.Type()).Elem()
			before.Set(field)
			switch field.Kind() {
			case reflect.Struct:
				change(next, field, key)
				continue
			case reflect.String:
				field.SetString("changed")
			case reflect.Bool:
				field.SetBool(!field.Bool())
			case reflect.Float64:
				field.SetFloat(field.Float() + 1)
			case reflect.Int, reflect.Int64:
				field.SetInt(field.Int() + 1)
			case reflect.Slice:
				field.Set(reflect.MakeSlice(field.Type(), 1, 1))
			case reflect.Map:
				field.Set(reflect.MakeMap(field.Type()))
			default:
				t.Fatalf("%s is a %s", key, field.Kind())
			}
			changed++
			effective, pinned := config.Pin(config.Default(), next)
			held := reflect.DeepEqual(effective, config.Default())
			if is := slices.Equal(pinned, []string{key}); is != marked[key] || held != marked[key] {
				t.Errorf("%s: marked %t, named %v, held %t", key, marked[key], pinned, held)
			}
			field.Set(before)
		}
	}
	next := config.Default()
	change(next, reflect.ValueOf(next).Elem(), "")
	if changed < 60 {
		t.Errorf("%d keys were changed", changed)
	}
}
