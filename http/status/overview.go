package status

import (
	"context"

	"github.com/valyala/fasthttp"

	"github.com/hooktroupe/hooktroupe/http/answer"
	"github.com/hooktroupe/hooktroupe/http/history"
	"github.com/hooktroupe/hooktroupe/messages"
)

// History is what the daemon remembers of its metrics.
type History interface {
	// Samples returns what is kept, oldest first. It must not block.
	Samples() []history.Sample
}

// Routes is what the daemon knows of its routes and handlers. An error means that no answer came before ctx was done.
type Routes interface {
	// Routes are in the order of the configuration, Handlers by name.
	Routes(ctx context.Context) ([]Route, error)
	Handlers(ctx context.Context) ([]HandlerState, error)
}

// Route is a configured route, and how it stands.
type Route struct {
	Name     string   `json:"name"`
	Source   string   `json:"source"`
	Events   []string `json:"events"`
	Filter   string   `json:"filter"`
	Key      string   `json:"key"`
	Policy   string   `json:"policy"`
	Continue bool     `json:"continue"`
	Handlers []string `json:"handlers"`
	Waiting  int      `json:"waiting"`
	Running  int      `json:"running"`
	// Blocked says which gate starts no more tasks now, and why; nil where none does.
	Blocked *string `json:"blocked"`
}

// HandlerState is a configured handler, and how it stands.
type HandlerState struct {
	Name string `json:"name"`
	Type string `json:"type"`
	// Target is where it leads: a URL, a program or a kind; empty where that says nothing.
	Target      string  `json:"target"`
	Concurrency int     `json:"concurrency"`
	Rate        float64 `json:"rate"`
	// Breaker is closed, half-open or open; nil where it has none.
	Breaker *string `json:"breaker"`
	// Routes are those that lead to it.
	Routes  []string `json:"routes"`
	Waiting int      `json:"waiting"`
	Running int      `json:"running"`
	// Blocked says why it starts no more attempts now; nil where it does.
	Blocked *string `json:"blocked"`
	// Members are the processes that work it, where it is remote.
	Members []Member `json:"members"`
}

// Member is a process that works attempts of a remote handler. Times are RFC 3339.
type Member struct {
	Address  string `json:"address"`
	Identity string `json:"identity"`
	Credits  int    `json:"credits"`
	Running  int    `json:"running"`
	Draining bool   `json:"draining"`
	Since    string `json:"since"`
	Heard    string `json:"heard"`
}

// Budget is something of which there is a bounded amount.
type Budget struct {
	// Name says of what, Unit in what: bytes or tasks.
	Name string `json:"name"`
	Unit string `json:"unit"`
	// Used is how much of Limit is in use; without a bound Limit is zero.
	Used  float64 `json:"used"`
	Limit float64 `json:"limit"`
}

// overviewBody is what the first view of the dashboard shows.
type overviewBody struct {
	Now     nowBody          `json:"now"`
	Budgets []Budget         `json:"budgets"`
	Samples []history.Sample `json:"samples"`
	Sources []sourceBody     `json:"sources"`
}

// nowBody is how many tasks stand where.
type nowBody struct {
	Queued     uint64  `json:"queued"`
	Processing uint64  `json:"processing"`
	Retrying   uint64  `json:"retrying"`
	Completed  uint64  `json:"completed"`
	Failed     uint64  `json:"failed"`
	Cancelled  uint64  `json:"cancelled"`
	Superseded uint64  `json:"superseded"`
	OldestAge  float64 `json:"oldest_age"`
}

// overview answers with counts, the samples of the last hour, and the senders.
func (h *Handler) overview(wait context.Context, ctx *fasthttp.RequestCtx) {
	counts, err := h.deps.Tasks.Counts(wait)
	if err != nil {
		h.fail(ctx, err)
		return
	}
	samples := h.deps.History.Samples()
	if samples == nil {
		samples = []history.Sample{}
	}
	answer.JSON(ctx, fasthttp.StatusOK, overviewBody{
		Now: newNowBody(counts, h.age(counts)), Budgets: append([]Budget{}, h.deps.Budgets()...), Samples: samples, Sources: newSourcesBody(h.deps.Sources.Reports()).Sources,
	})
}

func newNowBody(c *messages.GetCountsReply, oldest float64) nowBody {
	return nowBody{
		Queued: c.GetQueued(), Processing: c.GetProcessing(), Retrying: c.GetRetrying(), Completed: c.GetCompleted(),
		Failed: c.GetFailed(), Cancelled: c.GetCancelled(), Superseded: c.GetSuperseded(), OldestAge: oldest,
	}
}

// routes answers with the configured routes.
func (h *Handler) routes(wait context.Context, ctx *fasthttp.RequestCtx) {
	routes, err := h.deps.Routes.Routes(wait)
	if err != nil {
		h.fail(ctx, err)
		return
	}
	answerTagged(ctx, struct {
		Routes []Route `json:"routes"`
	}{routes})
}

// handlers answers with the configured handlers.
func (h *Handler) handlers(wait context.Context, ctx *fasthttp.RequestCtx) {
	handlers, err := h.deps.Routes.Handlers(wait)
	if err != nil {
		h.fail(ctx, err)
		return
	}
	answerTagged(ctx, struct {
		Handlers []HandlerState `json:"handlers"`
	}{handlers})
}
