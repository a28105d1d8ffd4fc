package status

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/hooktroupe/hooktroupe/http/answer"
	"github.com/hooktroupe/hooktroupe/http/problem"
	"github.com/hooktroupe/hooktroupe/messages"
)

// ErrBadCursor is the error of a Tasks.List whose After is none that it gave.
var ErrBadCursor = errors.New("not the next of a page")

// rowBody is a task as one line of a page shows it. Times are RFC 3339.
type rowBody struct {
	ID          string  `json:"id"`
	Status      string  `json:"status"`
	Source      string  `json:"source"`
	Event       string  `json:"event"`
	Route       string  `json:"route"`
	Key         string  `json:"key"`
	CreatedAt   string  `json:"created_at"`
	UpdatedAt   string  `json:"updated_at"`
	DueAt       *string `json:"due_at"`
	Attempts    uint32  `json:"attempts"`
	MaxAttempts uint32  `json:"max_attempts"`
	Error       *string `json:"error"`
}

func newRowBody(t *messages.Task) rowBody {
	return rowBody{
		ID: t.GetWebhookId(), Status: answer.StatusWord(t.GetStatus()), Source: t.GetSource(), Event: t.GetEventType(),
		Route: t.GetRoute(), Key: t.GetKey(), CreatedAt: rfc3339(t.GetCreatedAt()), UpdatedAt: rfc3339(t.GetUpdatedAt()),
		DueAt: optionalTime(t.GetDueAt()), Attempts: t.GetAttempts(), MaxAttempts: t.GetMaxAttempts(), Error: optional(t.GetError()),
	}
}

// pageBody is one page of them.
type pageBody struct {
	Tasks []rowBody `json:"tasks"`
	Next  *string   `json:"next"`
}

// page answers one page of tasks, or of those that failed.
func (h *Handler) page(wait context.Context, ctx *fasthttp.RequestCtx, dead bool) {
	q, err := parsePageQuery(ctx.QueryArgs(), h.deps.Clock.Now())
	if dead && err == nil {
		q.Statuses, err = []messages.Status{messages.Status_STATUS_FAILED}, deadParameters(ctx.QueryArgs())
	}
	if err != nil {
		problem.Write(ctx, problem.BadParameter, err.Error(), 0)
		return
	}
	tasks, next, err := h.deps.Tasks.List(wait, q)
	if err != nil {
		h.failPage(ctx, err)
		return
	}
	body := pageBody{Tasks: make([]rowBody, 0, len(tasks)), Next: optional(next)}
	for _, t := range tasks {
		body.Tasks = append(body.Tasks, newRowBody(t))
	}
	linkNext(ctx, next)
	answerTagged(ctx, body)
}

// deadParameters refuses what says which tasks are dead letters where only they are asked for.
func deadParameters(args *fasthttp.Args) error {
	for _, name := range []string{"status", "dead_letters"} {
		if args.Has(name) {
			return fmt.Errorf("%s: dead letters are those that failed", name)
		}
	}
	return nil
}

// linkNext says where the next page is, if there is one (RFC 8288).
func linkNext(ctx *fasthttp.RequestCtx, next string) {
	if next == "" {
		return
	}
	args := fasthttp.AcquireArgs()
	defer fasthttp.ReleaseArgs(args)
	ctx.QueryArgs().CopyTo(args)
	args.Set("after", next)
	ctx.Response.Header.Set("Link", "<"+string(ctx.URI().PathOriginal())+"?"+args.String()+`>; rel="next"`)
}

// failPage tells a bad cursor from an answer that did not come.
func (h *Handler) failPage(ctx *fasthttp.RequestCtx, err error) {
	if errors.Is(err, ErrBadCursor) {
		problem.Write(ctx, problem.BadParameter, "after: "+ErrBadCursor.Error(), 0)
		return
	}
	h.fail(ctx, err)
}

// parsePageQuery reads a Query with times. An error names the parameter at fault.
func parsePageQuery(args *fasthttp.Args, now time.Time) (Query, error) {
	q, err := parseQuery(args)
	if err != nil {
		return Query{}, err
	}
	for name, target := range map[string]*time.Time{"from": &q.From, "until": &q.Until} {
		if *target, err = moment(args, name); err != nil {
			return Query{}, err
		}
	}
	if err := ages(args, now, &q); err != nil {
		return Query{}, err
	}
	switch {
	case !args.Has("dead_letters"):
	case string(args.Peek("dead_letters")) != "true":
		return Query{}, errors.New("dead_letters: true, or left out")
	case len(q.Statuses) > 0:
		return Query{}, errors.New("dead_letters: goes with no status")
	default:
		q.Statuses = []messages.Status{messages.Status_STATUS_FAILED}
	}
	return q, nil
}

// ages reads min_age and max_age, which bound the time of acceptance beside from and until.
func ages(args *fasthttp.Args, now time.Time, q *Query) error {
	for _, name := range []string{"min_age", "max_age"} {
		if !args.Has(name) {
			continue
		}
		age, err := time.ParseDuration(string(args.Peek(name)))
		if err != nil || age < 0 {
			return fmt.Errorf("%s: not a duration such as 90s, 15m or 2h", name)
		}
		at := now.Add(-age)
		switch {
		case name == "min_age" && (q.Until.IsZero() || at.Before(q.Until)):
			q.Until = at
		case name == "max_age" && at.After(q.From):
			q.From = at
		}
	}
	return nil
}

// moment reads a time; zero when it is left out.
func moment(args *fasthttp.Args, name string) (time.Time, error) {
	if !args.Has(name) {
		return time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339, string(args.Peek(name)))
	if err != nil || at.Year() < 1970 || at.Year() > 2200 {
		return time.Time{}, fmt.Errorf("%s: not a time such as 2026-01-31T12:00:00Z", name)
	}
	return at, nil
}
