package route

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Expression is one that gives text. It is safe for concurrent use.
type Expression struct{ compiled *expression }

// Compile compiles an expression of the language that the package comment describes. The error names the column where
// that is known.
func Compile(text string) (*Expression, error) {
	if text == "" {
		return nil, fmt.Errorf("an empty expression")
	}
	e, column, err := compileExpression(text, wantsText)
	switch {
	case err != nil && column > 0:
		return nil, fmt.Errorf("column %d: %w", column, err)
	case err != nil:
		return nil, err
	}
	return &Expression{compiled: e}, nil
}

// Text is what an expression gives for one delivery.
type Text struct {
	// Value is a string as it is, a number or a truth value as it is written, and a list or an object as JSON.
	Value string
	// Present is false where the expression gives nil: what it looks for is not there, or is null.
	Present bool
}

// Texts evaluates expressions for one delivery, whose body is decoded once for all of them. The result is as long as the
// list and in its order. The error is that of the first that fails.
func Texts(d *Delivery, expressions []*Expression) ([]Text, error) {
	facts := newFacts(d)
	texts := make([]Text, len(expressions))
	for i, e := range expressions {
		result, err := e.compiled.run(facts)
		if err != nil {
			return nil, fmt.Errorf("expression %d: %w", i+1, err)
		}
		if texts[i].Value, err = anyText(result); err != nil {
			return nil, fmt.Errorf("expression %d: %w", i+1, err)
		}
		texts[i].Present = result != nil
	}
	return texts, nil
}

// anyText is any result as text.
func anyText(v any) (string, error) {
	if text, err := keyText(v); err == nil {
		return text, nil
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return "", fmt.Errorf("%T is no text: %w", v, err)
	}
	return string(bytes.TrimSuffix(out.Bytes(), []byte("\n"))), nil
}
