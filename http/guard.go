package http

import (
	"bytes"
	"math"
	"net"
	"slices"
	"strings"

	"github.com/valyala/fasthttp"

	"github.com/hooktroupe/hooktroupe/http/auth"
	"github.com/hooktroupe/hooktroupe/http/problem"
)

// guard decides who may use the status API, and writes down who that is. With tokens, who bears one, with its scope.
// Without, whoever reaches the loopback address, for everything, but no page in a browser that was made to: its Host must
// be ours, so that a name rebound to 127.0.0.1 is refused, and a command must not come from another origin.
type guard struct {
	keys    auth.Keyring
	guesses *auth.Guesses
	hosts   []string
}

// local is who speaks where there are no tokens.
var local = auth.Principal{Name: "loopback", Scope: auth.Admin}

// verdict is what becomes of a request.
type verdict struct {
	kind       problem.Kind // None lets it through
	detail     string
	retryAfter uint32 // in seconds
}

// judge lets a request through, or says why not.
func (g *guard) judge(ctx *fasthttp.RequestCtx) verdict {
	if len(g.keys) > 0 {
		return g.judgeToken(ctx)
	}
	if !g.ours(string(ctx.Host())) {
		return verdict{kind: problem.Forbidden, detail: "the Host is neither loopback nor one of http.allowed_hosts"}
	}
	if !ctx.IsGet() && !ctx.IsHead() && !ctx.IsOptions() && foreign(ctx) {
		return verdict{kind: problem.Forbidden, detail: "commands are not taken from pages of other origins"}
	}
	auth.Identify(ctx, local)
	return verdict{}
}

// judgeToken looks at the token of whoever has not offered too many that were none. No token at all is no guess.
func (g *guard) judgeToken(ctx *fasthttp.RequestCtx) verdict {
	client := ctx.RemoteAddr()
	if wait := g.guesses.Wait(client); wait > 0 {
		return verdict{kind: problem.TooManyGuesses, retryAfter: uint32(math.Ceil(wait.Seconds()))}
	}
	token := bearer(ctx.Request.Header.Peek(fasthttp.HeaderAuthorization))
	if len(token) == 0 {
		return verdict{kind: problem.Unauthorized}
	}
	principal, known := g.keys.Find(token)
	if !known {
		g.guesses.Wrong(client)
		return verdict{kind: problem.Unauthorized}
	}
	auth.Identify(ctx, principal)
	return verdict{}
}

// bearer is the token of an Authorization; empty for none.
func bearer(authorization []byte) []byte {
	scheme, token, _ := bytes.Cut(authorization, []byte{' '})
	if !bytes.EqualFold(scheme, []byte("bearer")) {
		return nil
	}
	return token
}

// ours says whether a Host, with or without a port, is loopback or configured.
func (g *guard) ours(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.Trim(host, "[]"))
	return loopbackHost(host) || slices.ContainsFunc(g.hosts, func(h string) bool { return strings.EqualFold(h, host) })
}

// foreign says whether a browser sends the request for a page of another origin.
func foreign(ctx *fasthttp.RequestCtx) bool {
	h := &ctx.Request.Header
	switch string(h.Peek("Sec-Fetch-Site")) {
	case "", "same-origin", "none":
	default:
		return true
	}
	origin := string(h.Peek(fasthttp.HeaderOrigin))
	if origin == "" {
		return false
	}
	_, host, _ := strings.Cut(origin, "://")
	return host != string(ctx.Host())
}
