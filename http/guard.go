package http

import (
	"bytes"
	"math"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/hooktroupe/hooktroupe/http/auth"
	"github.com/hooktroupe/hooktroupe/http/problem"
)

// guard decides who may use the status API, and writes down who that is. With tokens or certificates, who bears one, with
// its scope, or the cookie of a session that a token opened. Without, whoever reaches the loopback address, for everything,
// but no page in a browser that was made to: its Host must be ours, so that a name rebound to 127.0.0.1 is refused. What a
// browser sends by itself, a cookie or a certificate, commands nothing when it comes from a page of another origin.
type guard struct {
	access   *atomic.Pointer[access]
	sessions *auth.Sessions
	guesses  *auth.Guesses
}

// access is who is let in: immutable, replaced whole.
type access struct {
	keys         auth.Keyring
	certificates auth.Certificates
	hosts        []string
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
	now := g.access.Load()
	if len(now.keys)+len(now.certificates) > 0 {
		return g.judgeStranger(ctx, now)
	}
	if !now.ours(string(ctx.Host())) {
		return verdict{kind: problem.Forbidden, detail: "the Host is neither loopback nor one of http.allowed_hosts"}
	}
	if command(ctx) && foreign(ctx) {
		return verdict{kind: problem.Forbidden, detail: "commands are not taken from pages of other origins"}
	}
	auth.Identify(ctx, local)
	return verdict{}
}

// command says whether a request may change something.
func command(ctx *fasthttp.RequestCtx) bool { return !ctx.IsGet() && !ctx.IsHead() && !ctx.IsOptions() }

// judgeStranger looks for a token, then for what a browser sends by itself.
func (g *guard) judgeStranger(ctx *fasthttp.RequestCtx, now *access) verdict {
	if len(bearer(ctx.Request.Header.Peek(fasthttp.HeaderAuthorization))) > 0 {
		return g.judgeToken(ctx, now.keys)
	}
	who, known := now.certificates.Find(ctx.TLSConnectionState())
	ours := !foreign(ctx)
	if !known {
		who, _, known = g.sessions.Find(sessionCookie(ctx))
		ours = ownPage(ctx)
	}
	switch {
	case !known:
		return g.judgeToken(ctx, now.keys)
	case command(ctx) && !ours:
		return verdict{kind: problem.Forbidden, detail: "commands are not taken from pages of other origins"}
	}
	auth.Identify(ctx, who)
	return verdict{}
}

// sessionEnd is when the session of a request ends at the latest; zero without one.
func (g *guard) sessionEnd(ctx *fasthttp.RequestCtx) time.Time {
	_, ends, _ := g.sessions.Find(sessionCookie(ctx))
	return ends
}

// judgeToken looks at the token of whoever has not offered too many that were none. No token at all is no guess.
func (g *guard) judgeToken(ctx *fasthttp.RequestCtx, keys auth.Keyring) verdict {
	client := ctx.RemoteAddr()
	if wait := g.guesses.Wait(client); wait > 0 {
		return verdict{kind: problem.TooManyGuesses, retryAfter: uint32(math.Ceil(wait.Seconds()))}
	}
	token := bearer(ctx.Request.Header.Peek(fasthttp.HeaderAuthorization))
	if len(token) == 0 {
		return verdict{kind: problem.Unauthorized}
	}
	principal, known := keys.Find(token)
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
func (a *access) ours(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.Trim(host, "[]"))
	return loopbackHost(host) || slices.ContainsFunc(a.hosts, func(h string) bool { return strings.EqualFold(h, host) })
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

// ownPage says whether a browser proves that it sends the request for a page of ours: every one does that sends commands.
func ownPage(ctx *fasthttp.RequestCtx) bool {
	h := &ctx.Request.Header
	proof := len(h.Peek(fasthttp.HeaderOrigin)) > 0 || string(h.Peek("Sec-Fetch-Site")) == "same-origin"
	return proof && !foreign(ctx)
}
