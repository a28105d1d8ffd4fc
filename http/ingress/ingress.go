// Package ingress is where deliveries enter: it admits a request, copies it once off the wire, has its source verify and
// read it, hands the delivery over, and answers only after it was told where that delivery stands. Nothing beyond it
// knows fasthttp. It parses nothing of a body itself and stores nothing.
//
// The one invariant: a 2xx with a webhook ID means that the Acceptor confirmed it, and every other answer means that
// nothing was stored.
package ingress

import (
	"context"
	"sync/atomic"

	"github.com/sirupsen/logrus"
	"github.com/valyala/fasthttp"

	"github.com/hooktroupe/hooktroupe/http/clientaddr"
	"github.com/hooktroupe/hooktroupe/http/ingress/health"
	"github.com/hooktroupe/hooktroupe/http/problem"
	"github.com/hooktroupe/hooktroupe/internal/clock"
	"github.com/hooktroupe/hooktroupe/internal/tracing"
	"github.com/hooktroupe/hooktroupe/messages"
	"github.com/hooktroupe/hooktroupe/metrics"
	"github.com/hooktroupe/hooktroupe/source"
)

// Acceptor makes a verified delivery durable.
type Acceptor interface {
	// Accept answers once the delivery is on stable storage, or once it is clear that it will not be: exactly one of
	// the two messages is set then. An error means that no answer came before ctx was done; the delivery may be stored
	// or not, and the sender is told to send it again. The delivery is the Acceptor's from here on.
	Accept(ctx context.Context, d *messages.Delivery) (*messages.DeliveryAccepted, *messages.DeliveryRefused, error)
}

// Router assigns a verified delivery to those that want it, and says whether anybody does. It must not block.
type Router func(d *messages.Delivery) (wanted bool)

// Observer hears of every answer as it leaves. It must not block.
type Observer interface{ Answered(health.Answer) }

// Dependencies are what an Ingress works with; all but Observer and Tracer are required.
type Dependencies struct {
	// Acceptor takes the deliveries.
	Acceptor Acceptor
	// Router is asked before the Acceptor.
	Router Router
	// Observer hears of the answers; nil for nobody.
	Observer Observer
	// Clock stamps deliveries and judges signed time stamps.
	Clock clock.Clock
	// Tracer begins the traces of deliveries; nil for none.
	Tracer *tracing.Tracer
	// Metrics are counted here only in their Ingress group.
	Metrics *metrics.Set
	// Log gets refusals, a bounded number a second.
	Log logrus.FieldLogger
}

// Ingress serves the deliveries of all sources. It is safe for use by many goroutines.
type Ingress struct {
	cfg   Config
	deps  Dependencies
	room  *room
	table atomic.Pointer[Table] // replaced whole by SetTable
}

// New returns an Ingress that knows no source until SetTable. The configuration must be valid.
func New(cfg Config, deps Dependencies) *Ingress {
	cfg = cfg.WithDefaults()
	in := &Ingress{cfg: cfg, deps: deps, room: newRoom(cfg, &deps.Metrics.Ingress)}
	in.table.Store(&Table{unknown: &route{name: UnknownSource}})
	return in
}

// SetTable replaces the sources at once for all requests that begin after it. Those in flight keep theirs. A source whose
// name stays has used of its rate what it had. A Table is set once, by one goroutine at a time.
func (in *Ingress) SetTable(t *Table) { in.Replace(in.cfg, t, in.deps.Router) }

// Replace is SetTable with other bounds of what is in flight, and with another Router: a request that began under the
// table before is routed by the Router before. The bounds of a single body are the table's.
func (in *Ingress) Replace(cfg Config, t *Table, r Router) {
	in.room.resize(cfg.WithDefaults())
	t.inherit(in.table.Load(), in.deps.Clock.Now())
	for _, route := range t.routes {
		route.router = r
	}
	in.table.Store(t)
}

// Handle serves one request. The server must stream request bodies (fasthttp.Server.StreamRequestBody), so that a
// request is judged by its header block before its body is read. The client is whom ctx.RemoteAddr names: a server
// behind proxies puts a clientaddr.Client there first.
func (in *Ingress) Handle(ctx *fasthttp.RequestCtx) {
	route := in.table.Load().match(ctx.Path())
	if !in.room.enter() {
		in.refuse(ctx, route, overloaded)
		in.count(ctx, route)
		in.observe(route, health.Answer{Code: ctx.Response.StatusCode()})
		return
	}
	defer in.room.leave()
	a := health.Answer{Code: fasthttp.StatusInternalServerError} // which is how the server answers a panic
	defer func() { in.observe(route, a) }()
	in.serve(ctx, route, &a)
	in.count(ctx, route)
	a.Code = ctx.Response.StatusCode()
}

