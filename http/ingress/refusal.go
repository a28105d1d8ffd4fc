package ingress

import (
	"errors"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/valyala/fasthttp"

	"github.com/hooktroupe/hooktroupe/http/clientaddr"
	"github.com/hooktroupe/hooktroupe/http/problem"
	"github.com/hooktroupe/hooktroupe/internal/logfield"
	"github.com/hooktroupe/hooktroupe/messages"
	"github.com/hooktroupe/hooktroupe/source"
)

// refusal is a no, with all that answer, metric and log need of it. It is read-only.
type refusal struct {
	kind       problem.Kind
	reason     string // of a closed set; empty for the kind's own
	detail     string // for the sender; nothing of a body, a secret or a path
	cause      string // for the log only, in place of detail
	retryAfter uint32 // seconds; zero for none
	closes     bool   // the connection cannot be used further, or must not
}

// The refusals that need no detail of the request.
var (
	unknownSource = &refusal{kind: problem.UnknownSource}
	encodedBody   = &refusal{kind: problem.EncodedBody, detail: "send the body without Content-Encoding"}
	overloaded    = &refusal{kind: problem.Overloaded, retryAfter: 1, closes: true}
	foreign       = &refusal{kind: problem.AddressRefused, cause: "not on the source's allow list", closes: true}
)

func notAllowed(ctx *fasthttp.RequestCtx) *refusal {
	return &refusal{kind: problem.MethodNotAllowed, cause: "method " + printable(string(ctx.Method()))}
}

// tooFast is a delivery that comes before the source may send again. It is no 429, which puts the receiver on
// probation with some senders; a 503 is transient to all.
func tooFast(wait time.Duration) *refusal {
	seconds := (wait + time.Second - 1) / time.Second
	return &refusal{kind: problem.RateExceeded, cause: "beyond the source's rate", retryAfter: uint32(max(seconds, 1))}
}

// unproven is an error of Verify. The sender learns nothing but that; the log learns the reason.
func unproven(err error) *refusal {
	r := &refusal{kind: problem.BadSignature, cause: err.Error()}
	var why *source.Refusal
	if errors.As(err, &why) {
		r.reason, r.cause = string(why.Reason), why.Detail
	}
	return r
}

// malformed is an error of Parse. An authentic sender may know what is wrong.
func malformed(err error) *refusal {
	r := &refusal{kind: problem.MalformedDelivery, cause: err.Error()}
	var why *source.Malformed
	if errors.As(err, &why) {
		r.detail = why.Detail
	}
	return r
}

// declined is the Acceptor's no.
func declined(d *messages.DeliveryRefused) *refusal {
	r := &refusal{kind: problem.Internal, detail: d.GetDetail(), retryAfter: d.GetRetryAfter()}
	switch d.GetReason() {
	case messages.Refusal_REFUSAL_BACKLOG_FULL:
		r.kind = problem.BacklogFull
	case messages.Refusal_REFUSAL_STORAGE_FULL:
		r.kind = problem.StorageFull
	case messages.Refusal_REFUSAL_STORAGE_BUDGET:
		r.kind = problem.StorageBudget
	case messages.Refusal_REFUSAL_STORAGE_FAILED:
		r.kind = problem.StorageFailed
	case messages.Refusal_REFUSAL_STORE_UNAVAILABLE:
		r.kind = problem.StoreUnavailable
	case messages.Refusal_REFUSAL_DRAINING:
		r.kind = problem.Draining
	case messages.Refusal_REFUSAL_TOO_LARGE:
		r.kind = problem.DeliveryTooLarge
	}
	return r
}

// bearable is the kind of a refusal as the sender is told it: trouble of our own that the sender would not take for such,
// and would hold against us for good, is told as trouble that passes.
func (r *route) bearable(k problem.Kind) problem.Kind {
	if r.transient == nil || k.Status() < fasthttp.StatusInternalServerError || slices.Contains(r.transient, k.Status()) {
		return k
	}
	return problem.Unavailable
}

// refuse answers, counts and logs a refusal.
func (in *Ingress) refuse(ctx *fasthttp.RequestCtx, route *route, r *refusal) {
	if r.kind == problem.MethodNotAllowed {
		ctx.Response.Header.Set(fasthttp.HeaderAllow, fasthttp.MethodPost)
	}
	if r.closes {
		ctx.SetConnectionClose()
	}
	problem.Write(ctx, route.bearable(r.kind), r.detail, r.retryAfter)
	in.report(ctx, route, r)
}

// fieldSuppressed is how many refusals of the source were not logged since the last that was.
const fieldSuppressed = "suppressed"

// report counts a refusal and, unless there were too many this second, logs it.
func (in *Ingress) report(ctx *fasthttp.RequestCtx, route *route, r *refusal) {
	reason := r.reason
	if reason == "" {
		reason = r.kind.Reason()
	}
	in.deps.Metrics.Ingress.Rejected.With(route.name, reason).Inc()
	dropped, ok := route.warnings.allow(in.deps.Clock.Now(), in.cfg.WarningsPerSecond)
	if !ok {
		return
	}
	cause := r.cause
	if cause == "" {
		cause = r.detail
	}
	in.deps.Log.WithFields(logrus.Fields{
		logfield.Source:        route.name,
		logfield.Reason:        reason,
		logfield.ClientAddress: clientaddr.Of(ctx.RemoteAddr()).String(),
		logfield.HTTPStatus:    route.bearable(r.kind).Status(),
		logfield.Error:         printable(cause),
		fieldSuppressed:        dropped,
	}).Warn("delivery refused")
}

// count counts the answer that the response holds.
func (in *Ingress) count(ctx *fasthttp.RequestCtx, route *route) {
	in.deps.Metrics.Ingress.Requests.With(route.name, codeLabel(ctx.Response.StatusCode())).Inc()
}

// codeLabel is the text of a status, without an allocation for those of the usual path.
func codeLabel(code int) string {
	switch code {
	case fasthttp.StatusOK:
		return "200"
	case fasthttp.StatusAccepted:
		return "202"
	default:
		return strconv.Itoa(code)
	}
}

// throttle lets a number of things through in each second of the clock.
type throttle struct {
	second, passed, dropped atomic.Int64
}

// allow says whether one more may pass, and how many did not since the last that did. Calls that race at the turn of a
// second may let a few more through.
func (t *throttle) allow(now time.Time, perSecond int) (dropped int64, ok bool) {
	if second := now.Unix(); t.second.Swap(second) != second {
		t.passed.Store(0)
	}
	if t.passed.Add(1) > int64(perSecond) {
		t.dropped.Add(1)
		return 0, false
	}
	return t.dropped.Swap(0), true
}

// maxLogged bounds a value that somebody else chose, in bytes.
const maxLogged = 256

// printable cuts a value for a log and escapes what is not printable ASCII in it.
func printable(s string) string {
	if len(s) > maxLogged {
		s = s[:maxLogged]
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			quoted := strconv.QuoteToASCII(s)
			return quoted[1 : len(quoted)-1]
		}
	}
	return s
}
