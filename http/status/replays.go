package status

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/hooktroupe/hooktroupe/http/answer"
	"github.com/hooktroupe/hooktroupe/http/problem"
	"github.com/hooktroupe/hooktroupe/messages"
)

// Replays is what the daemon knows of tasks that run again in bulk. An error of any method means that no answer came
// before ctx was done.
type Replays interface {
	// StartReplay makes the final tasks that a filter selects run again; a rate of zero means as fast as they can be.
	// Exactly one of replay and refusal is set without an error.
	StartReplay(ctx context.Context, f *messages.Filter, rate float64) (*messages.Replay, *messages.ReplayRefused, error)
	// CancelReplay stops one. Exactly one of replay and refusal is set without an error.
	CancelReplay(ctx context.Context, id uint64) (*messages.Replay, *messages.ReplayRefused, error)
	// Replays returns those that are remembered, the newest first.
	Replays(ctx context.Context) ([]*messages.Replay, error)
	// CountReplayable says how many tasks a filter selects.
	CountReplayable(ctx context.Context, f *messages.Filter) (int, error)
}

// maxReplayBody bounds the body of a request for a replay, maxReplayRate its rate per second.
const (
	maxReplayBody = 16 << 10
	maxReplayRate = 1e6
)

// replayRequest asks for a replay.
type replayRequest struct {
	Filter filterBody `json:"filter"`
	Rate   float64    `json:"rate"`
	DryRun bool       `json:"dry_run"`
}

// filterBody selects tasks. Times are RFC 3339.
type filterBody struct {
	Status []string   `json:"status,omitempty"`
	Source string     `json:"source,omitempty"`
	Event  string     `json:"event,omitempty"`
	Key    string     `json:"key,omitempty"`
	Route  string     `json:"route,omitempty"`
	Error  string     `json:"error,omitempty"`
	From   *time.Time `json:"from,omitempty"`
	Until  *time.Time `json:"until,omitempty"`
}

// replayBody is a replay as the API shows it.
type replayBody struct {
	ID        string     `json:"id"`
	State     string     `json:"state"`
	Filter    filterBody `json:"filter"`
	Rate      float64    `json:"rate"`
	Total     uint64     `json:"total"`
	Replayed  uint64     `json:"replayed"`
	Refused   uint64     `json:"refused"`
	StartedAt string     `json:"started_at"`
	EndedAt   *string    `json:"ended_at"`
}

// dryRunBody says what a replay would do.
type dryRunBody struct {
	DryRun  bool `json:"dry_run"`
	Matches int  `json:"matches"`
}

func newReplayBody(r *messages.Replay) replayBody {
	f := r.GetFilter()
	body := replayBody{
		ID:     strconv.FormatUint(r.GetId(), 10),
		State:  strings.ToLower(strings.TrimPrefix(r.GetState().String(), "REPLAY_STATE_")),
		Filter: filterBody{Source: f.GetSource(), Event: f.GetEventType(), Key: f.GetKey(), Route: f.GetRoute(), Error: f.GetText()},
		Rate:   r.GetRate(), Total: r.GetTotal(), Replayed: r.GetReplayed(), Refused: r.GetRefused(),
		StartedAt: rfc3339(r.GetStartedAt()), EndedAt: optionalTime(r.GetEndedAt()),
	}
	for _, s := range f.GetStatuses() {
		body.Filter.Status = append(body.Filter.Status, answer.StatusWord(s))
	}
	for at, target := range map[int64]**time.Time{f.GetFrom(): &body.Filter.From, f.GetUntil(): &body.Filter.Until} {
		if at != 0 {
			t := time.Unix(0, at).UTC()
			*target = &t
		}
	}
	return body
}

// startReplay starts one, or says how many tasks it would run again.
func (h *Handler) startReplay(wait context.Context, ctx *fasthttp.RequestCtx) {
	request, filter, err := parseReplay(ctx)
	if errors.Is(err, errBodyTooLarge) {
		ctx.SetConnectionClose() // the rest of it was not read
		problem.Write(ctx, problem.BodyTooLarge, err.Error(), 0)
		return
	}
	if err != nil {
		problem.Write(ctx, problem.BadParameter, err.Error(), 0)
		return
	}
	if request.DryRun {
		matches, err := h.deps.Replays.CountReplayable(wait, filter)
		if err != nil {
			h.fail(ctx, err)
			return
		}
		answer.JSON(ctx, fasthttp.StatusOK, dryRunBody{DryRun: true, Matches: matches})
		return
	}
	replay, refused, err := h.deps.Replays.StartReplay(wait, filter, request.Rate)
	if replay != nil {
		ctx.Response.Header.Set(fasthttp.HeaderLocation, replaysPath+"/"+strconv.FormatUint(replay.GetId(), 10))
	}
	h.answerReplay(ctx, fasthttp.StatusAccepted, replay, refused, err)
}

