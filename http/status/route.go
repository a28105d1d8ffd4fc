package status

import (
	"strings"

	"github.com/valyala/fasthttp"

	"github.com/hooktroupe/hooktroupe/http/answer"
	"github.com/hooktroupe/hooktroupe/http/problem"
)

// endpoint is one thing that can be asked.
type endpoint uint8

const (
	nowhere    endpoint = iota
	health              // GET /healthz
	readiness           // GET /readyz
	scrape              // GET /metrics
	contract            // GET /api/openapi.yaml
	oneTask             // GET /api/v1/webhook_status/{webhook_id}
	manyTasks           // GET /api/v1/webhook_statuses
	cancelTask          // POST /api/v1/tasks/{webhook_id}/cancel
	retryTask           // POST /api/v1/tasks/{webhook_id}/retry
)

const (
	healthPath    = "/healthz"
	readyPath     = "/readyz"
	metricsPath   = "/metrics"
	contractPath  = "/api/openapi.yaml"
	manyTasksPath = "/api/v1/webhook_statuses"
	tasksPrefix   = "/api/v1/tasks/"
)

// Owns says whether a decoded path is the status API's, be there something or not.
func Owns(path []byte) bool {
	return Probe(path) || string(path) == metricsPath || strings.HasPrefix(string(path), "/api/")
}

// Probe says whether a path is one that load balancers and supervisors ask: it tells nothing worth a token.
func Probe(path []byte) bool { return string(path) == healthPath || string(path) == readyPath }

// route finds the endpoint of a decoded path and the ID in it, which may be ill-formed.
func route(path string) (e endpoint, id string) {
	switch path {
	case healthPath:
		return health, ""
	case readyPath:
		return readiness, ""
	case metricsPath:
		return scrape, ""
	case contractPath:
		return contract, ""
	case manyTasksPath:
		return manyTasks, ""
	}
	if id, ok := strings.CutPrefix(path, answer.StatusPath); ok && segment(id) {
		return oneTask, id
	}
	rest, ok := strings.CutPrefix(path, tasksPrefix)
	if !ok {
		return nowhere, ""
	}
	if id, ok := strings.CutSuffix(rest, "/cancel"); ok && segment(id) {
		return cancelTask, id
	}
	if id, ok := strings.CutSuffix(rest, "/retry"); ok && segment(id) {
		return retryTask, id
	}
	return nowhere, ""
}

// segment says whether a piece of a path is one segment of it.
func segment(s string) bool { return s != "" && !strings.Contains(s, "/") }

// changes says whether an endpoint is a command.
func (e endpoint) changes() bool { return e == cancelTask || e == retryTask }

// allow answers a method that the endpoint does not know, and OPTIONS; it says whether to go on.
func allow(ctx *fasthttp.RequestCtx, e endpoint) bool {
	methods := "GET, HEAD, OPTIONS"
	fits := ctx.IsGet() || ctx.IsHead()
	if e.changes() {
		methods, fits = "POST, OPTIONS", ctx.IsPost()
	}
	switch {
	case fits:
		return true
	case ctx.IsOptions():
		ctx.SetStatusCode(fasthttp.StatusNoContent)
	default:
		problem.Write(ctx, problem.MethodNotAllowed, "", 0)
	}
	ctx.Response.Header.Set(fasthttp.HeaderAllow, methods)
	return false
}
