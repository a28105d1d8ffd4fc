package status

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/valyala/fasthttp"

	"github.com/hooktroupe/hooktroupe/http/answer"
	"github.com/hooktroupe/hooktroupe/http/problem"
	"github.com/hooktroupe/hooktroupe/internal/logfield"
	"github.com/hooktroupe/hooktroupe/messages"
)

var idPattern = regexp.MustCompile(`^[A-Za-z0-9._-]{1,128}$`)

// maxText bounds a free parameter, in bytes.
const maxText = 256

// get answers the state of one task.
func (h *Handler) get(wait context.Context, ctx *fasthttp.RequestCtx, id string) {
	if !valid(ctx, id) {
		return
	}
	task, err := h.deps.Tasks.Get(wait, id)
	switch {
	case err != nil:
		h.fail(ctx, err)
	case task == nil:
		problem.Write(ctx, problem.TaskNotFound, "", 0)
	default:
		answer.JSON(ctx, fasthttp.StatusOK, newTaskBody(task))
	}
}

// list answers one page of tasks.
func (h *Handler) list(wait context.Context, ctx *fasthttp.RequestCtx) {
	q, err := parseQuery(ctx.QueryArgs())
	if err != nil {
		problem.Write(ctx, problem.BadParameter, err.Error(), 0)
		return
	}
	tasks, next, err := h.deps.Tasks.List(wait, q)
	if err != nil {
		h.failPage(ctx, err)
		return
	}
	page := listBody{Webhooks: make([]taskBody, 0, len(tasks)), Count: len(tasks), Next: optional(next)}
	for _, task := range tasks {
		page.Webhooks = append(page.Webhooks, newTaskBody(task))
	}
	linkNext(ctx, next)
	answer.JSON(ctx, fasthttp.StatusOK, page)
}

// cancel ends a task by request.
func (h *Handler) cancel(wait context.Context, ctx *fasthttp.RequestCtx, id string) {
	if !valid(ctx, id) {
		return
	}
	reason, err := text(ctx.QueryArgs(), "reason")
	if err != nil {
		problem.Write(ctx, problem.BadParameter, err.Error(), 0)
		return
	}
	if reason == "" {
		reason = "cancelled by request"
	}
	task, refused, err := h.deps.Tasks.Cancel(wait, id, reason)
	h.changed(ctx, task, refused, err)
}

// retry runs a task again by request.
func (h *Handler) retry(wait context.Context, ctx *fasthttp.RequestCtx, id string) {
	if !valid(ctx, id) {
		return
	}
	task, refused, err := h.deps.Tasks.Retry(wait, id)
	h.changed(ctx, task, refused, err)
}

// changed answers a command.
func (h *Handler) changed(ctx *fasthttp.RequestCtx, task *messages.Task, refused *messages.TaskRefused, err error) {
	switch {
	case err != nil:
		h.fail(ctx, err)
	case refused.GetNotFound():
		problem.Write(ctx, problem.TaskNotFound, refused.GetDetail(), 0)
	case refused != nil:
		problem.Write(ctx, problem.TaskConflict, refused.GetDetail(), 0)
	default:
		answer.JSON(ctx, fasthttp.StatusOK, newTaskBody(task))
	}
}

// Away is the error of a question to a cluster whose answer, or a part of it, is with a member that does not answer, or with
// none at the moment.
type Away struct {
	// Detail says who is away, for people; it is shown to whoever asked.
	Detail string
}

// Error is the detail.
func (a *Away) Error() string { return a.Detail }

// fail answers a question to which no answer came in time.
func (h *Handler) fail(ctx *fasthttp.RequestCtx, err error) {
	if away := (*Away)(nil); errors.As(err, &away) {
		h.deps.Log.WithField(logfield.Error, err.Error()).Info("a question was not answered, for a member of the cluster is away")
		detail := away.Detail
		if ctx.IsPost() {
			detail += "; what was asked for may have been done all the same"
		}
		problem.Write(ctx, problem.OwnerAway, detail, 1)
		return
	}
	h.deps.Log.WithField(logfield.Error, err.Error()).Warn("a question about tasks got no answer")
	problem.Write(ctx, problem.NoAnswer, "", 1)
}

// valid refuses an ID that no task can have.
func valid(ctx *fasthttp.RequestCtx, id string) bool {
	if idPattern.MatchString(id) {
		return true
	}
	problem.Write(ctx, problem.BadParameter, "webhook_id: up to 128 letters, digits, dots, dashes and underscores", 0)
	return false
}

// parseQuery reads the parameters of a list. An error names the parameter at fault.
func parseQuery(args *fasthttp.Args) (q Query, err error) {
	for _, list := range args.PeekMulti("status") {
		for word := range strings.SplitSeq(string(list), ",") {
			s, ok := answer.ParseStatus(word)
			if !ok {
				return Query{}, fmt.Errorf("status: no such status")
			}
			q.Statuses = append(q.Statuses, s)
		}
	}
	for name, target := range map[string]*string{
		"source": &q.Source, "event": &q.Event, "key": &q.Key, "route": &q.Route, "error": &q.Error, "after": &q.After,
		"handler": &q.Handler, "text": &q.Text,
	} {
		if *target, err = text(args, name); err != nil {
			return Query{}, err
		}
	}
	if q.Limit, err = parseLimit(args); err != nil {
		return Query{}, err
	}
	return q, nil
}

// parseLimit reads how many are to be shown.
func parseLimit(args *fasthttp.Args) (int, error) {
	if !args.Has("limit") {
		return DefaultLimit, nil
	}
	limit, err := args.GetUint("limit")
	if err != nil || limit < 1 || limit > MaxLimit {
		return 0, fmt.Errorf("limit: not a number within 1 and %d", MaxLimit)
	}
	return limit, nil
}

// text reads a free parameter of up to maxText bytes of printable ASCII.
func text(args *fasthttp.Args, name string) (string, error) {
	value := string(args.Peek(name))
	if len(value) > maxText {
		return "", fmt.Errorf("%s: more than %d bytes", name, maxText)
	}
	for i := range len(value) {
		if value[i] < ' ' || value[i] > '~' {
			return "", fmt.Errorf("%s: not printable ASCII", name)
		}
	}
	return value, nil
}
