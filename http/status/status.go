// Package status answers questions about tasks, lanes, replays, sources and the daemon, and takes the commands that an
// operator has for them. Its contract is openapi.yaml beside it, which it also serves. It keeps no state of its own.
//
// The one invariant: a GET changes nothing, and what changes something is a POST.
package status

import (
	"bytes"
	"context"
	_ "embed"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/valyala/fasthttp"

	"github.com/hooktroupe/hooktroupe/http/answer"
	"github.com/hooktroupe/hooktroupe/http/audit"
	"github.com/hooktroupe/hooktroupe/http/problem"
	"github.com/hooktroupe/hooktroupe/http/stream"
	"github.com/hooktroupe/hooktroupe/internal/clock"
	"github.com/hooktroupe/hooktroupe/internal/logfield"
	"github.com/hooktroupe/hooktroupe/messages"
	"github.com/hooktroupe/hooktroupe/metrics"
)

// Query selects tasks. Its zero value selects all.
type Query struct {
	// Statuses are those to show; empty means all.
	Statuses []messages.Status
	// Source, Event, Key, Route and Handler are exact; empty means all. Of a delivery that was split, the parts are meant
	// that are on that route or at that handler.
	Source, Event, Key, Route, Handler string
	// Error must occur in the task's error; empty means all.
	Error string
	// Text must occur in the ID, source, event type, key, route or error, whatever its case; empty means all.
	Text string
	// From and Until bound the time of acceptance, Until excluded; zero means no bound.
	From, Until time.Time
	// After is the cursor that the page before gave; empty for the first page.
	After string
	// Limit is how many tasks to show, 1 to MaxLimit.
	Limit int
}

// The bounds of one page.
const (
	DefaultLimit = 100
	MaxLimit     = 1000
)

// Tasks is what the daemon knows of tasks. An error of any method means that no answer came before ctx was done.
type Tasks interface {
	// Get returns a task, or nil when there is none of that ID.
	Get(ctx context.Context, id string) (*messages.Task, error)
	// Delivery returns a task with the delivery that it works, which is nil while it is not on stable storage.
	Delivery(ctx context.Context, id string) (*messages.Task, *messages.Delivery, error)
	// List returns the tasks of one page, newest first, and the cursor of the next; empty after the last. ErrBadCursor
	// means that After is no cursor.
	List(ctx context.Context, q Query) (tasks []*messages.Task, next string, err error)
	// Counts says how many tasks stand where.
	Counts(ctx context.Context) (*messages.GetCountsReply, error)
	// Cancel ends a task that is not final. Exactly one of task and refusal is set without an error.
	Cancel(ctx context.Context, id, reason string) (*messages.Task, *messages.TaskRefused, error)
	// Retry runs a final task again, or a retrying one now. Exactly one of task and refusal is set without an error.
	Retry(ctx context.Context, id string) (*messages.Task, *messages.TaskRefused, error)
}

// Counter counts tasks.
type Counter interface {
	// Counts says how many tasks stand where.
	Counts(ctx context.Context) (*messages.GetCountsReply, error)
}

// Readiness says whether deliveries are taken.
type Readiness struct {
	// Ready is what load balancers act on.
	Ready bool
	// Reason says why not, in a few words; empty when ready.
	Reason string
	// Details are for people; they must encode as JSON.
	Details map[string]any
}

// Health is what the daemon knows of itself.
type Health struct {
	// Ready is called from many goroutines and must not block.
	Ready func() Readiness
}

// Dependencies are what a Handler works with; all are required, but for Own, Cluster and Follow.
type Dependencies struct {
	// Tasks, Lanes and Replays answer the API.
	Tasks   Tasks
	Lanes   Lanes
	Replays Replays
	// Sources answers how near each sender is to giving up.
	Sources Sources
	// History and Routes are for the dashboard.
	History History
	Routes  Routes
	// Cluster says how the cluster stands; nil on one machine. It must not block.
	Cluster func() Cluster
	// Budgets says how much is in use of what is bounded. It must not block.
	Budgets func() []Budget
	// Changes is what streams tell of.
	Changes *stream.Feed
	// Follow is called when a stream opens, and has the changes of other members published, too, until release is called at
	// its end; nil on one machine. It may take a second.
	Follow func() (release func())
	// Audit gets every command.
	Audit *audit.Trail
	// Health answers /readyz.
	Health Health
	// Own counts the tasks of this process alone, for /metrics: a cluster's members are scraped one by one. Nil means Tasks.
	Own Counter
	// Metrics is what /metrics shows. Its gauges of tasks are set from Own at each scrape.
	Metrics *metrics.Set
	// Clock tells the age of the oldest waiting task.
	Clock clock.Clock
	// Log gets failures to answer.
	Log logrus.FieldLogger
}

// Handler serves the status API. It is safe for use by many goroutines.
type Handler struct {
	deps     Dependencies
	draining atomic.Bool
	stopped  chan struct{} // closed by Drain
	streams  atomic.Int32  // how many are open
}

// answerTimeout bounds the wait for Tasks.
const answerTimeout = 5 * time.Second

//go:embed openapi.yaml
var openAPI []byte

// New returns a Handler.
func New(deps Dependencies) *Handler { return &Handler{deps: deps, stopped: make(chan struct{})} }

// Drain makes /readyz say that the daemon is stopping, whatever Health says, and ends all streams. It is never taken back.
func (h *Handler) Drain() {
	if !h.draining.Swap(true) {
		close(h.stopped)
	}
}

