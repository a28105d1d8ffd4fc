package importhooks_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// This file is the meaning of rules, written down a second time and in the plainest way: as an interpreter.

// errAbsent is a value that a request does not have.
var errAbsent = errors.New("absent")

// request is what a rule looks at.
type request struct {
	headers map[string]string // by canonical name
	payload map[string]any    // numbers as json.Number
}

// reading gives the payload that a body has.
func reading(body string) map[string]any {
	decoder := json.NewDecoder(strings.NewReader(body))
	decoder.UseNumber()
	var payload map[string]any
	_ = decoder.Decode(&payload)
	return payload
}

// lookUp follows a dotted name.
func lookUp(v any, path []string) (any, error) {
	if len(path) == 0 {
		return v, nil
	}
	switch v := v.(type) {
	case map[string]any:
		if below, there := v[path[0]]; there {
			return lookUp(below, path[1:])
		}
	case []any:
		if i, err := strconv.Atoi(path[0]); err == nil && i < len(v) {
			return lookUp(v[i], path[1:])
		}
	}
	return nil, errAbsent
}

// get is the text of a parameter.
func (r request) get(parameter map[string]any) (string, error) {
	name := parameter["name"].(string)
	if parameter["source"] == "header" {
		value, there := r.headers[name]
		if !there {
			return "", errAbsent
		}
		return value, nil
	}
	v, err := lookUp(r.payload, strings.Split(name, "."))
	if err != nil {
		return "", err
	}
	switch v := v.(type) {
	case map[string]any, []any:
		text, err := json.Marshal(v)
		return string(text), err
	default:
		return fmt.Sprint(v), nil
	}
}

// evaluate says whether a rule is true.
func (r request) evaluate(rule map[string]any) (bool, error) {
	for op, operand := range rule {
		switch op {
		case "and":
			for _, kid := range operand.([]any) {
				value, err := r.evaluate(kid.(map[string]any))
				if err != nil || !value {
					return false, err
				}
			}
			return true, nil
		case "or":
			for _, kid := range operand.([]any) {
				if value, _ := r.evaluate(kid.(map[string]any)); value {
					return true, nil
				}
			}
			return false, nil
		case "not":
			value, err := r.evaluate(operand.(map[string]any))
			return !value, err
		case "match":
			return r.match(operand.(map[string]any))
		}
	}
	return false, nil
}

func (r request) match(m map[string]any) (bool, error) {
	value, err := r.get(m["parameter"].(map[string]any))
	if err != nil {
		return false, err
	}
	if m["type"] == "regex" {
		return regexp.MatchString(m["regex"].(string), value)
	}
	return value == m["value"], nil
}
