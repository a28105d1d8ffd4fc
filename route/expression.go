package route

import (
	"errors"
	"fmt"
	"slices"

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
	// maxLoopWork bounds elements times bytes of the body, where a loop looks at the payload anew for each element.
	maxLoopWork = 16 << 20
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
	// Bounded is put around what loops go through, and is told whether they look at the payload for each element. Its name
	// cannot be written in an expression.
	Bounded func(list any, again bool) (any, error) `expr:"bounded·"`
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
	if !errors.As(err, &at) && guard.refusal != nil {
		at = guard.refusal.Bind(file.NewSource(text))
	}
	if at != nil {
		return nil, at.Column + 1, errors.New(at.Message)
	}
	if err != nil {
		return nil, 0, err
	}
	return &expression{program: program, usesPayload: guard.payload}, 0, nil
}

// guard goes over the tree of an expression: it makes fetching through nil give nil, bounds loops, refuses what could
// make much of little, and notes whether the payload is used.
type guard struct {
	payload bool
	refusal *file.Error // the first one
}

// Visit is called for every node, children first.
func (g *guard) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.IdentifierNode:
		if n.Value == "payload" {
			g.payload = true
		}
		if n.Value == "$env" {
			g.refuse(n, "there is no $env: each name stands for itself")
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
		g.operator(n)
	}
}

func (g *guard) refuse(n ast.Node, why string) {
	if g.refusal == nil {
		g.refusal = &file.Error{Location: n.Location(), Message: why}
	}
}

// operator refuses those whose cost the values decide: a sender that chose a pattern would choose a slow one.
func (g *guard) operator(n *ast.BinaryNode) {
	switch n.Operator {
	case "..":
		g.refuse(n, "ranges are not allowed")
	case "**", "^":
		g.refuse(n, "powers are not allowed")
	case "matches":
		if _, literal := n.Right.(*ast.StringNode); !literal {
			g.refuse(n, "the pattern of matches must be a literal")
		}
	}
}

// loop bounds what a builtin with a predicate goes through, and refuses one within another. The switches of the library
// do not reach these builtins, so that what is not listed is refused here.
func (g *guard) loop(n *ast.BuiltinNode) {
	if !slices.Contains(builtins, n.Name) {
		g.refuse(n, "there is no function "+n.Name)
	}
	for _, argument := range n.Arguments {
		predicate, is := argument.(*ast.PredicateNode)
		if !is {
			continue
		}
		body := &loopBody{}
		ast.Walk(&predicate.Node, body)
		if body.loop {
			g.refuse(n, "a loop within a loop is not allowed")
		}
		n.Arguments[0] = &ast.CallNode{
			Callee:    &ast.IdentifierNode{Value: "bounded·"},
			Arguments: []ast.Node{n.Arguments[0], &ast.BoolNode{Value: body.payload}},
		}
		return
	}
}

// loopBody says what is done for each element: whether that is a loop, and whether it looks at the payload.
type loopBody struct{ loop, payload bool }

// Visit is called for every node.
func (b *loopBody) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.PredicateNode:
		b.loop = true
	case *ast.IdentifierNode:
		b.payload = b.payload || n.Value == "payload"
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
		failed := &failure{error: errors.New(at.Message)} // without the snippet, which holds no news
		if at.Line > 0 {
			failed.column = at.Column + 1
		}
		err = failed
	}
	return result, err
}

// failure is why an expression failed on a delivery; column is where in it, from 1, or 0.
type failure struct {
	error
	column int
}

// bounded returns what a loop may go through, and fails where that would take too long.
func (f *facts) bounded(v any, again bool) (any, error) {
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
	if size := len(f.delivery.Body); again && n*size > maxLoopWork {
		return nil, fmt.Errorf("%d elements, for each of which a payload of %d bytes is looked at", n, size)
	}
	return v, nil
}
