package ingress

import (
	"errors"
	"io"
	"net"
	"strconv"

	"github.com/valyala/fasthttp"

	"github.com/hooktroupe/hooktroupe/http/clientaddr"
	"github.com/hooktroupe/hooktroupe/http/problem"
)

// firstRead is how much memory a body gets before any of it has arrived, in bytes. From there its memory doubles with
// what has really come, so that a sender cannot take room by announcing a size.
const firstRead = 64 << 10

// screen judges a request by its header block alone.
func (in *Ingress) screen(ctx *fasthttp.RequestCtx, route *route) *refusal {
	if route.source == nil {
		return unknownSource
	}
	if len(route.allow) > 0 && !clientaddr.Of(ctx.RemoteAddr()).In(route.allow) {
		return foreign
	}
	if !ctx.IsPost() && route.greeter == nil {
		return notAllowed(ctx)
	}
	if coding := ctx.Request.Header.ContentEncoding(); len(coding) > 0 && string(coding) != "identity" {
		return encodedBody
	}
	size := ctx.Request.Header.ContentLength()
	if size > route.maxBody {
		return tooLarge(route.maxBody)
	}
	if !in.room.fits(max(size, 0)) {
		return overloaded
	}
	if wait := route.pace.wait(in.deps.Clock.Now()); wait > 0 {
		r := tooFast(wait)
		r.closes = true // whoever is refused anyway shall not send the body first
		return r
	}
	return nil
}

// readBody reads the whole body into memory of its own, through the bound and against the grant. fasthttp bounds no
// stream, and ends one without an error when the connection ends before Content-Length; both are caught here.
func readBody(ctx *fasthttp.RequestCtx, limit int, grant *grant) ([]byte, *refusal) {
	stream := ctx.RequestBodyStream()
	if stream == nil {
		return nil, nil // neither Content-Length nor chunks: no body
	}
	declared := ctx.Request.Header.ContentLength() // -1 for chunks
	enough := declared
	if declared < 0 {
		enough = limit + 1 // one more byte tells a body that fits from one that does not
	}
	var body []byte
	for {
		var ok bool
		if body, ok = grow(body, enough, grant); !ok {
			return nil, overloaded
		}
		n, err := stream.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		switch {
		case len(body) > limit:
			return nil, tooLarge(limit)
		case len(body) == declared:
			return body, nil
		case err == io.EOF && declared < 0:
			return body, nil
		case err != nil:
			return nil, interrupted(err)
		}
	}
}

// grow returns the body with room for at least one more byte, but never for more than enough in all.
func grow(body []byte, enough int, grant *grant) ([]byte, bool) {
	if len(body) < cap(body) || enough == 0 {
		return body, true
	}
	size := min(max(2*cap(body), firstRead), enough)
	if !grant.extend(size - cap(body)) {
		return nil, false
	}
	return append(make([]byte, 0, size), body...), true
}

func tooLarge(limit int) *refusal {
	return &refusal{kind: problem.BodyTooLarge, detail: "the bound is " + strconv.Itoa(limit) + " bytes", closes: true}
}

// interrupted is a body that did not arrive whole.
func interrupted(err error) *refusal {
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return &refusal{kind: problem.RequestTimeout, closes: true}
	}
	return &refusal{kind: problem.BodyIncomplete, cause: err.Error(), closes: true}
}

// method avoids a copy for the one method that deliveries have.
func method(ctx *fasthttp.RequestCtx) string {
	if ctx.IsPost() {
		return fasthttp.MethodPost
	}
	return string(ctx.Method())
}
