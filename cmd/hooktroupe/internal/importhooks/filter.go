package importhooks

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
)

// value says what a rule comes to. Where exposed, the term must not fail on any delivery, for a failure would decide what
// stands around it.
func (h *Hook) value(r *rule, exposed bool) (term, error) {
	switch {
	case r.And != nil:
		return h.each(*r.And, all, func(kid *rule) (term, error) { return h.clean(kid, exposed) })
	case r.Or != nil:
		exposed = exposed || !oneContainer(*r.Or)
		return h.each(*r.Or, either, func(kid *rule) (term, error) { return h.value(kid, exposed) })
	case r.Not != nil:
		t, err := h.value(r.Not, true)
		return negate(t), err
	case r.Match != nil:
		return h.match(r.Match, exposed)
	default:
		return constant(false), nil
	}
}

// clean says that a rule is true, and found all that it looked for.
func (h *Hook) clean(r *rule, exposed bool) (term, error) {
	value, err := h.value(r, exposed)
	if err != nil || r.And != nil || r.Or != nil || r.Not == nil {
		return value, err
	}
	found, err := h.found(r)
	return all(found, value), err
}

// found says that a rule finds what it looks for, as far as it looks. The term never fails.
func (h *Hook) found(r *rule) (term, error) {
	switch {
	case r.And != nil:
		rest := constant(true)
		for _, kid := range slices.Backward(*r.And) {
			found, err := h.found(&kid)
			if err != nil {
				return term{}, err
			}
			clean, err := h.clean(&kid, true)
			if err != nil {
				return term{}, err
			}
			rest = all(found, either(negate(clean), rest))
		}
		return rest, nil
	case r.Or != nil:
		return constant(true), nil
	case r.Not != nil:
		return h.found(r.Not)
	case r.Match == nil || isConstant(r.Match):
		return constant(true), nil
	}
	ref, err := h.refer(r.Match.Parameter)
	if err != nil {
		return term{}, err
	}
	return all(ref.holds(), ref.present()), nil
}

// each joins what becomes of the rules of a list.
func (h *Hook) each(list []rule, join func(...term) term, translate func(*rule) (term, error)) (term, error) {
	terms := make([]term, len(list))
	for i := range list {
		var err error
		if terms[i], err = translate(&list[i]); err != nil {
			return term{}, err
		}
	}
	return join(terms...), nil
}

// oneContainer says whether the rules of a list are matches of members of one and the same object, so that either all of
// them fail on a delivery or none does.
func oneContainer(list []rule) bool {
	container := ""
	for i := range list {
		m := list[i].Match
		if m == nil || list[i].And != nil || list[i].Or != nil || list[i].Not != nil || m.Parameter.Source != "payload" {
			return false
		}
		name := string(m.Parameter.Name)
		above := lastPart.ReplaceAllString(name, "")
		if i > 0 && above != container || endsInIndex.MatchString(name) {
			return false
		}
		container = above
	}
	return true
}

var (
	lastPart    = regexp.MustCompile(`(^|\.)[^.]*$`)
	endsInIndex = regexp.MustCompile(`(^|\.)[0-9]+$`)
)

// isConstant says whether a match looks at nothing of the request but what all have in common.
func isConstant(m *match) bool {
	return m.Parameter.Source == "string" || m.Parameter.Source == "request" && m.Parameter.Name == "method"
}

// scalar is a text that a number or a truth value may have.
var scalar = regexp.MustCompile(`^(-?[0-9].*|true|false)$`)

// match translates the comparison of one value.
func (h *Hook) match(m *match, exposed bool) (term, error) {
	if m.Type != "value" && m.Type != "regex" {
		return term{}, fmt.Errorf("%s can only be demanded of every delivery, not in an or or a not", m.Type)
	}
	var pattern *regexp.Regexp
	if m.Type == "regex" {
		var err error
		if pattern, err = regexp.Compile(string(m.Regex)); err != nil {
			return term{}, errors.New("its regex is none")
		}
	}
	if isConstant(m) {
		value := string(m.Parameter.Name)
		if m.Parameter.Source == "request" {
			value = "POST"
		}
		return constant(pattern != nil && pattern.MatchString(value) || pattern == nil && value == string(m.Value)), nil
	}
	ref, err := h.refer(m.Parameter)
	if err != nil {
		return term{}, err
	}
	if ref.header == "" && len(ref.path) == 0 {
		return term{}, errors.New("the payload as a whole cannot be compared")
	}
	if ref.header == "" && isCredential(ref.path[len(ref.path)-1]) {
		return term{}, fmt.Errorf("payload %q: a filter holds no credentials; use a source that verifies a signature", m.Parameter.Name)
	}
	guard := constant(true)
	if exposed {
		guard = ref.holds()
	}
	return all(guard, ref.compare(m)), nil
}

// compare is the comparison alone.
func (r reference) compare(m *match) term {
	value := r.expression()
	if m.Type == "regex" {
		if r.header != "" {
			return all(r.present(), leaf(value+" matches "+strconv.Quote(string(m.Regex))))
		}
		way := constant(true)
		if r.indexed(len(r.path) - 1) {
			way = r.holds() // what is not there would be matched as the text of nil
		}
		value = "string(" + value + ")"
		return all(way, r.present(), leaf(value+" matches "+strconv.Quote(string(m.Regex))))
	}
	equal := leaf(value + " == " + strconv.Quote(string(m.Value)))
	switch {
	case r.header != "" && m.Value == "":
		return all(r.present(), equal)
	case r.header == "" && scalar.MatchString(string(m.Value)):
		return leaf("string(" + value + ") == " + strconv.Quote(string(m.Value)))
	}
	return equal
}
