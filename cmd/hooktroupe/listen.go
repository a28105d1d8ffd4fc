package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/hooktroupe/hooktroupe/client"
	"github.com/hooktroupe/hooktroupe/internal/logging"
)

// listener forwards the deliveries of a daemon to a URL near by.
type listener struct {
	server
	terminal *terminal
	selected client.Selection
	forward  string
	api      *client.Client
	http     *http.Client
	seen     recent
}

const (
	// forwardPatience bounds one request to the URL.
	forwardPatience = 30 * time.Second
	// maxForwardAnswer is how much of its answer is read, in bytes, so that the connection can be used again.
	maxForwardAnswer = 1 << 20
	// rememberedTasks is how many of the newest tasks are remembered, so that none is forwarded twice.
	rememberedTasks = 4096
)

func newListen(t *terminal) *cobra.Command {
	l := listener{terminal: t}
	c := &cobra.Command{
		Use:   "listen --forward URL",
		Short: "Forward what a daemon receives to a URL on this machine, as it happens, until interrupted",
		Long: "Post every delivery that the daemon accepts from now on to a URL, with its headers and its body byte for byte.\n" +
			"The daemon works its tasks as always and does not hear of the answers. The token needs the scope operate.",
		Example: "  hooktroupe listen --url https://hooks.example.com --forward http://127.0.0.1:3000/webhook --source github",
		Args:    exactly(0, "no arguments"),
		RunE:    func(c *cobra.Command, _ []string) error { return l.run(c.Context()) },
	}
	l.add(c, t)
	addSelection(c, &l.selected)
	c.Flags().StringVar(&l.forward, "forward", "", "where deliveries are posted")
	return c
}

func (l *listener) run(ctx context.Context) error {
	if to, err := url.Parse(l.forward); err != nil || to.Host == "" || to.Scheme != "http" && to.Scheme != "https" {
		return &usageError{errors.New("--forward: a URL such as http://127.0.0.1:3000/webhook is needed")}
	}
	api, err := l.client(l.terminal)
	if err != nil {
		return err
	}
	l.api, l.seen = api, newRecent(rememberedTasks)
	l.http = &http.Client{
		Timeout:       forwardPatience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	l.selected.Statuses = []string{"queued"}
	_, _ = fmt.Fprintf(l.terminal.err, "forwarding what %s receives to %s\n", l.url, l.forward)
	return l.api.Follow(ctx, l.selected, func(e client.Event) error { return l.tell(ctx, e) })
}

// tell forwards the delivery of a task that is new. Parts have the delivery of the whole, and a task that is queued again
// was forwarded before.
func (l *listener) tell(ctx context.Context, e client.Event) error {
	switch {
	case e.Task == nil && e.Lane == nil && e.Replay == nil:
		_, err := fmt.Fprintln(l.terminal.err, "hooktroupe: some deliveries were missed")
		return err
	case e.Task == nil || e.Task.Parent != nil || e.Task.Attempts > 0 || !l.seen.add(e.Task.ID):
		return nil
	}
	task, err := l.api.Task(ctx, e.Task.ID)
	var refused *client.Problem
	switch {
	case errors.As(err, &refused) && refused.Status == http.StatusNotFound:
		return nil // forgotten meanwhile
	case err != nil:
		return err
	case task.Delivery == nil:
		return errNoDelivery
	}
	return l.post(ctx, task)
}

// post forwards one delivery and prints the answer. That nobody is there is no reason to end.
func (l *listener) post(ctx context.Context, task *client.TaskDetail) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, l.forward, bytes.NewReader(task.Delivery.Body()))
	if err != nil {
		return err
	}
	for _, h := range task.Delivery.Headers {
		if !ofConnection(h.Name) {
			request.Header.Add(h.Name, h.Value)
		}
	}
	request.Header.Set("X-Hooktroupe-Task-Id", task.ID)
	var outcome string
	started := time.Now()
	if response, err := l.http.Do(request); err != nil {
		outcome = logging.Clean(err.Error(), 256)
	} else {
		_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, maxForwardAnswer))
		_ = response.Body.Close()
		outcome = fmt.Sprintf("%d in %v", response.StatusCode, time.Since(started).Round(time.Millisecond))
	}
	_, err = fmt.Fprintf(l.terminal.out, "%s  %s  %s  %s  %s\n", stamp(task.CreatedAt), task.ID, task.Source,
		logging.Clean(task.Event, 64), outcome)
	return err
}

// recent remembers the newest of many texts.
type recent struct {
	known map[string]bool
	ring  []string
	next  int
}

func newRecent(size int) recent {
	return recent{known: make(map[string]bool, size), ring: make([]string, size)}
}

// add remembers a text; it says whether it is new.
func (r *recent) add(s string) bool {
	if r.known[s] {
		return false
	}
	delete(r.known, r.ring[r.next])
	r.known[s], r.ring[r.next] = true, s
	r.next = (r.next + 1) % len(r.ring)
	return true
}
