package route

import (
	"errors"
	"fmt"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/vm"
)

const (
	// maxExpressionBytes and maxNodes bound an expression.
	maxExpressionBytes = 4 << 10
	maxNodes           = 500
	// maxLoop bounds the elements that any, filter and their like go through.
	maxLoop = 1000
)

// builtins are the functions that expressions may use: pure, and none that makes much of little.
var builtins = []string{
	"all", "none", "any", "one", "filter", "find", "count", "len", "type", "abs", "ceil", "floor", "round", "int", "float",
	"string", "trim", "trimPrefix", "trimSuffix", "upper", "lower", "split", "indexOf", "lastIndexOf", "hasPrefix",
	"hasSuffix", "max", "min", "first", "last", "get", "keys", "values",
}

// expression is a compiled one. It is safe for concurrent use.
type expression struct {
	program     *vm.Program
	usesPayload bool
}

// environment is what an expression sees.
type environment struct {
	Source     string              `expr:"source"`
	Event      string              `expr:"event"`
	DeliveryID string              `expr:"delivery_id"`
	Key        string              `expr:"key"`
	Headers    map[string][]string `expr:"headers"`
	Header     func(string) string `expr:"header"`
	Payload    any                 `expr:"payload"`
	BodySize   int                 `expr:"body_size"`
	// Bounded is put around what loops go through; its name cannot be written in an expression.
	Bounded func(any) (any, error) `expr:"bounded·"`
}

// wanted is the kind of result that an expression must have, as far as can be told before it runs.
type wanted uint8

const (
	wantsBool wanted = iota
	wantsText
)

// compileExpression returns nil for an empty text. column is where the error is, from 1, or 0.
func compileExpression(text string, w wanted) (e *expression, column int, err error) {
	if text == "" {
		return nil, 0, nil
	}
	if len(text) > maxExpressionBytes {
		return nil, 0, fmt.Errorf("an expression of more than %d bytes", maxExpressionBytes)
	}
	guard := &guard{}
	options := []expr.Option{expr.Env(environment{}), expr.MaxNodes(maxNodes), expr.DisableAllBuiltins(), expr.Patch(guard)}
	for _, name := range builtins {
		options = append(options, expr.EnableBuiltin(name))
	}
	if w == wantsBool {
		options = append(options, expr.AsBool())
	}
	program, err := expr.Compile(text, options...)
	var at *file.Error
	if errors.As(err, &at) {
		return nil, at.Column + 1, errors.New(at.Message)
	}
	if err == nil {
		err = guard.err
	}
	if err != nil {
		return nil, guard.column, err
	}
	return &expression{program: program, usesPayload: guard.payload}, 0, nil
}

// guard goes over the tree of an expression: it makes fetching through nil give nil, bounds loops, refuses what could
// make much of little, and notes whether the payload is used.
type guard struct {
	payload bool
	err     error
	column  int
}

// Visit is called for every node, children first.
func (g *guard) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.IdentifierNode:
		if n.Value == "payload" {
			g.payload = true
		}
	case *ast.MemberNode:
		if !n.Optional && !n.Method {
			n.Optional = true
			ast.Patch(node, &ast.ChainNode{Node: n})
		}
	case *ast.BuiltinNode:
		g.loop(n)
	case *ast.VariableDeclaratorNode, *ast.SequenceNode:
		g.refuse(n, "variables are not allowed")
	case *ast.BinaryNode:
		if n.Operator == ".." {
			g.refuse(n, "ranges are not allowed")
		}
		if n.Operator == "**" || n.Operator == "^" {
			g.refuse(n, "powers are not allowed")
		}
	}
}

func (g *guard) refuse(n ast.Node, why string) {
	if g.err == nil {
		g.err, g.column = errors.New(why), n.Location().From+1
	}
}

// loop bounds what a builtin with a predicate goes through, and refuses one within another.
func (g *guard) loop(n *ast.BuiltinNode) {
	for _, argument := range n.Arguments {
		predicate, is := argument.(*ast.PredicateNode)
		if !is {
			continue
		}
		inner := &nested{}
		ast.Walk(&predicate.Node, inner)
		if inner.found {
			g.refuse(n, "a loop within a loop is not allowed")
		}
		n.Arguments[0] = &ast.CallNode{Callee: &ast.IdentifierNode{Value: "bounded·"}, Arguments: []ast.Node{n.Arguments[0]}}
		return
	}
}

// nested looks for a loop.
type nested struct{ found bool }

// Visit is called for every node.
func (v *nested) Visit(node *ast.Node) {
	if _, is := (*node).(*ast.PredicateNode); is {
		v.found = true
	}
}

// run evaluates the expression for a delivery.
func (e *expression) run(f *facts) (any, error) {
	env := f.environment()
	if e.usesPayload {
		payload, err := f.payload()
		if err != nil {
			return nil, err
		}
		env.Payload = payload
	}
	machine := vm.VM{MemoryBudget: conf.DefaultMemoryBudget}
	result, err := machine.Run(e.program, env)
	var at *file.Error
	if errors.As(err, &at) {
		err = errors.New(at.Message) // without the snippet, which holds no news
	}
	return result, err
}

// bounded fails for what has more elements than a loop may go through.
func bounded(v any) (any, error) {
	n := 0
	switch v := v.(type) {
	case nil:
		return []any{}, nil
	case []any:
		n = len(v)
	case []string:
		n = len(v)
	case map[string]any:
		n = len(v)
	}
	if n > maxLoop {
		return nil, fmt.Errorf("%d elements to go through, more than %d", n, maxLoop)
	}
	return v, nil
}