// Expect judges a request that waits for 100 Continue by its header block, and returns 100 or the status of the refusal,
// which fasthttp sends without a body.
func (in *Ingress) Expect(ctx *fasthttp.RequestCtx) int {
	route := in.table.Load().match(ctx.Path())
	r := in.screen(ctx, route)
	if r == nil {
		return fasthttp.StatusContinue
	}
	in.report(ctx, route, r)
	in.deps.Metrics.Ingress.Requests.With(route.name, codeLabel(r.kind.Status())).Inc()
	in.observe(route, health.Answer{Code: r.kind.Status()})
	return r.kind.Status()
}

// observe tells how a request of a source was answered.
func (in *Ingress) observe(route *route, a health.Answer) {
	if in.deps.Observer != nil {
		a.Source = route.name
		in.deps.Observer.Answered(a)
	}
}

// serve takes an admitted request through every stage, up to the first that refuses, and notes in the answer how far it
// came.
func (in *Ingress) serve(ctx *fasthttp.RequestCtx, route *route, a *health.Answer) {
	if r := in.screen(ctx, route); r != nil {
		in.refuse(ctx, route, r)
		return
	}
	// The header block is copied before the body is read: trailers join fasthttp's headers only then.
	header := copyHeader(&ctx.Request.Header)
	grant := in.room.grant()
	defer grant.release()
	body, r := readBody(ctx, route.maxBody, &grant)
	if r != nil {
		in.refuse(ctx, route, r)
		return
	}
	a.ReceivedAt = in.deps.Clock.Now()
	in.judge(ctx, route, a, &source.Request{
		Method:     method(ctx),
		Path:       string(ctx.Path()),
		Query:      string(ctx.URI().QueryString()),
		Header:     header,
		Body:       body,
		ClientAddr: clientaddr.Of(ctx.RemoteAddr()).Addr,
		ReceivedAt: a.ReceivedAt,
	})
}

// judge has the source verify and read the request, and hands over what it says.
func (in *Ingress) judge(ctx *fasthttp.RequestCtx, route *route, a *health.Answer, req *source.Request) {
	if route.greeter != nil {
		if greeting, ok := route.greeter.Greet(req); ok {
			writeAnswer(ctx, greeting)
			return
		}
	}
	if req.Method != fasthttp.MethodPost {
		in.refuse(ctx, route, notAllowed(ctx))
		return
	}
	if err := route.source.Verify(req, req.ReceivedAt); err != nil {
		in.refuse(ctx, route, unproven(err))
		return
	}
	a.Verified = true
	if wait, ok := route.pace.take(req.ReceivedAt); !ok {
		in.refuse(ctx, route, tooFast(wait))
		return
	}
	delivery, err := route.source.Parse(req)
	if err != nil {
		in.refuse(ctx, route, malformed(err))
		return
	}
	if delivery.Answer != nil {
		writeAnswer(ctx, delivery.Answer)
		return
	}
	message := &messages.Delivery{
		Source:      route.name,
		EventType:   delivery.EventType,
		DeliveryId:  delivery.DeliveryID,
		Key:         delivery.Key,
		ReceivedAt:  req.ReceivedAt.UnixNano(),
		Headers:     keptHeaders(req.Header, route.sensitive, in.cfg.MaxStoredHeaderBytes),
		Body:        req.Body,
		MaxAttempts: route.maxAttempts,
	}
	if !route.router(message) {
		in.ignore(ctx, route, req, &delivery)
		return
	}
	in.submit(ctx, route, req, message)
}

// submit hands the delivery over and answers with what became of it.
func (in *Ingress) submit(ctx *fasthttp.RequestCtx, route *route, req *source.Request, d *messages.Delivery) {
	wait, cancel := context.WithTimeout(context.Background(), in.cfg.AnswerTimeout)
	defer cancel()
	span := in.deps.Tracer.Request(tracing.Delivery{
		Source: route.name, EventType: d.EventType, Route: req.Path, ReceivedAt: req.ReceivedAt,
		Parent: req.Header.Get(tracing.HeaderParent), State: req.Header.Get(tracing.HeaderState),
	})
	d.Traceparent, d.Tracestate = span.Headers()
	appended := span.Append()
	accepted, refused, err := in.deps.Acceptor.Accept(wait, d)
	appended()
	defer func() { span.End(ctx.Response.StatusCode(), accepted.GetWebhookId()) }()
	switch {
	case err != nil:
		in.refuse(ctx, route, &refusal{kind: problem.NoAnswer, cause: err.Error(), retryAfter: 1})
	case refused != nil:
		in.refuse(ctx, route, declined(refused))
	default:
		writeAccepted(ctx, accepted)
		in.deps.Metrics.Ingress.AckSeconds.With(route.name).
			Observe(in.deps.Clock.Now().Sub(req.ReceivedAt).Seconds())
	}
}
