package config

import (
	"reflect"
	"slices"
	"time"

	"go.yaml.in/yaml/v3"
)

// secretKeys hold secrets, or may: they are shown as ***. References were resolved, so even they are not shown.
var secretKeys = map[string]bool{
	"secret": true, "secrets": true, "admin_tokens": true, "signing_keys": true, "headers": true, "set": true,
	"store": true,
}

// Show writes the configuration as YAML, every key with its value, secrets hidden.
func Show(c *Config) ([]byte, error) { return yaml.Marshal(plain(reflect.ValueOf(*c))) }

// plain turns structs into maps under the names of the file, in the order of declaration.
func plain(v reflect.Value) *yaml.Node {
	if v.Type() == reflect.TypeFor[time.Time]() {
		return scalar(v.Interface())
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return scalar(nil)
		}
		return plain(v.Elem())
	case reflect.Struct:
		return plainStruct(v)
	case reflect.Map:
		node := &yaml.Node{Kind: yaml.MappingNode}
		for _, key := range sortedKeys(v) {
			node.Content = append(node.Content, scalar(key), plain(v.MapIndex(reflect.ValueOf(key))))
		}
		return node
	case reflect.Slice:
		node := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
		for i := range v.Len() {
			node.Content = append(node.Content, plain(v.Index(i)))
		}
		return node
	default:
		return scalar(v.Interface())
	}
}

func plainStruct(v reflect.Value) *yaml.Node {
	node := &yaml.Node{Kind: yaml.MappingNode}
	for i := range v.NumField() {
		name := v.Type().Field(i).Tag.Get("koanf")
		if name == "-" || name == "" {
			continue
		}
		value := plain(v.Field(i))
		if secretKeys[name] && !v.Field(i).IsZero() {
			value = scalar(hidden)
		}
		if v.Field(i).IsZero() && v.Type() != reflect.TypeFor[Config]() {
			continue
		}
		node.Content = append(node.Content, scalar(name), value)
	}
	return node
}

func scalar(value any) *yaml.Node {
	node := &yaml.Node{}
	if text, isText := value.(interface{ MarshalText() ([]byte, error) }); isText {
		encoded, err := text.MarshalText()
		if err == nil {
			value = string(encoded)
		}
	}
	if err := node.Encode(value); err != nil {
		node.SetString(hidden)
	}
	return node
}

func sortedKeys(v reflect.Value) []string {
	keys := make([]string, 0, v.Len())
	for _, key := range v.MapKeys() {
		keys = append(keys, key.String())
	}
	slices.Sort(keys)
	return keys
}
