package status

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/valyala/fasthttp"

	"github.com/hooktroupe/hooktroupe/http/answer"
	"github.com/hooktroupe/hooktroupe/http/auth"
	"github.com/hooktroupe/hooktroupe/http/problem"
	"github.com/hooktroupe/hooktroupe/messages"
)

// detailBody is a task with all that is known of it. Times are RFC 3339.
type detailBody struct {
	rowBody
	Result     json.RawMessage     `json:"result"`
	AttemptLog []attemptDetailBody `json:"attempt_log"`
	Parts      []partDetailBody    `json:"parts"`
	DeliveryID string              `json:"delivery_id"`
	Delivery   *deliveryBody       `json:"delivery"`
	Links      linksBody           `json:"links"`
}

// attemptDetailBody is one line of the attempt log.
type attemptDetailBody struct {
	Number    uint32  `json:"number"`
	StartedAt string  `json:"started_at"`
	EndedAt   *string `json:"ended_at"`
	Outcome   *string `json:"outcome"`
	Error     *string `json:"error"`
}

// partDetailBody is one route's share of the delivery.
type partDetailBody struct {
	ID       string  `json:"id"`
	Route    string  `json:"route"`
	Key      string  `json:"key"`
	Status   string  `json:"status"`
	Attempts uint32  `json:"attempts"`
	Error    *string `json:"error"`
}

// deliveryBody is what the sender sent. Text holds the body when it is UTF-8 and Base64 when it is not; Payload repeats one
// that is JSON.
type deliveryBody struct {
	ReceivedAt string          `json:"received_at"`
	Headers    []headerBody    `json:"headers"`
	Bytes      int             `json:"bytes"`
	Text       *string         `json:"text,omitempty"`
	Base64     []byte          `json:"base64,omitempty"`
	Payload    json.RawMessage `json:"payload,omitempty"`
}

// headerBody is one field of the delivery's header block.
type headerBody struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// linksBody says what there is to ask next, and which commands the task's state allows.
type linksBody struct {
	Self   string   `json:"self"`
	Lane   *string  `json:"lane"`
	Parent *string  `json:"parent"`
	Parts  []string `json:"parts"`
	Retry  *string  `json:"retry"`
	Cancel *string  `json:"cancel"`
}

// detail answers one task with all that is known of it. Headers and body are for those who may give commands.
func (h *Handler) detail(wait context.Context, ctx *fasthttp.RequestCtx, id string) {
	if !valid(ctx, id) {
		return
	}
	var (
		task     *messages.Task
		delivery *messages.Delivery
		err      error
	)
	if auth.Of(ctx).Scope >= auth.Operate {
		task, delivery, err = h.deps.Tasks.Delivery(wait, id)
	} else {
		task, err = h.deps.Tasks.Get(wait, id)
	}
	switch {
	case err != nil:
		h.fail(ctx, err)
	case task == nil:
		problem.Write(ctx, problem.TaskNotFound, "", 0)
	default:
		answerTagged(ctx, newDetailBody(task, delivery))
	}
}

// answerTagged answers with an entity tag, and with nothing more to who has the same answer already.
func answerTagged(ctx *fasthttp.RequestCtx, value any) {
	answer.JSON(ctx, fasthttp.StatusOK, value)
	tag(ctx)
}

// tag gives an answer an entity tag, and takes away its body for who has the same one already.
func tag(ctx *fasthttp.RequestCtx) {
	sum := sha256.Sum256(ctx.Response.Body())
	tag := `"` + hex.EncodeToString(sum[:16]) + `"`
	if known(string(ctx.Request.Header.Peek(fasthttp.HeaderIfNoneMatch)), tag) {
		answer.Raw(ctx, fasthttp.StatusNotModified, "", nil)
	}
	ctx.Response.Header.Set(fasthttp.HeaderETag, tag)
}

// known says whether an If-None-Match holds a tag.
func known(list, tag string) bool {
	for part := range strings.SplitSeq(list, ",") {
		if part = strings.TrimSpace(part); part == "*" || strings.TrimPrefix(part, "W/") == tag {
			return true
		}
	}
	return false
}

func newDetailBody(t *messages.Task, d *messages.Delivery) detailBody {
	body := detailBody{
		rowBody: newRowBody(t), Result: result(t.GetResult()), DeliveryID: t.GetDeliveryId(),
		AttemptLog: make([]attemptDetailBody, 0, len(t.GetAttemptLog())),
		Parts:      make([]partDetailBody, 0, len(t.GetParts())),
		Delivery:   newDeliveryBody(d), Links: newLinksBody(t),
	}
	for _, a := range t.GetAttemptLog() {
		body.AttemptLog = append(body.AttemptLog, attemptDetailBody{
			Number: a.GetNumber(), StartedAt: rfc3339(a.GetStartedAt()), EndedAt: optionalTime(a.GetEndedAt()),
			Outcome: outcome(a.GetOutcome()), Error: optional(a.GetError()),
		})
	}
	for _, p := range t.GetParts() {
		body.Parts = append(body.Parts, partDetailBody{
			ID: p.GetWebhookId(), Route: p.GetRoute(), Key: p.GetKey(), Status: answer.StatusWord(p.GetStatus()),
			Attempts: p.GetAttempts(), Error: optional(p.GetError()),
		})
	}
	return body
}

func newDeliveryBody(d *messages.Delivery) *deliveryBody {
	if d == nil {
		return nil
	}
	content := d.GetBody()
	body := &deliveryBody{
		ReceivedAt: rfc3339(d.GetReceivedAt()), Bytes: len(content), Headers: make([]headerBody, 0, len(d.GetHeaders())),
	}
	for _, h := range d.GetHeaders() {
		body.Headers = append(body.Headers, headerBody{Name: h.GetName(), Value: h.GetValue()})
	}
	if !utf8.Valid(content) {
		body.Base64 = content
		return body
	}
	text := string(content)
	body.Text = &text
	if json.Valid(content) {
		body.Payload = content
	}
	return body
}

func newLinksBody(t *messages.Task) linksBody {
	self := tasksPrefix + t.GetWebhookId()
	links := linksBody{Self: self, Parts: make([]string, 0, len(t.GetParts()))}
	if key := t.GetKey(); key != "" {
		lane := lanesPath + "/" + url.PathEscape(key)
		if route := t.GetRoute(); route != "" {
			lane += "?route=" + url.QueryEscape(route)
		}
		links.Lane = &lane
	}
	if parent := t.GetParentId(); parent != "" {
		links.Parent = optional(tasksPrefix + parent)
	}
	for _, p := range t.GetParts() {
		links.Parts = append(links.Parts, tasksPrefix+p.GetWebhookId())
	}
	switch t.GetStatus() {
	case messages.Status_STATUS_COMPLETED, messages.Status_STATUS_FAILED, messages.Status_STATUS_CANCELLED,
		messages.Status_STATUS_SUPERSEDED:
		links.Retry = optional(self + "/retry")
	case messages.Status_STATUS_RETRYING:
		links.Retry, links.Cancel = optional(self+"/retry"), optional(self+"/cancel")
	default:
		links.Cancel = optional(self + "/cancel")
	}
	return links
}
