package status

import (
	"context"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/hooktroupe/hooktroupe/http/answer"
	"github.com/hooktroupe/hooktroupe/http/problem"
	"github.com/hooktroupe/hooktroupe/messages"
)

// Lanes is what the daemon knows of the lanes of ordering keys. An error of any method means that no answer came before
// ctx was done.
type Lanes interface {
	// Lanes says how the lanes of a key stand, or which are the longest.
	Lanes(ctx context.Context, q *messages.GetLanes) (*messages.GetLanesReply, error)
	// PauseLane keeps the lanes of a key from starting tasks, or lets them go on.
	PauseLane(ctx context.Context, c *messages.PauseLane) (*messages.LanesChanged, error)
	// Move puts a waiting task in front of its lane, or behind it. Exactly one of task and refusal is set without an error.
	Move(ctx context.Context, id string, front bool) (*messages.Task, *messages.TaskRefused, error)
}

// laneBody is a lane as the API shows it.
type laneBody struct {
	Route        string         `json:"route"`
	Key          string         `json:"key"`
	Policy       string         `json:"policy"`
	Paused       bool           `json:"paused"`
	Why          *string        `json:"why"`
	WaitingTotal uint64         `json:"waiting_total"`
	Running      []laneTaskBody `json:"running"`
	Waiting      []laneTaskBody `json:"waiting"`
}

// laneTaskBody is a task as its lane shows it. Times are RFC 3339.
type laneTaskBody struct {
	Position  int     `json:"position"`
	WebhookID string  `json:"webhook_id"`
	Status    string  `json:"status"`
	Source    string  `json:"source"`
	EventType string  `json:"event_type"`
	CreatedAt string  `json:"created_at"`
	DueAt     *string `json:"due_at"`
	Attempts  uint32  `json:"attempts"`
	Error     *string `json:"error"`
}

// lanesBody is an answer about lanes.
type lanesBody struct {
	Lanes []laneBody `json:"lanes"`
	Total uint64     `json:"total"`
}

func newLanesBody(lanes []*messages.Lane, total uint64) lanesBody {
	body := lanesBody{Lanes: make([]laneBody, 0, len(lanes)), Total: total}
	for _, l := range lanes {
		body.Lanes = append(body.Lanes, laneBody{
			Route: l.GetRoute(), Key: l.GetKey(), Policy: l.GetPolicy(), Paused: l.GetPaused(), Why: optional(l.GetWhy()),
			WaitingTotal: l.GetWaitingTotal(),
			Running:      laneTasks(l.GetRunning(), 0), Waiting: laneTasks(l.GetWaiting(), 1),
		})
	}
	return body
}

// laneTasks numbers tasks from first on; those that run stand at 0.
func laneTasks(tasks []*messages.Task, first int) []laneTaskBody {
	bodies := make([]laneTaskBody, 0, len(tasks))
	for i, t := range tasks {
		bodies = append(bodies, laneTaskBody{
			Position: first * (i + 1), WebhookID: t.GetWebhookId(), Status: answer.StatusWord(t.GetStatus()),
			Source: t.GetSource(), EventType: t.GetEventType(), CreatedAt: rfc3339(t.GetCreatedAt()),
			DueAt: optionalTime(t.GetDueAt()), Attempts: t.GetAttempts(), Error: optional(t.GetError()),
		})
	}
	return bodies
}

// rfc3339 is a time as text, in UTC.
func rfc3339(nanos int64) string { return time.Unix(0, nanos).UTC().Format(time.RFC3339Nano) }

// optionalTime is nothing for a time that is not set.
func optionalTime(nanos int64) *string {
	if nanos == 0 {
		return nil
	}
	return optional(rfc3339(nanos))
}

