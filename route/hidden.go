package route

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
)

// Hidden is a route that no delivery reaches, because routes before it take everything that it could match.
type Hidden struct {
	// Route is its place in the list.
	Route int
	// By are the places of the routes before it, in order; empty where there is no source that it matches.
	By []int
	// Unless says that it is reached all the same where the key of a route before it fails on a delivery.
	Unless bool
}

// FindHidden looks for routes that no delivery of these sources reaches. It compares the globs of each route with those of
// the routes before it that end the search: those that do not continue, and have no filter, or its own. What it finds is
// so; it does not judge filters, and gives up on globs that are very large together. What does not compile hides nothing and
// is not hidden.
func FindHidden(routes []Config, sources []string) []Hidden {
	list := make([]candidate, len(routes))
	for i, c := range routes {
		list[i] = newCandidate(c)
	}
	var found []Hidden
	for i := range list {
		if h, is := hidden(list, i, sources); is {
			found = append(found, h)
		}
	}
	return found
}

// candidate is a route as far as it can hide another.
type candidate struct {
	Config
	source *glob
	events []pattern // any of which may match; nil where it is not known
}

func newCandidate(c Config) candidate {
	made := candidate{Config: c}
	source, err := newGlob(c.Source)
	if err != nil {
		return made
	}
	made.source, made.events = source, patternsOf(c.Events)
	return made
}

// hidden says whether the routes before one take all deliveries of every source that it matches.
func hidden(list []candidate, at int, sources []string) (Hidden, bool) {
	r, h := list[at], Hidden{Route: at}
	if r.events == nil {
		return h, false
	}
	judged := make(map[string]bool) // by the routes in question, for most sources have the same
	for _, source := range sources {
		if !r.source.match(source) {
			continue
		}
		before := enders(list[:at], r, source)
		label := fmt.Sprint(before)
		if judged[label] {
			continue
		}
		judged[label] = true
		by, unless, all := takers(list, before, r)
		if !all {
			return h, false
		}
		h.Unless = h.Unless || unless
		for _, one := range by {
			if !slices.Contains(h.By, one) {
				h.By = append(h.By, one)
			}
		}
	}
	slices.Sort(h.By)
	return h, true
}

// enders are the routes that end the search for every delivery of a source that has one of their events and comes to r.
func enders(list []candidate, r candidate, source string) []int {
	var before []int
	for i, c := range list {
		if c.events != nil && !c.Continue && (c.Filter == "" || c.Filter == r.Filter) && c.source.match(source) {
			before = append(before, i)
		}
	}
	return before
}

// takers says whether these routes together have all events of r, and which are needed to say so: one where one is enough,
// one without a key, which cannot fail, where there is one.
func takers(list []candidate, before []int, r candidate) (by []int, unless, taken bool) {
	var sure, all []pattern
	var certain []int
	for _, i := range before {
		all = append(all, list[i].events...)
		if list[i].Key == "" {
			sure, certain = append(sure, list[i].events...), append(certain, i)
		}
	}
	for _, unless := range []bool{false, true} {
		patterns, of := sure, certain
		if unless {
			patterns, of = all, before
		}
		for _, i := range of {
			if includes(list[i].events, r.events) {
				return []int{i}, unless, true
			}
		}
		if includes(patterns, r.events) {
			return of, unless, true
		}
	}
	return nil, false, false
}

// token is one step of a pattern: a character, any character, or any text.
type token rune

const (
	someLetter token = -1
	someText   token = -2
)

// pattern is a glob without braces.
type pattern []token

// maxPatterns bounds what the braces of one route multiply to.
const maxPatterns = 256

// patternsOf writes the globs of event types without braces; nil where that is too many, or one does not compile.
func patternsOf(events []string) []pattern {
	if len(events) == 0 || slices.Contains(events, "") {
		return []pattern{{someText}}
	}
	var all []pattern
	for _, event := range events {
		if _, err := newEventGlob([]string{event}); err != nil {
			return nil
		}
		for _, text := range unfold(event) {
			p := tokens(text)
			all = append(all, p)
			if !strings.Contains(event, ".") {
				all = append(all, append(slices.Clone(p), token('.'), someText))
			}
		}
		if len(all) > maxPatterns {
			return nil
		}
	}
	return all
}

