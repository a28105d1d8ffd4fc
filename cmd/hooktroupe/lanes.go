package main

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/hooktroupe/hooktroupe/client"
	"github.com/hooktroupe/hooktroupe/internal/logging"
)

func newLanes(t *terminal) *cobra.Command {
	c := &cobra.Command{
		Use:   "lanes",
		Short: "Say why tasks of an ordering key wait; pause, resume or skip them",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return &usageError{errors.New("lanes needs list, show, pause, resume or skip (see hooktroupe lanes --help)")}
		},
	}
	c.AddCommand(
		newLanesList(t),
		newLane(t, "show KEY", "Show what runs and waits under an ordering key, and why",
			func(ctx context.Context, api *client.Client, key, route string) (*client.Lanes, error) {
				return api.LanesOf(ctx, key, route)
			}),
		newLane(t, "pause KEY", "Start no task of an ordering key until it is resumed",
			func(ctx context.Context, api *client.Client, key, route string) (*client.Lanes, error) {
				return api.PauseLane(ctx, key, route, true)
			}),
		newLane(t, "resume KEY", "Go on with the tasks of an ordering key",
			func(ctx context.Context, api *client.Client, key, route string) (*client.Lanes, error) {
				return api.PauseLane(ctx, key, route, false)
			}),
		newLane(t, "skip KEY", "Put the first waiting task of an ordering key behind the others, which it held",
			func(ctx context.Context, api *client.Client, key, route string) (*client.Lanes, error) {
				return api.SkipLane(ctx, key, route)
			}),
	)
	return c
}

func newLanesList(t *terminal) *cobra.Command {
	var s server
	var route string
	var limit int
	c := &cobra.Command{
		Use:   "list",
		Short: "List the lanes in which the most tasks wait",
		Args:  exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			api, err := s.client(t)
			if err != nil {
				return err
			}
			lanes, err := api.Lanes(c.Context(), route, limit)
			if err != nil {
				return err
			}
			if s.output == "json" {
				return printJSON(t, lanes)
			}
			w := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
			_, _ = fmt.Fprintln(w, "WAITING\tROUTE\tPOLICY\tPAUSED\tKEY")
			for _, l := range lanes.Lanes {
				_, _ = fmt.Fprintf(w, "%d\t%s\t%s\t%t\t%s\n", l.WaitingTotal, l.Route, l.Policy, l.Paused, logging.Clean(l.Key, 128))
			}
			return w.Flush()
		},
	}
	s.add(c, t)
	c.Flags().StringVar(&route, "route", "", "only those of this route")
	c.Flags().IntVar(&limit, "limit", 20, "how many, up to 1000")
	return c
}

// newLane is a command about the lanes of one key.
func newLane(t *terminal, use, short string,
	ask func(ctx context.Context, api *client.Client, key, route string) (*client.Lanes, error),
) *cobra.Command {
	var s server
	var route string
	c := &cobra.Command{
		Use:   use,
		Short: short,
		Args:  exactly(1, "an ordering key"),
		RunE: func(c *cobra.Command, args []string) error {
			api, err := s.client(t)
			if err != nil {
				return err
			}
			lanes, err := ask(c.Context(), api, args[0], route)
			if err != nil {
				return err
			}
			if s.output == "json" {
				return printJSON(t, lanes)
			}
			return printLanes(t, lanes.Lanes)
		},
	}
	s.add(c, t)
	c.Flags().StringVar(&route, "route", "", "only that of this route")
	return c
}

func printLanes(t *terminal, lanes []client.Lane) error {
	for i, l := range lanes {
		if i > 0 {
			_, _ = fmt.Fprintln(t.out)
		}
		state := ""
		if l.Paused {
			state = ", paused"
		}
		_, _ = fmt.Fprintf(t.out, "%s, %s%s: %d run, %d wait\n", logging.Clean(l.Key, 128), l.Policy, state, len(l.Running), l.WaitingTotal)
		if l.Route != "" {
			_, _ = fmt.Fprintf(t.out, "route %s\n", l.Route)
		}
		if l.Why != nil {
			_, _ = fmt.Fprintf(t.out, "why: %s\n", logging.Clean(*l.Why, 256))
		}
		w := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
		for _, task := range append(l.Running, l.Waiting...) {
			due := ""
			if task.DueAt != nil {
				due = "due " + task.DueAt.UTC().Format(time.RFC3339)
			}
			_, _ = fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\n", task.Position, task.WebhookID, task.Status,
				logging.Clean(task.EventType, 64), due)
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	return nil
}

func newTasksMove(t *terminal) *cobra.Command {
	var s server
	var to string
	c := &cobra.Command{
		Use:   "move ID --to front|back",
		Short: "Put a waiting task in front of its lane, or behind it, which lets those run that it held",
		Args:  exactly(1, "the ID of a task"),
		RunE: func(c *cobra.Command, args []string) error {
			if to != "front" && to != "back" {
				return &usageError{fmt.Errorf("--to: %q is neither front nor back", to)}
			}
			api, err := s.client(t)
			if err != nil {
				return err
			}
			task, err := api.Move(c.Context(), args[0], to == "front")
			if err != nil {
				return err
			}
			return s.show(t, task)
		},
	}
	s.add(c, t)
	c.Flags().StringVar(&to, "to", "", "front or back")
	return c
}