// Handle serves one request for a path that Owns claims. Whether the sender may ask is decided before.
func (h *Handler) Handle(ctx *fasthttp.RequestCtx) {
	endpoint, id := route(string(ctx.URI().PathOriginal()))
	if endpoint == nowhere {
		problem.Write(ctx, problem.NotFound, "", 0)
		return
	}
	if !allow(ctx, endpoint) {
		return
	}
	switch {
	case !permit(ctx, endpoint):
	case endpoint == profiling:
		h.profile(ctx, id)
	default:
		h.answer(ctx, endpoint, id)
	}
	if ctx.IsPost() && !onlyAsked(ctx, endpoint) {
		h.record(ctx, endpoint, id)
	}
}

// answer serves what concerns the daemon and tasks.
func (h *Handler) answer(ctx *fasthttp.RequestCtx, endpoint endpoint, id string) {
	wait, cancel := context.WithTimeout(context.Background(), answerTimeout)
	defer cancel()
	switch endpoint {
	case liveness:
		answer.JSON(ctx, fasthttp.StatusOK, map[string]string{"status": "ok"})
	case readiness:
		h.readiness(ctx)
	case scrape:
		h.scrape(wait, ctx)
	case contract:
		answer.Raw(ctx, fasthttp.StatusOK, "application/yaml", openAPI)
		tag(ctx)
	case oneTask:
		h.get(wait, ctx, id)
	case manyTasks:
		h.list(wait, ctx)
	case pageOfTasks, deadLetters:
		h.page(wait, ctx, endpoint == deadLetters)
	case taskDetail:
		h.detail(wait, ctx, id)
	case cancelTask:
		h.cancel(wait, ctx, id)
	case retryTask:
		h.retry(wait, ctx, id)
	default:
		h.handleMany(wait, ctx, endpoint, id)
	}
}

// handleMany serves what concerns lanes, replays and sources.
func (h *Handler) handleMany(wait context.Context, ctx *fasthttp.RequestCtx, e endpoint, name string) {
	switch e {
	case moveTask:
		h.move(wait, ctx, name)
	case manyLanes:
		h.lanes(wait, ctx)
	case oneLane:
		h.lane(wait, ctx, name)
	case pauseLane, resumeLane:
		h.pause(wait, ctx, name, e == pauseLane)
	case skipLane:
		h.skip(wait, ctx, name)
	case manyReplays:
		if ctx.IsPost() {
			h.startReplay(wait, ctx)
			return
		}
		h.replays(wait, ctx)
	case oneReplay:
		h.replay(wait, ctx, name)
	case cancelReplay:
		h.cancelReplay(wait, ctx, name)
	case manySources:
		h.sources(ctx)
	case changes:
		h.stream(ctx)
	case auditTrail:
		h.audit(ctx)
	case overview:
		h.overview(wait, ctx)
	case manyRoutes:
		h.routes(wait, ctx)
	case manyHandlers:
		h.handlers(wait, ctx)
	case clusterState:
		h.cluster(ctx)
	}
}

// readiness answers 200 or 503, with the same body.
func (h *Handler) readiness(ctx *fasthttp.RequestCtx) {
	r := h.deps.Health.Ready()
	if h.draining.Load() {
		r.Ready, r.Reason = false, "draining"
	}
	code := fasthttp.StatusOK
	if !r.Ready {
		code = fasthttp.StatusServiceUnavailable
	}
	answer.JSON(ctx, code, readinessBody(r))
}

// scrape answers with all metrics. When the tasks cannot be counted in time, their gauges keep their last values.
func (h *Handler) scrape(wait context.Context, ctx *fasthttp.RequestCtx) {
	own := h.deps.Own
	if own == nil {
		own = h.deps.Tasks
	}
	if counts, err := own.Counts(wait); err == nil {
		h.setGauges(counts)
	} else {
		h.deps.Log.WithField(logfield.Error, err.Error()).Warn("tasks were not counted for a scrape")
	}
	var text bytes.Buffer
	if err := h.deps.Metrics.Write(&text); err != nil {
		h.deps.Log.WithField(logfield.Error, err.Error()).Error("metrics were not gathered")
		problem.Write(ctx, problem.Internal, "", 0)
		return
	}
	answer.Raw(ctx, fasthttp.StatusOK, metrics.ContentType, text.Bytes())
}

func (h *Handler) setGauges(counts *messages.GetCountsReply) {
	for s, n := range map[messages.Status]uint64{
		messages.Status_STATUS_QUEUED:     counts.GetQueued(),
		messages.Status_STATUS_PROCESSING: counts.GetProcessing(),
		messages.Status_STATUS_RETRYING:   counts.GetRetrying(),
		messages.Status_STATUS_COMPLETED:  counts.GetCompleted(),
		messages.Status_STATUS_FAILED:     counts.GetFailed(),
		messages.Status_STATUS_CANCELLED:  counts.GetCancelled(),
		messages.Status_STATUS_SUPERSEDED: counts.GetSuperseded(),
	} {
		h.deps.Metrics.Tasks.Tasks.With(answer.StatusWord(s)).Set(float64(n))
	}
	h.deps.Metrics.Tasks.OldestWaitingSeconds.Set(h.age(counts))
}

// age is that of the oldest task that is not final, in seconds.
func (h *Handler) age(counts *messages.GetCountsReply) float64 {
	at := counts.GetOldestWaitingAt()
	if at == 0 {
		return 0
	}
	return max(0, h.deps.Clock.Now().Sub(time.Unix(0, at)).Seconds())
}
