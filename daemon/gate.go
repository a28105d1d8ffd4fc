package daemon

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/hooktroupe/hooktroupe/actors"
	"github.com/hooktroupe/hooktroupe/http/status"
	"github.com/hooktroupe/hooktroupe/messages"
	"github.com/hooktroupe/hooktroupe/task"
)

// errStarting means that recovery has not ended yet.
var errStarting = errors.New("the daemon is starting")

// retryStarting is the Retry-After, in seconds, of a delivery that comes while the daemon starts or stops.
const retryStarting = 2

// gate stands between the listeners, which are open from the first moment, and the troupe, which is there only after
// recovery: before it opens, deliveries are refused and questions fail. It is safe for use by many goroutines.
type gate struct {
	troupe  atomic.Pointer[actors.Troupe]
	routing atomic.Pointer[routing] // replaced whole
	// replacing is held while troupe and routing are told of other routes, so that whoever reads routing under it sees no
	// older routes than the troupe.
	replacing sync.RWMutex
}

func (g *gate) open(t *actors.Troupe) { g.troupe.Store(t) }

// Accept is ingress.Acceptor.
func (g *gate) Accept(
	ctx context.Context, d *messages.Delivery,
) (*messages.DeliveryAccepted, *messages.DeliveryRefused, error) {
	t := g.troupe.Load()
	if t == nil {
		return nil, &messages.DeliveryRefused{
			Reason: messages.Refusal_REFUSAL_DRAINING, RetryAfter: retryStarting, Detail: errStarting.Error(),
		}, nil
	}
	for range maxReassigned {
		accepted, refused, err := t.Accept(ctx, d)
		if !errors.Is(err, actors.ErrRouteGone) {
			return accepted, refused, err
		}
		if d = g.reassign(d); d == nil {
			break
		}
	}
	return nil, &messages.DeliveryRefused{
		Reason: messages.Refusal_REFUSAL_DRAINING, RetryAfter: 1, Detail: "the configuration has just changed",
	}, nil
}

// maxReassigned bounds how often a delivery is assigned that came while routes were replaced.
const maxReassigned = 3

// reassign returns a delivery that was assigned to a route that is gone as the routes of now assign it; nil where none
// wants it, for then its source may be gone as well, and whoever sends it again will hear so.
func (g *gate) reassign(d *messages.Delivery) *messages.Delivery {
	g.replacing.RLock()
	routing := g.routing.Load()
	g.replacing.RUnlock()
	again := &messages.Delivery{
		Source: d.GetSource(), EventType: d.GetEventType(), DeliveryId: d.GetDeliveryId(), Key: d.GetKey(),
		ReceivedAt: d.GetReceivedAt(), Headers: d.GetHeaders(), Body: d.GetBody(), MaxAttempts: d.GetMaxAttempts(),
		Traceparent: d.GetTraceparent(),
	}
	if !routing.assign(again) {
		return nil
	}
	return again
}

// Get is status.Tasks.
func (g *gate) Get(ctx context.Context, id string) (*messages.Task, error) {
	if t := g.troupe.Load(); t != nil {
		return t.Get(ctx, id)
	}
	return nil, errStarting
}

// Delivery is status.Tasks.
func (g *gate) Delivery(ctx context.Context, id string) (*messages.Task, *messages.Delivery, error) {
	if t := g.troupe.Load(); t != nil {
		return t.Delivery(ctx, id)
	}
	return nil, nil, errStarting
}

// List is status.Tasks. The cursor is the ID of the last task of the page before.
func (g *gate) List(ctx context.Context, q status.Query) ([]*messages.Task, string, error) {
	t := g.troupe.Load()
	if t == nil {
		return nil, "", errStarting
	}
	query, some, err := g.query(q)
	if err != nil || !some {
		return nil, "", err
	}
	tasks, next, err := t.List(ctx, query)
	if err != nil || next == (task.ID{}) {
		return tasks, "", err
	}
	return tasks, next.String(), nil
}

