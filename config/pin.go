package config

import "reflect"

// Pin says what of a configuration can hold while the daemon runs. The keys that hold from a start on, those tagged
// reload:"restart", keep the values that they have in running; pinned names those whose values differ in next. Neither is
// changed.
func Pin(running, next *Config) (effective *Config, pinned []string) {
	copied := *next
	pin(reflect.ValueOf(running).Elem(), reflect.ValueOf(&copied).Elem(), "", &pinned)
	return &copied, pinned
}

func pin(running, next reflect.Value, path string, pinned *[]string) {
	for _, field := range fieldsOf(next.Type()) {
		key := join(path, field.Tag.Get("koanf"))
		before, now := running.FieldByIndex(field.Index), next.FieldByIndex(field.Index)
		switch {
		case holdsFromStart(field):
			differing(before, now, key, pinned)
			now.Set(before)
		case field.Type.Kind() == reflect.Struct:
			pin(before, now, key, pinned)
		}
	}
}

// differing names the keys at or below one whose values differ.
func differing(running, next reflect.Value, path string, keys *[]string) {
	switch {
	case reflect.DeepEqual(running.Interface(), next.Interface()):
	case next.Kind() == reflect.Struct:
		for _, field := range fieldsOf(next.Type()) {
			differing(running.FieldByIndex(field.Index), next.FieldByIndex(field.Index), join(path, field.Tag.Get("koanf")), keys)
		}
	default:
		*keys = append(*keys, path)
	}
}

// Level is the least of what is logged.
func (c *Config) Level() string {
	if c.DetailedLogging {
		return "debug"
	}
	return c.Log.Level
}