// parseReplay reads the request. An error names the field at fault.
func parseReplay(ctx *fasthttp.RequestCtx) (request replayRequest, filter *messages.Filter, err error) {
	body, err := requestBody(ctx, maxReplayBody)
	if err != nil {
		return request, nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&request); err != nil {
		return request, nil, fmt.Errorf("the body: %w", err)
	}
	if request.Rate < 0 || request.Rate > maxReplayRate {
		return request, nil, fmt.Errorf("rate: not within 0 and %g tasks per second", maxReplayRate)
	}
	f := request.Filter
	filter = &messages.Filter{Source: f.Source, EventType: f.Event, Key: f.Key, Route: f.Route, Text: f.Error}
	for _, word := range f.Status {
		s, ok := answer.ParseStatus(word)
		if !ok || s == messages.Status_STATUS_QUEUED || s == messages.Status_STATUS_PROCESSING || s == messages.Status_STATUS_RETRYING {
			return request, nil, errors.New("filter.status: only completed, failed, cancelled and superseded tasks can be replayed")
		}
		filter.Statuses = append(filter.Statuses, s)
	}
	if f.From != nil {
		filter.From = f.From.UnixNano()
	}
	if f.Until != nil {
		filter.Until = f.Until.UnixNano()
	}
	return request, filter, nil
}

// errBodyTooLarge is the error of a body above its bound.
var errBodyTooLarge = errors.New("the body is too large")

// requestBody reads a small body, which the server streams.
func requestBody(ctx *fasthttp.RequestCtx, most int) ([]byte, error) {
	if ctx.Request.Header.ContentLength() > most {
		return nil, fmt.Errorf("%w: more than %d bytes", errBodyTooLarge, most)
	}
	var body bytes.Buffer
	if err := ctx.Request.BodyWriteTo(&limitedBuffer{buffer: &body, most: most}); err != nil {
		return nil, fmt.Errorf("the body: %w", err)
	}
	return body.Bytes(), nil
}

// limitedBuffer takes in a bounded number of bytes.
type limitedBuffer struct {
	buffer *bytes.Buffer
	most   int
}

// Write fails where the bound is passed.
func (b *limitedBuffer) Write(p []byte) (int, error) {
	if b.buffer.Len()+len(p) > b.most {
		return 0, fmt.Errorf("%w: more than %d bytes", errBodyTooLarge, b.most)
	}
	return b.buffer.Write(p)
}

// replays answers with those that are remembered.
func (h *Handler) replays(wait context.Context, ctx *fasthttp.RequestCtx) {
	all, err := h.deps.Replays.Replays(wait)
	if err != nil {
		h.fail(ctx, err)
		return
	}
	body := struct {
		Replays []replayBody `json:"replays"`
	}{make([]replayBody, 0, len(all))}
	for _, r := range all {
		body.Replays = append(body.Replays, newReplayBody(r))
	}
	answerTagged(ctx, body)
}

// replay answers how one stands.
func (h *Handler) replay(wait context.Context, ctx *fasthttp.RequestCtx, id string) {
	all, err := h.deps.Replays.Replays(wait)
	if err != nil {
		h.fail(ctx, err)
		return
	}
	for _, r := range all {
		if strconv.FormatUint(r.GetId(), 10) == id {
			answer.JSON(ctx, fasthttp.StatusOK, newReplayBody(r))
			return
		}
	}
	problem.Write(ctx, problem.ReplayNotFound, "", 0)
}

// cancelReplay stops one.
func (h *Handler) cancelReplay(wait context.Context, ctx *fasthttp.RequestCtx, id string) {
	number, err := strconv.ParseUint(id, 10, 64)
	if err != nil {
		problem.Write(ctx, problem.ReplayNotFound, "", 0)
		return
	}
	replay, refused, err := h.deps.Replays.CancelReplay(wait, number)
	h.answerReplay(ctx, fasthttp.StatusOK, replay, refused, err)
}

func (h *Handler) answerReplay(
	ctx *fasthttp.RequestCtx, code int, replay *messages.Replay, refused *messages.ReplayRefused, err error,
) {
	switch {
	case err != nil:
		h.fail(ctx, err)
	case refused.GetNotFound():
		problem.Write(ctx, problem.ReplayNotFound, refused.GetDetail(), 0)
	case refused != nil:
		problem.Write(ctx, problem.ReplayConflict, refused.GetDetail(), 0)
	default:
		answer.JSON(ctx, code, newReplayBody(replay))
	}
}
