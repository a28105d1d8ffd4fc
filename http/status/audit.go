package status

import (
	"path"
	"strings"

	"github.com/valyala/fasthttp"

	"github.com/hooktroupe/hooktroupe/http/answer"
	"github.com/hooktroupe/hooktroupe/http/audit"
	"github.com/hooktroupe/hooktroupe/http/auth"
	"github.com/hooktroupe/hooktroupe/http/problem"
)

// actions are the words of the audit for what changes something.
var actions = map[endpoint]string{
	cancelTask: "task.cancel", retryTask: "task.retry", moveTask: "task.move", pauseLane: "lane.pause",
	resumeLane: "lane.resume", skipLane: "lane.skip", manyReplays: "replay.start", cancelReplay: "replay.cancel",
}

// maxAuditText bounds the target and the parameters of a record, in bytes.
const maxAuditText = 512

// auditBody is a record as the API shows it. The time is RFC 3339.
type auditBody struct {
	At         string `json:"at"`
	Name       string `json:"name"`
	Scope      string `json:"scope"`
	Client     string `json:"client"`
	Action     string `json:"action"`
	Target     string `json:"target"`
	Parameters string `json:"parameters"`
	Status     int    `json:"status"`
}

// onlyAsked says whether a command was a question after all: how many tasks a replay would run again.
func onlyAsked(ctx *fasthttp.RequestCtx, e endpoint) bool {
	return e == manyReplays && ctx.Response.StatusCode() == fasthttp.StatusOK
}

// record writes a command that was answered to the audit, refusals included. A replay's ID is known from its answer.
func (h *Handler) record(ctx *fasthttp.RequestCtx, e endpoint, target string) {
	if location := ctx.Response.Header.Peek(fasthttp.HeaderLocation); len(location) > 0 {
		target = path.Base(string(location))
	}
	h.deps.Audit.Add(audit.Record{
		At: h.deps.Clock.Now(), Who: auth.Of(ctx), Client: ctx.RemoteAddr().String(), Action: actions[e],
		Target: printable(target), Parameters: printable(parameters(ctx.QueryArgs())), Status: ctx.Response.StatusCode(),
	})
}

// parameters are those that commands know, and nothing else that a query may hold.
func parameters(args *fasthttp.Args) string {
	var given []string
	for _, name := range []string{"reason", "route", "to"} {
		if value := args.Peek(name); len(value) > 0 {
			given = append(given, name+"="+string(value))
		}
	}
	return strings.Join(given, " ")
}

// printable is a bounded text without what terminals or logs would act on.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s[:min(len(s), maxAuditText)])
}

// audit answers with the newest records.
func (h *Handler) audit(ctx *fasthttp.RequestCtx) {
	limit, err := parseLimit(ctx.QueryArgs())
	if err != nil {
		problem.Write(ctx, problem.BadParameter, err.Error(), 0)
		return
	}
	newest := h.deps.Audit.Newest(limit)
	body := struct {
		Records []auditBody `json:"records"`
	}{make([]auditBody, 0, len(newest))}
	for _, r := range newest {
		body.Records = append(body.Records, auditBody{
			At: rfc3339(r.At.UnixNano()), Name: r.Who.Name, Scope: r.Who.Scope.String(), Client: r.Client, Action: r.Action,
			Target: r.Target, Parameters: r.Parameters, Status: r.Status,
		})
	}
	answer.JSON(ctx, fasthttp.StatusOK, body)
}
