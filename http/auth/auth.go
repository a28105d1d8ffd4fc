// Package auth says who speaks to the status API and what they may do there: scopes, the tokens that grant them, and a
// bound on guesses. It knows nothing of paths; who serves one says which scope it takes.
//
// The one invariant: a request of which nobody has said who sends it may do nothing.
package auth

import (
	"fmt"

	"github.com/valyala/fasthttp"
)

// Scope is how much somebody may do. Each includes those below it.
type Scope uint8

// The scopes, growing.
const (
	// None may do nothing. It is the scope of whoever was not let in.
	None Scope = iota
	// Read sees states and metrics, but nothing that a sender sent.
	Read
	// Operate gives commands, and sees headers and bodies of deliveries.
	Operate
	// Admin sees the audit.
	Admin
)

// String is the word of the configuration: read, operate or admin; none for what is no scope.
func (s Scope) String() string {
	switch s {
	case Read:
		return "read"
	case Operate:
		return "operate"
	case Admin:
		return "admin"
	default:
		return "none"
	}
}

// ParseScope is the inverse of String for read, operate and admin.
func ParseScope(word string) (Scope, error) {
	for s := Read; s <= Admin; s++ {
		if s.String() == word {
			return s, nil
		}
	}
	return None, fmt.Errorf("%q is none of read, operate, admin", word)
}

// Principal is who sends a request.
type Principal struct {
	// Name is that of the token, or where the principal comes from; it is written to the audit.
	Name string
	// Scope is how much they may do.
	Scope Scope
}

// principalKey is where a request keeps its Principal.
type principalKey struct{}

// Identify writes down who sends a request, for whoever serves it.
func Identify(ctx *fasthttp.RequestCtx, p Principal) { ctx.SetUserValue(principalKey{}, p) }

// Of returns who sends a request: the zero Principal when nobody has said so.
func Of(ctx *fasthttp.RequestCtx) Principal {
	p, _ := ctx.UserValue(principalKey{}).(Principal)
	return p
}
