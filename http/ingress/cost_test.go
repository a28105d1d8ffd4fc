package ingress_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/valyala/fasthttp"

	"github.com/hooktroupe/hooktroupe/http/ingress"
	"github.com/hooktroupe/hooktroupe/internal/clock"
	"github.com/hooktroupe/hooktroupe/messages"
	"github.com/hooktroupe/hooktroupe/metrics"
	"github.com/hooktroupe/hooktroupe/source"
)

// lastDelivery accepts everything and remembers the last.
type lastDelivery struct{ d *messages.Delivery }

func (l *lastDelivery) Accept(_ context.Context, d *messages.Delivery) (
	*messages.DeliveryAccepted, *messages.DeliveryRefused, error,
) {
	l.d = d
	return accepted, nil, nil
}

// lastRequest is a source that takes everything and remembers the last request.
type lastRequest struct{ req *source.Request }

func (l *lastRequest) Verify(req *source.Request, _ time.Time) error {
	l.req = req
	return nil
}

func (*lastRequest) Parse(*source.Request) (source.Delivery, error) {
	return source.Delivery{EventType: "push", DeliveryID: "d-1"}, nil
}

// bare is an Ingress to be called without a server.
func bare(tb testing.TB) (*ingress.Ingress, *lastRequest, *lastDelivery) {
	tb.Helper()
	log := logrus.New()
	log.SetOutput(io.Discard)
	acceptor, src := &lastDelivery{}, &lastRequest{}
	in := ingress.New(ingress.Config{}, ingress.Dependencies{
		Acceptor: acceptor, Router: func(*messages.Delivery) bool { return true },
		Clock: clock.Real{}, Metrics: metrics.New(), Log: log,
	})
	table, err := ingress.NewTable(ingress.Config{}, []ingress.Entry{{Name: "shop", Source: src}})
	if err != nil {
		tb.Fatal(err)
	}
	in.SetTable(table)
	return in, src, acceptor
}

// body is about that of a push.
var body = bytes.Repeat([]byte("x"), 8000)

// delivery is the header block of a forge's request.
const delivery = "POST /webhooks/shop HTTP/1.1\r\nHost: hooks.example\r\nUser-Agent: GitHub-Hookshot/1\r\n" +
	"Accept: */*\r\nContent-Type: application/json\r\nX-GitHub-Delivery: 72d3162e-cc78-11e3-81ab-4c9367dc0958\r\n" +
	"X-GitHub-Event: push\r\nX-GitHub-Hook-ID: 1\r\nX-Hub-Signature-256: sha256=00\r\n\r\n"

// prepare makes a context that holds the request, as the server would before it calls the handler.
func prepare(tb testing.TB, header string) *fasthttp.RequestCtx {
	tb.Helper()
	ctx := new(fasthttp.RequestCtx)
	ctx.Init(&fasthttp.Request{}, nil, nil)
	readHeader(tb, ctx, header)
	return ctx
}

// readHeader gives a context the header block; what fasthttp itself refuses never comes to the ingress.
func readHeader(tb testing.TB, ctx *fasthttp.RequestCtx, header string) {
	tb.Helper()
	if err := ctx.Request.Header.Read(bufio.NewReader(strings.NewReader(header))); err != nil {
		tb.Skip("fasthttp refuses it: ", err)
	}
}

// maxAllocs is what one delivery may cost over bare fasthttp: its header block, fields and stored headers, its body, the
// request, the delivery, the bounded wait and the answer.
const maxAllocs = 15

func TestCostOfOneDelivery(t *testing.T) {
	in, _, _ := bare(t)
	ctx := prepare(t, delivery)
	stream := bytes.NewReader(body)
	allocs := testing.AllocsPerRun(1000, func() {
		stream.Reset(body)
		ctx.Request.SetBodyStream(stream, len(body))
		ctx.Response.Reset()
		in.Handle(ctx)
	})
	if code := ctx.Response.StatusCode(); code != 202 {
		t.Fatalf("got %d %s", code, ctx.Response.Body())
	}
	if allocs > maxAllocs {
		t.Errorf("one delivery allocates %v times, at most %d allowed", allocs, maxAllocs)
	}
}

func BenchmarkDelivery(b *testing.B) {
	in, _, _ := bare(b)
	ctx := prepare(b, delivery)
	stream := bytes.NewReader(body)
	b.ReportAllocs()
	for b.Loop() {
		stream.Reset(body)
		ctx.Request.SetBodyStream(stream, len(body))
		ctx.Response.Reset()
		in.Handle(ctx)
	}
}

// FuzzHeader holds that the source sees every line of the header block in order and with the value that was sent, and
// that nothing sensitive and no more than the bound is stored.
func FuzzHeader(f *testing.F) {
	f.Add("X-A: 1\r\nx-b:2\r\nX-A:\t3 \r\n")
	f.Add("authorization: Bearer secret\r\nCookie: a=b\r\nX-Hub-Signature: sha1=00\r\n")
	f.Add("Content-Type: text/plain\r\nUser-Agent: x\r\nConnection: close\r\nExpect: 100-continue\r\n")
	f.Add("X: " + strings.Repeat("y", 3000) + "\r\nZ:\r\n")
	f.Fuzz(func(t *testing.T, block string) {
		if strings.Contains(block, "\r\n\r\n") || strings.Contains(block, "\n ") || strings.Contains(block, "\n\t") {
			t.Skip("more than one block, or folded lines, which the listener refuses")
		}
		in, src, acceptor := bare(t)
		ctx := prepare(t, "POST /webhooks/shop HTTP/1.1\r\nHost: x\r\n"+block+"\r\n")
		raw := string(ctx.Request.Header.RawHeaders())
		in.Handle(ctx)
		if src.req == nil {
			return // refused by its header block
		}
		var want []string
		for line := range strings.SplitSeq(raw, "\n") {
			if name, value, ok := strings.Cut(strings.TrimSuffix(line, "\r"), ":"); ok {
				want = append(want, strings.ToLower(strings.TrimRight(name, " "))+":"+strings.Trim(value, " \t"))
			}
		}
		var got []string
		for _, field := range src.req.Header {
			got = append(got, strings.ToLower(field.Name)+":"+field.Value)
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("sent %q\nseen %q", want, got)
		}
		total := 0
		for _, h := range acceptor.d.GetHeaders() {
			total += len(h.GetName()) + len(h.GetValue())
			if source.Sensitive(h.GetName()) {
				t.Errorf("%s is stored", h.GetName())
			}
		}
		if total > 16<<10 {
			t.Errorf("%d bytes are stored", total)
		}
	})
}
