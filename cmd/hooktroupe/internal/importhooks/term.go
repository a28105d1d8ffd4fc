package importhooks

import "strings"

// term is a formula that is to be written as an expression.
type term struct {
	op   byte // '&', '|', '!', 't' for true, 'f' for false, or 'x' for an expression
	text string
	kids []term
}

func leaf(text string) term { return term{op: 'x', text: text} }

func constant(value bool) term {
	if value {
		return term{op: 't'}
	}
	return term{op: 'f'}
}

func all(kids ...term) term { return join('&', 't', 'f', kids) }

func either(kids ...term) term { return join('|', 'f', 't', kids) }

// join makes one term of many. A deciding one decides; neutral ones are left out.
func join(op, neutral, deciding byte, kids []term) term {
	t := term{op: op}
	for _, kid := range kids {
		switch kid.op {
		case deciding:
			return kid
		case neutral:
		case op:
			t.kids = append(t.kids, kid.kids...)
		default:
			t.kids = append(t.kids, kid)
		}
	}
	switch len(t.kids) {
	case 0:
		return term{op: neutral}
	case 1:
		return t.kids[0]
	}
	return t
}

func negate(t term) term {
	switch t.op {
	case 't':
		return term{op: 'f'}
	case 'f':
		return term{op: 't'}
	case '!':
		return t.kids[0]
	}
	return term{op: '!', kids: []term{t}}
}

// String is the expression.
func (t term) String() string {
	switch t.op {
	case 'x':
		return t.text
	case 't':
		return "true"
	case 'f':
		return "false"
	case '!':
		return "not (" + t.kids[0].String() + ")"
	}
	parts := make([]string, len(t.kids))
	for i, kid := range t.kids {
		if parts[i] = kid.String(); kid.op == '&' || kid.op == '|' {
			parts[i] = "(" + parts[i] + ")"
		}
	}
	return strings.Join(parts, map[byte]string{'&': " and ", '|': " or "}[t.op])
}
