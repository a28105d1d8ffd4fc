package ingress

import (
	"github.com/sirupsen/logrus"
	"github.com/valyala/fasthttp"

	"github.com/hooktroupe/hooktroupe/http/answer"
	"github.com/hooktroupe/hooktroupe/internal/logfield"
	"github.com/hooktroupe/hooktroupe/messages"
	"github.com/hooktroupe/hooktroupe/source"
)

// writeAccepted answers a delivery that is on stable storage: 202 for work that is to be done, 200 for a duplicate. The
// body is put together by hand, for it holds a UUID and words of ours: nothing in it needs escaping.
func writeAccepted(ctx *fasthttp.RequestCtx, a *messages.DeliveryAccepted) {
	id := a.GetWebhookId()
	url := answer.StatusPath + id
	body := make([]byte, 0, 192)
	body = append(body, `{"webhook_id":"`...)
	body = append(body, id...)
	body = append(body, `","status":"`...)
	body = append(body, answer.StatusWord(a.GetStatus())...)
	body = append(body, `","status_url":"`...)
	body = append(body, url...)
	body = append(body, '"')
	status := fasthttp.StatusAccepted
	switch {
	case a.GetRedelivered():
		body = append(body, `,"redelivered":true`...)
	case a.GetDuplicate():
		status = fasthttp.StatusOK
		body = append(body, `,"duplicate":true`...)
	}
	ctx.Response.Header.Set(fasthttp.HeaderLocation, url)
	answer.Raw(ctx, status, "application/json", append(body, '}'))
}

// ignore answers a verified delivery that no handler wants: the sender did nothing wrong, and nothing is stored.
func (in *Ingress) ignore(ctx *fasthttp.RequestCtx, route *route, req *source.Request, d *source.Delivery) {
	in.deps.Metrics.Ingress.Ignored.With(route.name).Inc()
	in.deps.Log.WithFields(logrus.Fields{
		logfield.Source:        route.name,
		logfield.Event:         printable(d.EventType),
		logfield.DeliveryID:    printable(d.DeliveryID),
		logfield.ClientAddress: req.ClientAddr.String(),
	}).Info("delivery ignored: no handler wants it")
	answer.Raw(ctx, fasthttp.StatusOK, "application/json", []byte(`{"status":"ignored"}`))
}

// writeAnswer sends what a source wants to be said in place of 202.
func writeAnswer(ctx *fasthttp.RequestCtx, a *source.Answer) {
	answer.Raw(ctx, a.Status, a.ContentType, a.Body)
	for name, value := range a.Header {
		ctx.Response.Header.Set(name, value)
	}
}
