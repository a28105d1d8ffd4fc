package main

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/hooktroupe/hooktroupe/client"
	"github.com/hooktroupe/hooktroupe/internal/logging"
)

// addSelection gives a command the flags that select tasks of a stream.
func addSelection(c *cobra.Command, s *client.Selection) {
	f := c.Flags()
	f.StringVar(&s.Source, "source", "", "only those of this source")
	f.StringVar(&s.Event, "event", "", "only those of this event type")
	f.StringVar(&s.Key, "key", "", "only those of this ordering key")
	f.StringVar(&s.Route, "route", "", "only those of this route")
}

func newTasksTail(t *terminal) *cobra.Command {
	var s server
	var selected client.Selection
	c := &cobra.Command{
		Use:   "tail",
		Short: "Show what becomes of tasks, as it happens, until interrupted",
		Args:  exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			api, err := s.client(t)
			if err != nil {
				return err
			}
			return api.Follow(c.Context(), selected, func(e client.Event) error { return s.tell(t, e) })
		},
	}
	s.add(c, t)
	addSelection(c, &selected)
	c.Flags().StringSliceVar(&selected.Statuses, "status", nil, "only when they come to be so: completed, failed, ...")
	return c
}

// tell prints one event: a line of columns, or of JSON.
func (s *server) tell(t *terminal, e client.Event) error {
	var (
		body any
		line string
	)
	switch {
	case e.Task != nil:
		task := e.Task
		body = task
		line = fmt.Sprintf("%s  %-10s  %s  %s  %s", stamp(task.At), task.Status, task.ID, task.Source, logging.Clean(task.Event, 64))
		if task.Key != "" {
			line += "  " + logging.Clean(task.Key, 64)
		}
	case e.Lane != nil:
		body = e.Lane
		state := map[bool]string{true: "paused", false: "resumed"}[e.Lane.Paused]
		line = fmt.Sprintf("%s  %-10s  lane %s", stamp(e.Lane.At), state, logging.Clean(e.Lane.Key, 64))
	case e.Replay != nil:
		r := e.Replay
		body = r
		line = fmt.Sprintf("%s  %-10s  replay %s: %d of %d tasks", stamp(r.At), r.State, r.ID, r.Replayed, r.Total)
	default:
		_, err := fmt.Fprintln(t.err, "hooktroupe: some changes were missed")
		return err
	}
	if s.output == "json" {
		return json.NewEncoder(t.out).Encode(body)
	}
	_, err := fmt.Fprintln(t.out, line)
	return err
}

// stamp is a time as every table shows it.
func stamp(at time.Time) string { return at.UTC().Format("2006-01-02 15:04:05.000Z") }
