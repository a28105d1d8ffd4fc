package ingress_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/valyala/fasthttp"

	"github.com/hooktroupe/hooktroupe/http/ingress"
	"github.com/hooktroupe/hooktroupe/http/ingress/health"
	"github.com/hooktroupe/hooktroupe/internal/clock"
	"github.com/hooktroupe/hooktroupe/messages"
	"github.com/hooktroupe/hooktroupe/metrics"
	"github.com/hooktroupe/hooktroupe/source"
)

// observed are the answers that an Ingress told of.
type observed []health.Answer

func (o *observed) Answered(a health.Answer) { *o = append(*o, a) }

// outcome is a source and an Acceptor that do as they are told.
type outcome struct {
	unproven, malformed, panics, fails bool
	refused                            *messages.DeliveryRefused
}

func (o outcome) Verify(*source.Request, time.Time) error {
	if o.unproven {
		return &source.Refusal{Reason: source.ReasonMismatch}
	}
	return nil
}

func (o outcome) Parse(*source.Request) (source.Delivery, error) {
	if o.panics {
		panic("a bug")
	}
	if o.malformed {
		return source.Delivery{}, &source.Malformed{Detail: "no JSON"}
	}
	return source.Delivery{EventType: "push"}, nil
}

func (o outcome) Accept(context.Context, *messages.Delivery) (
	*messages.DeliveryAccepted, *messages.DeliveryRefused, error,
) {
	if o.fails {
		return nil, nil, errors.New("no answer")
	}
	if o.refused != nil {
		return nil, o.refused, nil
	}
	return accepted, nil, nil
}

// handle serves one request, and survives a panic as the server does.
func handle(in *ingress.Ingress, ctx *fasthttp.RequestCtx) {
	defer func() { _ = recover() }()
	in.Handle(ctx)
}

// Every answer is told once, with its status, and with whether the source vouched for the request by then.
func TestObserver(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	for _, c := range []struct {
		name, header string
		does         outcome
		want         health.Answer
	}{
		{"accepted", delivery, outcome{}, health.Answer{Source: "shop", Code: 202, Verified: true, ReceivedAt: now}},
		{"malformed", delivery, outcome{malformed: true}, health.Answer{Source: "shop", Code: 400, Verified: true, ReceivedAt: now}},
		{"a panic", delivery, outcome{panics: true}, health.Answer{Source: "shop", Code: 500, Verified: true, ReceivedAt: now}},
		{"no answer", delivery, outcome{fails: true}, health.Answer{Source: "shop", Code: 503, Verified: true, ReceivedAt: now}},
		{
			"full disk", delivery, outcome{refused: &messages.DeliveryRefused{Reason: messages.Refusal_REFUSAL_STORAGE_FULL}},
			health.Answer{Source: "shop", Code: 507, Verified: true, ReceivedAt: now},
		},
		{"a stranger", delivery, outcome{unproven: true}, health.Answer{Source: "shop", Code: 401, ReceivedAt: now}},
		{"another method", strings.Replace(delivery, "POST", "GET", 1), outcome{}, health.Answer{Source: "shop", Code: 405}},
		{
			"no source", strings.Replace(delivery, "/shop", "/none", 1), outcome{},
			health.Answer{Source: ingress.UnknownSource, Code: 404},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			log := logrus.New()
			log.SetOutput(io.Discard)
			var got observed
			in := ingress.New(ingress.Config{}, ingress.Dependencies{
				Acceptor: c.does, Router: func(*messages.Delivery) bool { return true }, Observer: &got,
				Clock: clock.NewFake(now), Metrics: metrics.New(), Log: log,
			})
			table, err := ingress.NewTable(ingress.Config{}, []ingress.Entry{{Name: "shop", Source: c.does}})
			if err != nil {
				t.Fatal(err)
			}
			in.SetTable(table)
			ctx := prepare(t, c.header)
			ctx.Request.SetBodyStream(strings.NewReader("{}"), 2)
			handle(in, ctx)
			if len(got) != 1 || got[0] != c.want {
				t.Errorf("told %+v, want %+v", got, c.want)
			}
		})
	}
}

// What is refused by its header block alone is told as well: 100 Continue is no answer yet.
func TestObserverOfExpect(t *testing.T) {
	log := logrus.New()
	log.SetOutput(io.Discard)
	var got observed
	in := ingress.New(ingress.Config{}, ingress.Dependencies{
		Acceptor: outcome{}, Router: func(*messages.Delivery) bool { return true }, Observer: &got,
		Clock: clock.NewFake(time.Unix(0, 0)), Metrics: metrics.New(), Log: log,
	})
	table, err := ingress.NewTable(ingress.Config{}, []ingress.Entry{{Name: "shop", Source: outcome{}}})
	if err != nil {
		t.Fatal(err)
	}
	in.SetTable(table)
	if code := in.Expect(prepare(t, delivery)); code != 100 || len(got) != 0 {
		t.Errorf("Expect = %d, told %+v", code, got)
	}
	encoded := strings.Replace(delivery, "Accept: */*", "Content-Encoding: gzip", 1)
	if code := in.Expect(prepare(t, encoded)); code != 415 || len(got) != 1 || got[0] != (health.Answer{Source: "shop", Code: 415}) {
		t.Errorf("Expect = %d, told %+v", code, got)
	}
}