// unfold writes out the braces of a glob, at most a few more times than there may be patterns.
func unfold(glob string) []string {
	before, rest, found := strings.Cut(glob, "{")
	inside, behind, closed := strings.Cut(rest, "}")
	if !found || !closed {
		return []string{glob}
	}
	var all []string
	tails := unfold(behind)
	for choice := range strings.SplitSeq(inside, ",") {
		for _, tail := range tails {
			if all = append(all, before+choice+tail); len(all) > maxPatterns {
				return all
			}
		}
	}
	return all
}

func tokens(text string) pattern {
	var p pattern
	for _, c := range text {
		switch c {
		case '*':
			p = append(p, someText)
		case '?':
			p = append(p, someLetter)
		default:
			p = append(p, token(c))
		}
	}
	return p
}

// maxPairs bounds the comparison of two lists of patterns.
const maxPairs = 20_000

// includes says whether every text that one of the small patterns matches is matched by one of the large ones. It runs
// both over all texts at once, as automata whose state is the set of places that they may be at.
func includes(large, small []pattern) bool {
	type pair struct{ large, small places }
	start := pair{begin(large), begin(small)}
	seen, todo := map[string]bool{start.large.key() + "\x00" + start.small.key(): true}, []pair{start}
	letters := alphabet(large, small)
	for len(todo) > 0 {
		at := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		switch {
		case len(at.small) == 0, at.large.takesAll(large):
			continue
		case at.small.ends(small) && !at.large.ends(large):
			return false
		}
		for _, c := range letters {
			next := pair{at.large.step(large, c), at.small.step(small, c)}
			key := next.large.key() + "\x00" + next.small.key()
			if !seen[key] {
				if len(seen) >= maxPairs {
					return false
				}
				seen[key], todo = true, append(todo, next)
			}
		}
	}
	return true
}

// alphabet are the characters that patterns name, and one that none does.
func alphabet(lists ...[]pattern) []token {
	letters := []token{0x10FFFF + 1}
	for _, list := range lists {
		for _, p := range list {
			for _, c := range p {
				if c >= 0 && !slices.Contains(letters, c) {
					letters = append(letters, c)
				}
			}
		}
	}
	return letters
}

// places are where the patterns of a list may be: sorted, the pattern and the place within it.
type places []uint32

const placeBits = 16 // a pattern is shorter than its glob, which has at most maxGlobBytes

func begin(list []pattern) places {
	var at places
	for i := range list {
		at = at.add(list, i, 0)
	}
	return at.sorted()
}

// add puts a place in, and those behind it that no character separates from it.
func (at places) add(list []pattern, i, place int) places {
	for {
		at = append(at, uint32(i)<<placeBits|uint32(place))
		if place >= len(list[i]) || list[i][place] != someText {
			return at
		}
		place++
	}
}

func (at places) sorted() places {
	slices.Sort(at)
	return slices.Compact(at)
}

func (at places) step(list []pattern, c token) places {
	var next places
	for _, a := range at {
		i, place := int(a>>placeBits), int(a&(1<<placeBits-1))
		if place >= len(list[i]) {
			continue
		}
		switch list[i][place] {
		case someText:
			next = next.add(list, i, place)
		case someLetter, c:
			next = next.add(list, i, place+1)
		}
	}
	return next.sorted()
}

// ends says whether a pattern matches what was read so far.
func (at places) ends(list []pattern) bool {
	return slices.ContainsFunc(at, func(a uint32) bool { return int(a&(1<<placeBits-1)) == len(list[a>>placeBits]) })
}

// takesAll says whether a pattern matches, whatever comes.
func (at places) takesAll(list []pattern) bool {
	return slices.ContainsFunc(at, func(a uint32) bool {
		p, place := list[a>>placeBits], int(a&(1<<placeBits-1))
		return place == len(p)-1 && p[place] == someText
	})
}

func (at places) key() string {
	key := make([]byte, 0, 4*len(at))
	for _, a := range at {
		key = binary.BigEndian.AppendUint32(key, a)
	}
	return string(key)
}