// lanes answers which lanes are the longest.
func (h *Handler) lanes(wait context.Context, ctx *fasthttp.RequestCtx) {
	route, limit, err := laneParameters(ctx.QueryArgs())
	if err != nil {
		problem.Write(ctx, problem.BadParameter, err.Error(), 0)
		return
	}
	reply, err := h.deps.Lanes.Lanes(wait, &messages.GetLanes{Route: route, Limit: uint32(limit)})
	if err != nil {
		h.fail(ctx, err)
		return
	}
	answerTagged(ctx, newLanesBody(reply.GetLanes(), reply.GetTotal()))
}

func laneParameters(args *fasthttp.Args) (route string, limit int, err error) {
	if route, err = text(args, "route"); err != nil {
		return "", 0, err
	}
	limit, err = parseLimit(args)
	return route, limit, err
}

// lane answers how the lanes of one key stand.
func (h *Handler) lane(wait context.Context, ctx *fasthttp.RequestCtx, key string) {
	route, err := text(ctx.QueryArgs(), "route")
	if err != nil {
		problem.Write(ctx, problem.BadParameter, err.Error(), 0)
		return
	}
	reply, err := h.deps.Lanes.Lanes(wait, &messages.GetLanes{Key: key, Route: route})
	h.answerLanes(ctx, reply.GetLanes(), err)
}

// pause keeps the lanes of one key from starting tasks, or lets them go on.
func (h *Handler) pause(wait context.Context, ctx *fasthttp.RequestCtx, key string, paused bool) {
	route, err := text(ctx.QueryArgs(), "route")
	if err != nil {
		problem.Write(ctx, problem.BadParameter, err.Error(), 0)
		return
	}
	changed, err := h.deps.Lanes.PauseLane(wait, &messages.PauseLane{Key: key, Route: route, Paused: paused})
	h.answerLanes(ctx, changed.GetLanes(), err)
}

// skip puts the task that holds a lane, the first that waits in it, behind the others, in each lane of one key.
func (h *Handler) skip(wait context.Context, ctx *fasthttp.RequestCtx, key string) {
	route, err := text(ctx.QueryArgs(), "route")
	if err != nil {
		problem.Write(ctx, problem.BadParameter, err.Error(), 0)
		return
	}
	q := &messages.GetLanes{Key: key, Route: route}
	reply, err := h.deps.Lanes.Lanes(wait, q)
	if err != nil || len(reply.GetLanes()) == 0 {
		h.answerLanes(ctx, nil, err)
		return
	}
	skipped := false
	for _, l := range reply.GetLanes() {
		if len(l.GetWaiting()) == 0 {
			continue
		}
		moved, _, err := h.deps.Lanes.Move(wait, l.GetWaiting()[0].GetWebhookId(), false)
		if err != nil {
			h.fail(ctx, err)
			return
		}
		skipped = skipped || moved != nil // else it has begun meanwhile, and holds nobody
	}
	if !skipped {
		problem.Write(ctx, problem.LaneConflict, "", 0)
		return
	}
	reply, err = h.deps.Lanes.Lanes(wait, q)
	h.answerLanes(ctx, reply.GetLanes(), err)
}

func (h *Handler) answerLanes(ctx *fasthttp.RequestCtx, lanes []*messages.Lane, err error) {
	switch {
	case err != nil:
		h.fail(ctx, err)
	case len(lanes) == 0:
		problem.Write(ctx, problem.LaneNotFound, "", 0)
	default:
		answer.JSON(ctx, fasthttp.StatusOK, newLanesBody(lanes, uint64(len(lanes))))
	}
}

// move gives a task another place in its lane.
func (h *Handler) move(wait context.Context, ctx *fasthttp.RequestCtx, id string) {
	if !valid(ctx, id) {
		return
	}
	to := string(ctx.QueryArgs().Peek("to"))
	if to != "front" && to != "back" {
		problem.Write(ctx, problem.BadParameter, "to: neither front nor back", 0)
		return
	}
	task, refused, err := h.deps.Lanes.Move(wait, id, to == "front")
	h.changed(ctx, task, refused, err)
}
