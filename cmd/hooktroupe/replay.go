package main

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/hooktroupe/hooktroupe/client"
)

// replaying is one call of replay.
type replaying struct {
	server
	filter         client.Filter
	from, until    string
	rate           float64
	dryRun, detach bool
}

// replayPoll is how often the progress is asked for.
const replayPoll = 200 * time.Millisecond

func newReplay(t *terminal) *cobra.Command {
	var r replaying
	c := &cobra.Command{
		Use:   "replay",
		Short: "Run final tasks again: dead letters, or what the flags select",
		Long: "Run the tasks again that the flags select, dead letters where no status is given, and show the progress.\n" +
			"Their history is kept, and they get their automatic attempts anew. An interrupt cancels the replay.",
		Args: exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error { return r.run(c.Context(), t) },
	}
	r.add(c, t)
	f := c.Flags()
	f.StringSliceVar(&r.filter.Statuses, "status", nil, "completed, failed, cancelled or superseded (default: failed)")
	f.StringVar(&r.filter.Source, "source", "", "only those of this source")
	f.StringVar(&r.filter.Event, "event", "", "only those of this event type")
	f.StringVar(&r.filter.Key, "key", "", "only those of this ordering key")
	f.StringVar(&r.filter.Route, "route", "", "only those of this route")
	f.StringVar(&r.filter.Error, "error", "", "only those in whose error this text occurs")
	f.StringVar(&r.from, "from", "", "only those accepted then or later (RFC 3339)")
	f.StringVar(&r.until, "until", "", "only those accepted before then (RFC 3339)")
	f.Float64Var(&r.rate, "rate", 0, "tasks per second; 0 for as fast as they can be")
	f.BoolVar(&r.dryRun, "dry-run", false, "only say how many tasks it would be")
	f.BoolVar(&r.detach, "detach", false, "do not wait for the end")
	c.AddCommand(newReplayList(t), newReplayCancel(t))
	return c
}

func (r *replaying) run(ctx context.Context, t *terminal) error {
	for text, target := range map[string]**time.Time{r.from: &r.filter.From, r.until: &r.filter.Until} {
		if text == "" {
			continue
		}
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return &usageError{fmt.Errorf("%q is not a time such as 2026-01-31T12:00:00Z", text)}
		}
		*target = &at
	}
	api, err := r.client(t)
	if err != nil {
		return err
	}
	if r.dryRun {
		matches, err := api.CountReplay(ctx, r.filter)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(t.out, "%d tasks would run again\n", matches)
		return err
	}
	replay, err := api.StartReplay(ctx, r.filter, r.rate)
	if err == nil && !r.detach {
		replay, err = follow(ctx, t, api, replay)
	}
	if err != nil {
		return err
	}
	if r.output == "json" {
		return printJSON(t, replay)
	}
	_, err = fmt.Fprintf(t.out, "replay %s %s: %d of %d tasks run again, %d had changed meanwhile\n",
		replay.ID, replay.State, replay.Replayed, replay.Total, replay.Refused)
	return err
}

// follow shows the progress until the end. When ctx ends first, it cancels the replay.
func follow(ctx context.Context, t *terminal, api *client.Client, r *client.Replay) (*client.Replay, error) {
	bar := newBar(t, r.Total, "replayed")
	tick := time.NewTicker(replayPoll)
	defer tick.Stop()
	for r.EndedAt == nil {
		select {
		case <-ctx.Done():
			return api.CancelReplay(context.WithoutCancel(ctx), r.ID)
		case <-tick.C:
		}
		next, err := api.Replay(ctx, r.ID)
		if err != nil {
			return nil, err
		}
		r = next
		_ = bar.Set(r.Replayed + r.Refused)
	}
	return r, bar.Finish()
}

func newReplayList(t *terminal) *cobra.Command {
	var s server
	c := &cobra.Command{
		Use:   "list",
		Short: "List the replays since the daemon started",
		Args:  exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			api, err := s.client(t)
			if err != nil {
				return err
			}
			all, err := api.Replays(c.Context())
			if err != nil {
				return err
			}
			if s.output == "json" {
				return printJSON(t, all)
			}
			w := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
			_, _ = fmt.Fprintln(w, "ID\tSTATE\tREPLAYED\tREFUSED\tTOTAL\tSTARTED")
			for _, r := range all {
				_, _ = fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d\t%s\n", r.ID, r.State, r.Replayed, r.Refused, r.Total,
					r.StartedAt.UTC().Format(time.RFC3339))
			}
			return w.Flush()
		},
	}
	s.add(c, t)
	return c
}

func newReplayCancel(t *terminal) *cobra.Command {
	var s server
	c := &cobra.Command{
		Use:   "cancel ID",
		Short: "Stop a replay; what runs again already is not touched",
		Args:  exactly(1, "the ID of a replay"),
		RunE: func(c *cobra.Command, args []string) error {
			api, err := s.client(t)
			if err != nil {
				return err
			}
			r, err := api.CancelReplay(c.Context(), args[0])
			if err != nil {
				return err
			}
			if r.State != "cancelled" {
				return errors.New("the replay was not cancelled")
			}
			_, err = fmt.Fprintf(t.out, "replay %s cancelled after %d of %d tasks\n", r.ID, r.Replayed, r.Total)
			return err
		},
	}
	s.add(c, t)
	return c
}
