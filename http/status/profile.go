package status

import (
	"bytes"
	"errors"
	"fmt"
	"runtime/pprof"
	"runtime/trace"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/hooktroupe/hooktroupe/http/answer"
	"github.com/hooktroupe/hooktroupe/http/problem"
)

const (
	// defaultProfile and maxProfile are how long a profile is taken for, where that takes time.
	defaultProfile = 10 * time.Second
	maxProfile     = 30 * time.Second
)

// timed are the profiles that are taken over a time; the others are as things stand.
var timed = map[string]struct {
	start func(*bytes.Buffer) error
	stop  func()
}{
	"profile": {func(b *bytes.Buffer) error { return pprof.StartCPUProfile(b) }, pprof.StopCPUProfile},
	"trace":   {func(b *bytes.Buffer) error { return trace.Start(b) }, trace.Stop},
}

// standing are the profiles as things stand.
var standing = map[string]bool{"allocs": true, "goroutine": true, "heap": true, "threadcreate": true}

// profiles is the index, as text: one path a line.
const profiles = "/debug/pprof/allocs\n/debug/pprof/goroutine?debug=2\n/debug/pprof/heap\n/debug/pprof/profile?seconds=10\n" +
	"/debug/pprof/threadcreate\n/debug/pprof/trace?seconds=1\n"

// profile answers with a profile in the format of go tool pprof or go tool trace, or, with debug, as text.
func (h *Handler) profile(ctx *fasthttp.RequestCtx, name string) {
	takes, isTimed := timed[name]
	switch {
	case name == "":
		answer.Raw(ctx, fasthttp.StatusOK, "text/plain; charset=utf-8", []byte(profiles))
	case standing[name]:
		debug, err := bounded(ctx.QueryArgs(), "debug", 0, 2)
		if err != nil {
			problem.Write(ctx, problem.BadParameter, err.Error(), 0)
			return
		}
		var out bytes.Buffer
		if err := pprof.Lookup(name).WriteTo(&out, debug); err != nil {
			h.fail(ctx, err)
			return
		}
		kind := "application/octet-stream"
		if debug > 0 {
			kind = "text/plain; charset=utf-8"
		}
		answer.Raw(ctx, fasthttp.StatusOK, kind, out.Bytes())
	case isTimed:
		h.profileFor(ctx, takes.start, takes.stop)
	default:
		problem.Write(ctx, problem.NotFound, "", 0)
	}
}

// profileFor takes a profile for as long as is asked for, or until the daemon stops. There is one at a time, for the
// runtime takes no more.
func (h *Handler) profileFor(ctx *fasthttp.RequestCtx, start func(*bytes.Buffer) error, stop func()) {
	seconds, err := bounded(ctx.QueryArgs(), "seconds", 1, int(maxProfile/time.Second))
	if err != nil {
		problem.Write(ctx, problem.BadParameter, err.Error(), 0)
		return
	}
	duration := defaultProfile
	if seconds > 0 {
		duration = time.Duration(seconds) * time.Second
	}
	var out bytes.Buffer
	if err := start(&out); err != nil {
		problem.Write(ctx, problem.ProfileRuns, "", 0)
		return
	}
	over := make(chan struct{})
	timer := h.deps.Clock.AfterFunc(duration, func() { close(over) })
	select {
	case <-over:
	case <-h.stopped:
		timer.Stop()
	}
	stop()
	answer.Raw(ctx, fasthttp.StatusOK, "application/octet-stream", out.Bytes())
}

// bounded reads a whole number; zero when it is left out.
func bounded(args *fasthttp.Args, name string, least, most int) (int, error) {
	if !args.Has(name) {
		return 0, nil
	}
	n, err := strconv.Atoi(string(args.Peek(name)))
	if err != nil || n < least || n > most {
		return 0, errors.New(name + ": not a whole number from " + fmt.Sprint(least) + " to " + fmt.Sprint(most))
	}
	return n, nil
}
