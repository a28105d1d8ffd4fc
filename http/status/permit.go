package status

import (
	"github.com/valyala/fasthttp"

	"github.com/hooktroupe/hooktroupe/http/auth"
	"github.com/hooktroupe/hooktroupe/http/problem"
)

// scope is what an endpoint takes: nothing for probes, reading for questions, more for what changes something, for who
// changed what, and for what the process is at.
func (e endpoint) scope(command bool) auth.Scope {
	switch {
	case e == liveness || e == readiness:
		return auth.None
	case e == auditTrail, e == profiling:
		return auth.Admin
	case command:
		return auth.Operate
	default:
		return auth.Read
	}
}

// permit refuses whoever may not ask that; it says whether to go on.
func permit(ctx *fasthttp.RequestCtx, e endpoint) bool {
	needed := e.scope(ctx.IsPost())
	if has := auth.Of(ctx).Scope; has < needed {
		problem.Write(ctx, problem.ScopeTooSmall, "this takes "+needed.String()+", the token has "+has.String(), 0)
		return false
	}
	return true
}