// query is what the API asks as the troupe understands it; some is false where nothing can match.
func (g *gate) query(q status.Query) (query actors.Query, some bool, err error) {
	query = actors.Query{
		Source: q.Source, EventType: q.Event, Key: q.Key, Route: q.Route, Text: q.Error, Words: q.Text, Limit: q.Limit,
	}
	if names, narrowed := g.routing.Load().assignments(q.Route, q.Handler); narrowed {
		if query.Route, query.Routes = "", names; len(names) == 0 {
			return query, false, nil // nothing leads there
		}
	}
	for _, s := range q.Statuses {
		query.Statuses = append(query.Statuses, task.Status(s))
	}
	if !q.From.IsZero() {
		query.From = q.From.UnixNano()
	}
	if !q.Until.IsZero() {
		query.Until = q.Until.UnixNano()
	}
	if q.After != "" {
		if query.After, err = task.ParseID(q.After); err != nil {
			return query, false, status.ErrBadCursor
		}
	}
	return query, true, nil
}

// Counts is status.Tasks.
func (g *gate) Counts(ctx context.Context) (*messages.GetCountsReply, error) {
	if t := g.troupe.Load(); t != nil {
		return t.Counts(ctx)
	}
	return nil, errStarting
}

// Cancel is status.Tasks.
func (g *gate) Cancel(ctx context.Context, id, reason string) (*messages.Task, *messages.TaskRefused, error) {
	if t := g.troupe.Load(); t != nil {
		return t.Cancel(ctx, id, reason)
	}
	return nil, nil, errStarting
}

// Retry is status.Tasks.
func (g *gate) Retry(ctx context.Context, id string) (*messages.Task, *messages.TaskRefused, error) {
	if t := g.troupe.Load(); t != nil {
		return t.Retry(ctx, id)
	}
	return nil, nil, errStarting
}

// Move is status.Lanes.
func (g *gate) Move(ctx context.Context, id string, front bool) (*messages.Task, *messages.TaskRefused, error) {
	if t := g.troupe.Load(); t != nil {
		return t.Move(ctx, id, front)
	}
	return nil, nil, errStarting
}

// Lanes is status.Lanes.
func (g *gate) Lanes(ctx context.Context, q *messages.GetLanes) (*messages.GetLanesReply, error) {
	if t := g.troupe.Load(); t != nil {
		return t.Lanes(ctx, q)
	}
	return nil, errStarting
}

// PauseLane is status.Lanes.
func (g *gate) PauseLane(ctx context.Context, c *messages.PauseLane) (*messages.LanesChanged, error) {
	if t := g.troupe.Load(); t != nil {
		return t.PauseLane(ctx, c)
	}
	return nil, errStarting
}

// StartReplay is status.Replays.
func (g *gate) StartReplay(
	ctx context.Context, f *messages.Filter, rate float64,
) (*messages.Replay, *messages.ReplayRefused, error) {
	if t := g.troupe.Load(); t != nil {
		return t.StartReplay(ctx, f, rate)
	}
	return nil, nil, errStarting
}

// CancelReplay is status.Replays.
func (g *gate) CancelReplay(ctx context.Context, id uint64) (*messages.Replay, *messages.ReplayRefused, error) {
	if t := g.troupe.Load(); t != nil {
		return t.CancelReplay(ctx, id)
	}
	return nil, nil, errStarting
}

// Replays is status.Replays.
func (g *gate) Replays(ctx context.Context) ([]*messages.Replay, error) {
	if t := g.troupe.Load(); t != nil {
		return t.Replays(ctx)
	}
	return nil, errStarting
}

// CountReplayable is status.Replays.
func (g *gate) CountReplayable(ctx context.Context, f *messages.Filter) (int, error) {
	if t := g.troupe.Load(); t != nil {
		return t.CountReplayable(ctx, f)
	}
	return 0, errStarting
}
