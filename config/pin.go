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
	for i := range next.NumField() {
		field := next.Type().Field(i)
		key := join(path, field.Tag.Get("koanf"))
		switch {
		case field.Tag.Get("reload") == "restart":
			if !reflect.DeepEqual(running.Field(i).Interface(), next.Field(i).Interface()) {
				*pinned = append(*pinned, key)
				next.Field(i).Set(running.Field(i))
			}
		case field.Type.Kind() == reflect.Struct:
			pin(running.Field(i), next.Field(i), key, pinned)
		}
	}
}

// Level is the least of what is logged.
func (c *Config) Level() string {
	if c.DetailedLogging {
		return "debug"
	}
	return c.Log.Level
}
