package http

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"slices"
	"strings"

	"github.com/valyala/fasthttp"

	"github.com/hooktroupe/hooktroupe/http/problem"
)

// guard decides who may use the status API. With tokens, who bears one. Without, whoever reaches the loopback address,
// but no page in a browser that was made to: its Host must be ours, so that a name rebound to 127.0.0.1 is refused, and
// a command must not come from another origin.
type guard struct {
	tokens [][sha256.Size]byte
	hosts  []string
}

// judge returns the refusal of a request, or None.
func (g *guard) judge(ctx *fasthttp.RequestCtx) (kind problem.Kind, detail string) {
	if len(g.tokens) > 0 {
		if !g.bears(ctx.Request.Header.Peek(fasthttp.HeaderAuthorization)) {
			return problem.Unauthorized, ""
		}
		return problem.None, ""
	}
	if !g.ours(string(ctx.Host())) {
		return problem.Forbidden, "the Host is neither loopback nor one of http.allowed_hosts"
	}
	if !ctx.IsGet() && !ctx.IsHead() && !ctx.IsOptions() && foreign(ctx) {
		return problem.Forbidden, "commands are not taken from pages of other origins"
	}
	return problem.None, ""
}

// bears compares the digest of the token with every one that is known, in constant time.
func (g *guard) bears(authorization []byte) bool {
	scheme, token, _ := bytes.Cut(authorization, []byte{' '})
	if !bytes.EqualFold(scheme, []byte("bearer")) || len(token) == 0 {
		return false
	}
	digest := sha256.Sum256(token)
	known := 0
	for i := range g.tokens {
		known |= subtle.ConstantTimeCompare(digest[:], g.tokens[i][:])
	}
	return known == 1
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
