package importhooks

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

const (
	// MaxFileBytes bounds a hooks file.
	MaxFileBytes = 1 << 20
	// maxRuleDepth and maxRules bound how deep rules may be nested, and how many a hook may have: a filter could not hold
	// more, and what is below a not is written down again at each level.
	maxRuleDepth = 8
	maxRules     = 250
)

// Hook is one entry of a hooks file. Its keys are those of the file.
type Hook struct {
	ID                 text       `json:"id"`
	Command            text       `json:"execute-command"`
	Dir                text       `json:"command-working-directory"`
	ResponseMessage    text       `json:"response-message"`
	ResponseHeaders    []any      `json:"response-headers"`
	SuccessCode        int        `json:"success-http-response-code"`
	ContentType        text       `json:"incoming-payload-content-type"`
	Methods            []text     `json:"http-methods"`
	OutputInAnswer     bool       `json:"include-command-output-in-response"`
	ErrorsInAnswer     bool       `json:"include-command-output-in-response-on-error"`
	ParseAsJSON        []argument `json:"parse-parameters-as-json"`
	Arguments          []argument `json:"pass-arguments-to-command"`
	Environment        []argument `json:"pass-environment-to-command"`
	Files              []argument `json:"pass-file-to-command"`
	Rule               *rule      `json:"trigger-rule"`
	MismatchCode       int        `json:"trigger-rule-mismatch-http-response-code"`
	SoftSignatureCheck bool       `json:"trigger-signature-soft-failures"`

	// unknown are the keys that no version of the format has.
	unknown []string
}

// argument refers to a value of a request.
type argument struct {
	Source       text   `json:"source"`
	Name         text   `json:"name"`
	EnvName      text   `json:"envname"`
	Base64Decode bool   `json:"base64decode"`
	SignedToo    []text `json:"headers-to-add-to-signature-payload"`
}

// rule is true or false of a request. The first member that is there counts; a rule without any is false.
type rule struct {
	And   *[]rule `json:"and"`
	Or    *[]rule `json:"or"`
	Not   *rule   `json:"not"`
	Match *match  `json:"match"`
}

// match compares one value.
type match struct {
	Type      text     `json:"type"`
	Regex     text     `json:"regex"`
	Secret    text     `json:"secret"`
	Value     text     `json:"value"`
	Parameter argument `json:"parameter"`
	IPRange   text     `json:"ip-range"`
}

// text is a string that may be written as a number or a truth value.
type text string

// UnmarshalJSON accepts any single value.
func (t *text) UnmarshalJSON(data []byte) error {
	var v any
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if err := decoder.Decode(&v); err != nil {
		return err
	}
	switch v := v.(type) {
	case nil:
	case string:
		*t = text(v)
	case bool, json.Number:
		*t = text(fmt.Sprint(v))
	default:
		return errors.New("a list or a map where a text is due")
	}
	return nil
}

// Parse reads a hooks file, in JSON or YAML. The error says which hook and key is not what it should be, and quotes
// nothing of the file, which holds secrets.
func Parse(data []byte) ([]Hook, error) {
	if len(data) > MaxFileBytes {
		return nil, fmt.Errorf("more than %d bytes", MaxFileBytes)
	}
	if !json.Valid(data) {
		var v any
		if err := yaml.Unmarshal(data, &v); err != nil {
			return nil, errors.New("neither JSON nor YAML" + line(err))
		}
		var err error
		if data, err = json.Marshal(v); err != nil {
			return nil, errors.New("a map with keys that are no text")
		}
	}
	var list []map[string]json.RawMessage
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, errors.New("not a list of hooks")
	}
	hooks := make([]Hook, len(list))
	for i, members := range list {
		if err := hooks[i].read(members); err != nil {
			return nil, fmt.Errorf("hook %d: %w", i+1, err)
		}
	}
	return hooks, nil
}

// line is where the parser stopped, if it says so.
func line(err error) string {
	for part := range strings.SplitSeq(err.Error(), ":") {
		if part = strings.TrimSpace(part); strings.HasPrefix(part, "line ") {
			return ", " + part
		}
	}
	return ""
}

// read takes each member by its key.
func (h *Hook) read(members map[string]json.RawMessage) error {
	v := reflect.ValueOf(h).Elem()
	fields := make(map[string]reflect.Value)
	for i := range v.NumField() {
		if key := v.Type().Field(i).Tag.Get("json"); key != "" {
			fields[key] = v.Field(i)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(members)) {
		field, known := fields[key]
		if !known {
			h.unknown = append(h.unknown, key)
			continue
		}
		if err := json.Unmarshal(members[key], field.Addr().Interface()); err != nil {
			return fmt.Errorf("%s is not of its form", key)
		}
	}
	if depth, size := h.Rule.measure(); depth > maxRuleDepth || size > maxRules {
		return fmt.Errorf("trigger-rule: %d rules, %d deep: more than %d, or %d deep", size, depth, maxRules, maxRuleDepth)
	}
	return nil
}

// measure says how deep a rule is nested, from 1, and of how many it consists; 0 for none.
func (r *rule) measure() (depth, size int) {
	if r == nil {
		return 0, 0
	}
	depth, size = r.Not.measure()
	for _, list := range []*[]rule{r.And, r.Or} {
		if list == nil {
			continue
		}
		for i := range *list {
			d, s := (*list)[i].measure()
			depth, size = max(depth, d), size+s
		}
	}
	return depth + 1, size + 1
}
