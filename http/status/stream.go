package status

import (
	"bufio"
	"encoding/json"
	"net"
	"slices"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/hooktroupe/hooktroupe/http/answer"
	"github.com/hooktroupe/hooktroupe/http/problem"
	"github.com/hooktroupe/hooktroupe/http/stream"
	"github.com/hooktroupe/hooktroupe/internal/clock"
)

const (
	// maxStreams bounds the streams that are open at one time: each holds a connection and two goroutines.
	maxStreams = 64
	// streamRetry is the Retry-After, in seconds, of one stream too many.
	streamRetry = 5
	// heartbeat is the longest silence of a stream. It keeps proxies from closing it, and finds readers that have gone.
	heartbeat = 15 * time.Second
	// streamLife is how long a stream goes on. Its reader comes back and goes on where it was, unless it has logged out, or
	// bears a token or certificate that is not known any more.
	streamLife = 10 * time.Minute
	// streamPatience is how long a reader may take to receive what is sent at one time.
	streamPatience = 10 * time.Second
	// streamBatch is how many changes are sent at one time.
	streamBatch = 256
)

// selection is which changes a stream tells. The zero value tells all; any other only of tasks.
type selection struct {
	source, event, key, route string
	statuses                  []string
}

func (s *selection) wants(shown any) bool {
	if s.source == "" && s.event == "" && s.key == "" && s.route == "" && len(s.statuses) == 0 {
		return true
	}
	t, ok := shown.(stream.Task)
	return ok && (s.source == "" || s.source == t.Source) && (s.event == "" || s.event == t.Event) &&
		(s.key == "" || s.key == t.Key) && (s.route == "" || s.route == t.Route) &&
		(len(s.statuses) == 0 || slices.Contains(s.statuses, t.Status))
}

// stream answers with server-sent events for as long as the reader keeps up and the daemon does not stop.
func (h *Handler) stream(ctx *fasthttp.RequestCtx) {
	q, err := parseQuery(ctx.QueryArgs())
	if err != nil {
		problem.Write(ctx, problem.BadParameter, err.Error(), 0)
		return
	}
	if h.streams.Add(1) > maxStreams {
		h.streams.Add(-1)
		problem.Write(ctx, problem.Overloaded, "as many streams are open as may be", streamRetry)
		return
	}
	t := &teller{
		clock: h.deps.Clock, stopped: h.stopped, connection: ctx.Conn(),
		selection: selection{source: q.Source, event: q.Event, key: q.Key, route: q.Route},
	}
	for _, s := range q.Statuses {
		t.selection.statuses = append(t.selection.statuses, answer.StatusWord(s))
	}
	release := h.follow() // before the reader is opened: so it begins where all members are followed
	t.reader, t.lost = h.deps.Changes.Open(string(ctx.Request.Header.Peek("Last-Event-ID")))
	answer.Raw(ctx, fasthttp.StatusOK, "text/event-stream", nil)
	ctx.Response.Header.Set("X-Accel-Buffering", "no") // for proxies that would wait for more
	ctx.SetBodyStreamWriter(func(w *bufio.Writer) {
		defer h.streams.Add(-1)
		defer release()
		t.tell(w)
	})
}

// follow has the changes of others told as well while a stream is open.
func (h *Handler) follow() (release func()) {
	if h.deps.Follow == nil {
		return func() {}
	}
	return h.deps.Follow()
}

// teller tells one reader what changes. It holds nothing of the request, which ends before the stream does.
type teller struct {
	clock      clock.Clock
	stopped    <-chan struct{} // closed when the daemon stops
	connection net.Conn
	selection  selection
	reader     *stream.Reader
	lost       bool // what came before is not kept any more
}

// tell writes until the reader has gone, was too slow or has read for long enough, or the daemon stops.
func (t *teller) tell(w *bufio.Writer) {
	ends := t.clock.Now().Add(streamLife)
	_, _ = w.WriteString("retry: 2000\nid: " + t.reader.ID() + "\n: open\n\n") // Flush returns every error
	if t.lost {
		t.reset(w)
	}
	buffer := make([]stream.Numbered, 0, streamBatch)
	for t.flush(w) && t.clock.Now().Before(ends) {
		changes, more, lost := t.reader.Read(buffer)
		switch {
		case lost:
			t.reset(w)
			t.flush(w)
			return
		case more == nil:
			t.write(w, changes)
		case !t.wait(w, more):
			return
		}
	}
}

// wait waits for more, with a sign of life after a while; it says whether to go on.
func (t *teller) wait(w *bufio.Writer, more <-chan struct{}) bool {
	silent := make(chan struct{})
	timer := t.clock.AfterFunc(heartbeat, func() { close(silent) })
	defer timer.Stop()
	select {
	case <-t.stopped:
		return false
	case <-more:
	case <-silent:
		_, _ = w.WriteString(": still here\n\n")
	}
	return true
}

// flush sends what was written. The bound on the time of a response is not meant for one without an end, so each portion
// has its own; it is the machine's clock that connections go by.
func (t *teller) flush(w *bufio.Writer) bool {
	_ = t.connection.SetWriteDeadline(clock.Real{}.Now().Add(streamPatience)) // one that is closed fails to be written to
	return w.Flush() == nil
}

// reset says that changes were dropped: whoever keeps a picture of the tasks has to ask for it anew.
func (t *teller) reset(w *bufio.Writer) { t.event(w, t.reader.ID(), "reset", struct{}{}) }

// write writes the changes that the reader wants.
func (t *teller) write(w *bufio.Writer, changes []stream.Numbered) {
	for _, c := range changes {
		shown := c.Change.Show()
		if _, missed := shown.(stream.Reset); missed {
			t.event(w, c.ID, "reset", struct{}{})
			continue
		}
		if !t.selection.wants(shown) {
			continue
		}
		switch shown.(type) {
		case stream.Task:
			t.event(w, c.ID, "task", shown)
		case stream.Lane:
			t.event(w, c.ID, "lane", shown)
		case stream.Replay:
			t.event(w, c.ID, "replay", shown)
		}
	}
}

func (t *teller) event(w *bufio.Writer, id, name string, body any) {
	text, err := json.Marshal(body)
	if err != nil {
		return // texts and numbers always encode
	}
	_, _ = w.WriteString("id: " + id + "\nevent: " + name + "\ndata: ")
	_, _ = w.Write(text)
	_, _ = w.WriteString("\n\n")
}
