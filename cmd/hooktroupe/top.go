package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/hooktroupe/hooktroupe/client"
	"github.com/hooktroupe/hooktroupe/internal/logging"
)

// What a terminal is told: another screen without a cursor, the top left corner, and the end of it all.
const (
	enterScreen = "\x1b[?1049h\x1b[?25l"
	leaveScreen = "\x1b[?25h\x1b[?1049l"
	goHome      = "\x1b[H"
	clearLine   = "\x1b[K"
	clearBelow  = "\x1b[J"
)

func newTop(t *terminal) *cobra.Command {
	var s server
	var every time.Duration
	var once bool
	c := &cobra.Command{
		Use:   "top",
		Short: "Show how a daemon is, again and again, until interrupted",
		Long: "Show counts, rates, latencies, handlers, the longest lanes and the senders of a daemon, again and again, until\n" +
			"interrupted. Where the output is no terminal, or with --once, show them once.",
		Args: exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			if every < 100*time.Millisecond {
				return &usageError{errors.New("--every: at least 100ms")}
			}
			api, err := s.client(t)
			if err != nil {
				return err
			}
			if once || s.output == "json" || !isTerminal(t.out) {
				return topOnce(c.Context(), t, &s, api)
			}
			return topLive(c.Context(), t, &s, api, every)
		},
	}
	s.add(c, t)
	c.Flags().DurationVar(&every, "every", 2*time.Second, "how often")
	c.Flags().BoolVar(&once, "once", false, "show it once")
	return c
}

// situation is what one look at a daemon shows.
type situation struct {
	*client.Overview
	Handlers []client.Handler `json:"handlers"`
	Lanes    *client.Lanes    `json:"lanes"`
}

// lanesInTop is how many of the longest lanes are shown.
const lanesInTop = 8

func look(ctx context.Context, api *client.Client) (*situation, error) {
	overview, err := api.Overview(ctx)
	if err != nil {
		return nil, err
	}
	handlers, err := api.Handlers(ctx)
	if err != nil {
		return nil, err
	}
	lanes, err := api.Lanes(ctx, "", lanesInTop)
	return &situation{overview, handlers, lanes}, err
}

func topOnce(ctx context.Context, t *terminal, s *server, api *client.Client) error {
	now, err := look(ctx, api)
	switch {
	case err != nil:
		return err
	case s.output == "json":
		return printJSON(t, now)
	}
	_, err = t.out.Write(now.picture(t, s.url))
	return err
}

// topLive shows one picture after another in place of the last, cut to the size of the terminal. A daemon that cannot be
// reached for a while is said to be so; a refusal ends it.
func topLive(ctx context.Context, t *terminal, s *server, api *client.Client, every time.Duration) error {
	_, _ = fmt.Fprint(t.out, enterScreen)
	defer func() { _, _ = fmt.Fprint(t.out, leaveScreen) }()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		now, err := look(ctx, api)
		var refused *client.Problem
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.As(err, &refused) && refused.Status < 500:
			return err
		case err != nil:
			_, err = fmt.Fprint(t.out, goHome+logging.Clean(err.Error(), 200)+clearLine)
		default:
			_, err = fmt.Fprint(t.out, goHome+fit(t, string(now.picture(t, s.url)))+clearBelow)
		}
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// fit cuts a picture to the height of the terminal, and clears what was to the right of its lines.
func fit(t *terminal, picture string) string {
	lines := strings.Split(strings.TrimRight(picture, "\n"), "\n")
	if file, is := t.out.(*os.File); is {
		if _, height, err := term.GetSize(int(file.Fd())); err == nil && height > 0 {
			lines = lines[:min(len(lines), height)]
		}
	}
	return strings.Join(lines, clearLine+"\r\n") + clearLine
}

// picture is a situation as text.
func (s *situation) picture(t *terminal, url string) []byte {
	var picture bytes.Buffer
	var last client.Sample
	if n := len(s.Samples); n > 0 {
		last = s.Samples[n-1]
	}
	n := s.Now
	_, _ = fmt.Fprintf(&picture, "%s\n\n", url)
	w := tabwriter.NewWriter(&picture, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(w, "tasks\t%d queued\t%d running\t%d retrying\t%d dead letters\toldest %s\n", n.Queued, n.Processing, n.Retrying, n.Failed, age(n.OldestAge))
	_, _ = fmt.Fprintf(w, "per second\t%.1f accepted\t%.1f finished\t%.1f failed\t%.1f refused\t\n", last.Accepted, last.Finished, last.Failed, last.Refused)
	_, _ = fmt.Fprintf(w, "to acknowledge\tmedian %s\t99 %% %s\tan attempt\tmedian %s\t99 %% %s\n",
		latency(last.AckP50), latency(last.AckP99), latency(last.AttemptP50), latency(last.AttemptP99))
	for _, b := range s.Budgets {
		_, _ = fmt.Fprintf(w, "%s\t%s\t\t\t\t\n", b.Name, budget(b))
	}
	_ = w.Flush() // a buffer takes everything
	picture.WriteString("\n")
	_ = printHandlers(t, &picture, s.Handlers)
	if len(s.Lanes.Lanes) > 0 {
		_, _ = fmt.Fprintf(&picture, "\n")
		w = tabwriter.NewWriter(&picture, 0, 0, 2, ' ', 0)
		_, _ = fmt.Fprintf(w, "LANE (%d)\tROUTE\tWAITING\t%s\n", s.Lanes.Total, t.head("STATE"))
		for _, l := range s.Lanes.Lanes {
			_, _ = fmt.Fprintf(w, "%s\t%s\t%d\t%s\n", logging.Clean(l.Key, 48), l.Route, l.WaitingTotal, t.paint(map[bool]string{true: "paused"}[l.Paused]))
		}
		_ = w.Flush()
	}
	_, _ = fmt.Fprintf(&picture, "\n")
	w = tabwriter.NewWriter(&picture, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(w, "SOURCE\tTYPE\t%s\tFAILURES\tREFUSED\n", t.head("STATE"))
	for _, source := range s.Sources {
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\n", source.Name, source.Type, t.paint(source.State), source.ConsecutiveFailures, source.Refused)
	}
	_ = w.Flush()
	return picture.Bytes()
}

// age is a number of seconds as text.
func age(seconds float64) string {
	return time.Duration(seconds * float64(time.Second)).Round(time.Second).String()
}

// latency is a number of seconds that may be unknown.
func latency(seconds *float64) string {
	if seconds == nil {
		return "-"
	}
	d := time.Duration(*seconds * float64(time.Second))
	return d.Round(max(time.Microsecond, d/1000)).String()
}

// budget says how much is in use of how much.
func budget(b client.Budget) string {
	write := func(v float64) string {
		if b.Unit != "bytes" {
			return fmt.Sprintf("%.0f", v)
		}
		return fmt.Sprintf("%.1f MiB", v/(1<<20))
	}
	if b.Limit == 0 {
		return write(b.Used)
	}
	return fmt.Sprintf("%s of %s (%.0f %%)", write(b.Used), write(b.Limit), 100*b.Used/b.Limit)
}
