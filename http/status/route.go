package status

import (
	"net/url"
	"slices"
	"strings"

	"github.com/valyala/fasthttp"

	"github.com/hooktroupe/hooktroupe/http/answer"
	"github.com/hooktroupe/hooktroupe/http/problem"
)

// endpoint is one thing that can be asked.
type endpoint uint8

const (
	nowhere      endpoint = iota
	liveness              // GET /healthz
	readiness             // GET /readyz
	scrape                // GET /metrics
	contract              // GET /api/openapi.yaml
	oneTask               // GET /api/v1/webhook_status/{webhook_id}
	manyTasks             // GET /api/v1/webhook_statuses
	pageOfTasks           // GET /api/v1/tasks
	taskDetail            // GET /api/v1/tasks/{webhook_id}
	cancelTask            // POST /api/v1/tasks/{webhook_id}/cancel
	retryTask             // POST /api/v1/tasks/{webhook_id}/retry
	moveTask              // POST /api/v1/tasks/{webhook_id}/move
	manyLanes             // GET /api/v1/lanes
	oneLane               // GET /api/v1/lanes/{key}
	pauseLane             // POST /api/v1/lanes/{key}/pause
	resumeLane            // POST /api/v1/lanes/{key}/resume
	skipLane              // POST /api/v1/lanes/{key}/skip
	manyReplays           // GET and POST /api/v1/replays
	oneReplay             // GET /api/v1/replays/{id}
	cancelReplay          // POST /api/v1/replays/{id}/cancel
	manySources           // GET /api/v1/sources
	overview              // GET /api/v1/overview
	manyRoutes            // GET /api/v1/routes
	manyHandlers          // GET /api/v1/handlers
	clusterState          // GET /api/v1/cluster
	deadLetters           // GET /api/v1/dead_letters
	changes               // GET /api/v1/stream
	auditTrail            // GET /api/v1/audit
	profiling             // GET /debug/pprof and /debug/pprof/{profile}
)

const (
	healthPath    = "/healthz"
	readyPath     = "/readyz"
	metricsPath   = "/metrics"
	contractPath  = "/api/openapi.yaml"
	manyTasksPath = "/api/v1/webhook_statuses"
	tasksPath     = "/api/v1/tasks"
	tasksPrefix   = tasksPath + "/"
	lanesPath     = "/api/v1/lanes"
	replaysPath   = "/api/v1/replays"
	sourcesPath   = "/api/v1/sources"
	overviewPath  = "/api/v1/overview"
	routesPath    = "/api/v1/routes"
	handlersPath  = "/api/v1/handlers"
	clusterPath   = "/api/v1/cluster"
	deadPath      = "/api/v1/dead_letters"
	streamPath    = "/api/v1/stream"
	auditPath     = "/api/v1/audit"
	profilesPath  = "/debug/pprof"
	profilePrefix = profilesPath + "/"
)

// fixed are the endpoints whose paths name nothing.
var fixed = map[string]endpoint{
	healthPath: liveness, readyPath: readiness, metricsPath: scrape, contractPath: contract, manyTasksPath: manyTasks,
	tasksPath: pageOfTasks, deadPath: deadLetters, lanesPath: manyLanes, replaysPath: manyReplays, sourcesPath: manySources,
	overviewPath: overview, routesPath: manyRoutes, handlersPath: manyHandlers, streamPath: changes, auditPath: auditTrail,
	profilesPath: profiling, clusterPath: clusterState,
}

// Owns says whether a decoded path is the status API's, be there something or not.
func Owns(path []byte) bool {
	return Probe(path) || string(path) == metricsPath || strings.HasPrefix(string(path), "/api/") ||
		string(path) == profilesPath || strings.HasPrefix(string(path), profilePrefix)
}

// Probe says whether a path is one that load balancers and supervisors ask: it tells nothing worth a token.
func Probe(path []byte) bool { return string(path) == healthPath || string(path) == readyPath }

// route finds the endpoint of a path, as it came, and what names the task, lane or replay in it, decoded, which may be
// ill-formed. An ordering key may hold slashes: they are escaped in the path.
func route(path string) (e endpoint, name string) {
	if e, known := fixed[path]; known {
		return e, ""
	}
	if name, is := strings.CutPrefix(path, profilePrefix); is {
		return profiling, name
	}
	for prefix, actions := range map[string]map[string]endpoint{
		answer.StatusPath: {"": oneTask},
		tasksPrefix:       {"": taskDetail, "cancel": cancelTask, "retry": retryTask, "move": moveTask},
		lanesPath + "/":   {"": oneLane, "pause": pauseLane, "resume": resumeLane, "skip": skipLane},
		replaysPath + "/": {"": oneReplay, "cancel": cancelReplay},
	} {
		rest, ok := strings.CutPrefix(path, prefix)
		if !ok {
			continue
		}
		escaped, action, _ := strings.Cut(rest, "/")
		name, err := url.PathUnescape(escaped)
		if e, known := actions[action]; known && err == nil && name != "" {
			return e, name
		}
	}
	return nowhere, ""
}

// methods are those that an endpoint knows, beside OPTIONS.
func (e endpoint) methods() []string {
	switch e {
	case cancelTask, retryTask, moveTask, pauseLane, resumeLane, skipLane, cancelReplay:
		return []string{fasthttp.MethodPost}
	case changes, profiling:
		return []string{fasthttp.MethodGet}
	case manyReplays:
		return []string{fasthttp.MethodGet, fasthttp.MethodHead, fasthttp.MethodPost}
	default:
		return []string{fasthttp.MethodGet, fasthttp.MethodHead}
	}
}

// allow answers a method that the endpoint does not know, and OPTIONS; it says whether to go on.
func allow(ctx *fasthttp.RequestCtx, e endpoint) bool {
	methods := e.methods()
	fits := slices.Contains(methods, string(ctx.Method()))
	switch {
	case fits:
		return true
	case ctx.IsOptions():
		ctx.SetStatusCode(fasthttp.StatusNoContent)
	default:
		problem.Write(ctx, problem.MethodNotAllowed, "", 0)
	}
	ctx.Response.Header.Set(fasthttp.HeaderAllow, strings.Join(append(methods, fasthttp.MethodOptions), ", "))
	return false
}
