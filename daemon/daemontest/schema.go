package daemontest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/hooktroupe/hooktroupe/config"
	"github.com/hooktroupe/hooktroupe/source/sources"
)

var schema = sync.OnceValues(func() (*jsonschema.Schema, error) {
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(config.Schema(sources.Types()...)))
	if err != nil {
		return nil, err
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("hooktroupe.schema.json", document); err != nil {
		return nil, err
	}
	return compiler.Compile("hooktroupe.schema.json")
})

// CheckSchema holds a configuration against the schema that people's editors are given. A text that is no YAML is an error,
// too.
func CheckSchema(text []byte) error {
	compiled, err := schema()
	if err != nil {
		return err
	}
	var content any
	if err := yaml.Unmarshal(text, &content); err != nil {
		return err
	}
	encoded, err := json.Marshal(jsonable(content))
	if err != nil {
		return err
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(encoded))
	if err != nil {
		return err
	}
	if value == nil {
		return nil // an empty file
	}
	return compiled.Validate(value)
}

// jsonable turns what YAML gives into what JSON knows.
func jsonable(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			v[key] = jsonable(value)
		}
	case map[any]any:
		m := make(map[string]any)
		for key, value := range v {
			m[fmt.Sprint(key)] = jsonable(value)
		}
		return m
	case []any:
		for i, value := range v {
			v[i] = jsonable(value)
		}
	case time.Time:
		return v.Format(time.RFC3339)
	}
	return v
}
