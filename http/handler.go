package http

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"strconv"
	"sync/atomic"

	"github.com/sirupsen/logrus"
	"github.com/valyala/fasthttp"

	"github.com/hooktroupe/hooktroupe/http/clientaddr"
	"github.com/hooktroupe/hooktroupe/http/dashboard"
	"github.com/hooktroupe/hooktroupe/http/ingress"
	"github.com/hooktroupe/hooktroupe/http/problem"
	"github.com/hooktroupe/hooktroupe/http/status"
	"github.com/hooktroupe/hooktroupe/internal/logfield"
)

// faces are what one listener serves.
type faces struct {
	deps     Dependencies
	guard    guard
	ingress  bool // deliveries
	admin    bool // the status API and metrics
	draining *atomic.Bool
	clients  clientaddr.Resolver
}

// serve is the one place where a request becomes a call. A panic below it ends the request, never the process.
func (f *faces) serve(ctx *fasthttp.RequestCtx) {
	defer f.recover(ctx)
	f.identify(ctx)
	if f.draining.Load() {
		ctx.SetConnectionClose()
	}
	path := ctx.Path()
	switch {
	case !wellFramed(&ctx.Request.Header):
		f.reject(ctx, problem.BadFraming, "")
	case status.Probe(path):
		f.deps.Status.Handle(ctx)
	case f.ingress && f.deps.Ingress.Owns(path):
		f.deps.Ingress.Handle(ctx)
	case status.Owns(path):
		f.api(ctx)
	case dashboard.Owns(path):
		f.page(ctx)
	case f.ingress:
		f.deps.Ingress.Handle(ctx)
	default:
		problem.Write(ctx, problem.NotFound, "", 0)
	}
}

// identify puts the client in the place of the peer, for all that comes after. It looks at the header block before the
// body is read, for what trailers say would join it then.
func (f *faces) identify(ctx *fasthttp.RequestCtx) {
	name := f.clients.Scheme.Header()
	if name == "" {
		return
	}
	ctx.SetRemoteAddr(nil) // the client of the connection's request before this one
	ctx.SetRemoteAddr(f.clients.Resolve(ctx.RemoteAddr(), ctx.Request.Header.PeekAll(name)))
}

// api serves the status API to whom it may concern.
func (f *faces) api(ctx *fasthttp.RequestCtx) {
	if !f.admin {
		problem.Write(ctx, problem.NotFound, "", 0)
		return
	}
	// What the API answers is never a page, whatever a browser takes it for.
	ctx.Response.Header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	switch {
	case string(ctx.Path()) == sessionPath:
		f.session(ctx)
	case f.admit(ctx):
		f.deps.Status.Handle(ctx)
	}
}

// page serves the dashboard, which is nothing secret: what it shows it asks the API for.
func (f *faces) page(ctx *fasthttp.RequestCtx) {
	if !f.admin || f.deps.Dashboard == nil {
		problem.Write(ctx, problem.NotFound, "", 0)
		return
	}
	f.deps.Dashboard.Handle(ctx)
}

// expect answers Expect: 100-continue, before any of the body was read.
func (f *faces) expect(ctx *fasthttp.RequestCtx) (code int) {
	defer func() {
		if cause := recover(); cause != nil {
			f.panicked(ctx, cause)
			code = fasthttp.StatusInternalServerError
		}
	}()
	f.identify(ctx)
	if !wellFramed(&ctx.Request.Header) {
		return problem.BadFraming.Status()
	}
	if f.ingress && (f.deps.Ingress.Owns(ctx.Path()) || !status.Owns(ctx.Path())) {
		return f.deps.Ingress.Expect(ctx)
	}
	return fasthttp.StatusContinue
}

// fail answers what fasthttp could not make a request of.
func (f *faces) fail(ctx *fasthttp.RequestCtx, err error) {
	kind := problem.BadFraming
	var small *fasthttp.ErrSmallBuffer
	var timeout net.Error
	switch {
	case errors.As(err, &small):
		kind = problem.HeaderTooLarge
	case errors.As(err, &timeout) && timeout.Timeout():
		kind = problem.RequestTimeout
	}
	f.reject(ctx, kind, "")
}

// reject ends a connection whose next request could not be told from the rest of this one.
func (f *faces) reject(ctx *fasthttp.RequestCtx, kind problem.Kind, detail string) {
	ctx.SetConnectionClose()
	problem.Write(ctx, kind, detail, 0)
	f.deps.Metrics.Ingress.Rejected.With(ingress.UnknownSource, kind.Reason()).Inc()
	f.deps.Metrics.Ingress.Requests.With(ingress.UnknownSource, strconv.Itoa(kind.Status())).Inc()
}

// recover turns a panic into a 500. The body may be half read, so the connection ends.
func (f *faces) recover(ctx *fasthttp.RequestCtx) {
	cause := recover()
	if cause == nil {
		return
	}
	f.panicked(ctx, cause)
	ctx.Response.Reset()
	ctx.SetConnectionClose()
	problem.Write(ctx, problem.Internal, "", 0)
}

func (f *faces) panicked(ctx *fasthttp.RequestCtx, cause any) {
	f.deps.Metrics.Ingress.Panics.Inc()
	f.deps.Log.WithFields(logrus.Fields{
		logfield.Error:         fmt.Sprint(cause),
		logfield.ClientAddress: ctx.RemoteAddr().String(),
		"stack":                string(debug.Stack()),
	}).Error("a request panicked")
}

// wellFramed says whether everybody between the sender and us agrees on where this request ends. fasthttp lets through
// what a proxy may read differently: Transfer-Encoding: identity, Transfer-Encoding beside Content-Length, folded lines,
// lines that end in a bare LF, blanks within a name.
func wellFramed(h *fasthttp.RequestHeader) bool {
	raw := h.RawHeaders()
	length, coding := false, false
	for len(raw) > 0 {
		end := bytes.IndexByte(raw, '\n')
		if end < 1 || raw[end-1] != '\r' {
			return false
		}
		line := raw[:end-1]
		raw = raw[end+1:]
		if len(line) == 0 {
			break
		}
		colon := bytes.IndexByte(line, ':')
		if colon < 1 || bytes.ContainsAny(line[:colon], " \t") || bytes.IndexByte(line, '\r') >= 0 {
			return false
		}
		switch colon {
		case len(fasthttp.HeaderContentLength):
			length = length || bytes.EqualFold(line[:colon], []byte(fasthttp.HeaderContentLength))
		case len(fasthttp.HeaderTransferEncoding):
			if !bytes.EqualFold(line[:colon], []byte(fasthttp.HeaderTransferEncoding)) {
				continue
			}
			if coding || !bytes.EqualFold(bytes.TrimSpace(line[colon+1:]), []byte("chunked")) {
				return false
			}
			coding = true
		}
	}
	return !length || !coding
}
