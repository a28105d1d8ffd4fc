package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/hooktroupe/hooktroupe/client"
	"github.com/hooktroupe/hooktroupe/internal/logging"
)

func newCluster(t *terminal) *cobra.Command {
	var (
		s   server
		all bool
	)
	c := &cobra.Command{
		Use:   "cluster",
		Short: "Show the members of a cluster, their leases, and what is moving",
		Long: "Show the members of a cluster as the one sees them that is asked: how long ago the store heard of each, how long its\n" +
			"leases last if it is not heard of again, and the shards that move, or that nobody has. With --shards, all shards.",
		Args: exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			api, err := s.client(t)
			if err != nil {
				return err
			}
			state, err := api.Cluster(c.Context())
			if err != nil {
				return err
			}
			if s.output == "json" {
				return printJSON(t, state)
			}
			return printCluster(t, state, all)
		},
	}
	s.add(c, t)
	c.Flags().BoolVar(&all, "shards", false, "show every shard, not only those that move or that nobody has")
	return c
}

func printCluster(t *terminal, c *client.Cluster, all bool) error {
	if !c.Enabled || c.Self == nil {
		_, err := fmt.Fprintln(t.out, "no cluster: the daemon works on its own")
		return err
	}
	w := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(w, "MEMBER\t%s\tADDRESS\tVERSION\tSHARDS\tJOINED\tHEARD OF\tLEASE LEFT\n", t.head("STATE"))
	for _, m := range c.Members {
		name := logging.Clean(m.Name, 64)
		if m.Self {
			name += " (asked)"
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%s\t%s\t%s\n", name, t.paint(m.State), logging.Clean(m.Address, 256), orDash(&m.Version), m.Shards,
			span(&m.Joined), span(&m.Heartbeat), span(&m.Lease))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, _ = fmt.Fprintf(t.out, "\n%s\n", selfLine(c.Self))
	return printShards(t, t.out, c.Shards, all)
}

// selfLine says in a sentence what the member that was asked thinks of itself.
func selfLine(self *client.ClusterSelf) string {
	line := logging.Clean(self.Name, 64) + ": " + self.State
	if self.Valid {
		line += ", its leases are valid for " + span(&self.ValidFor)
	} else {
		line += ", its leases are not valid: it works nothing"
	}
	if self.Answered != nil {
		line += ", the store answered " + span(self.Answered) + " ago"
	}
	if self.Trouble != nil {
		line += "; it takes no deliveries: " + logging.Clean(*self.Trouble, 256)
	}
	return line
}

// printShards prints how many shards stand where, and a line for each that is worth one.
func printShards(t *terminal, out io.Writer, shards []client.ClusterShard, all bool) error {
	counts, moving := map[string]int{}, 0
	var shown []client.ClusterShard
	for _, s := range shards {
		counts[s.State]++
		if s.Moving {
			moving++
		}
		if all || s.Moving || s.State != "owned" {
			shown = append(shown, s)
		}
	}
	line := fmt.Sprintf("%d shards: ", len(shards))
	for _, state := range []string{"owned", "unowned", "draining", "stopping", "stuck"} {
		if counts[state] > 0 || state == "owned" {
			line += fmt.Sprintf("%d %s, ", counts[state], state)
		}
	}
	_, err := fmt.Fprintf(out, "%s%d moving\n", line, moving)
	if len(shown) == 0 || err != nil {
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(w, "\nSHARD\t%s\tGENERATION\tOWNER\tFOR\tLEASE LEFT\tMOVES TO\n", t.head("STATE"))
	for _, s := range shown {
		to := "-"
		if s.Moving || s.Owner == nil {
			to = orDash(s.Target)
		}
		_, _ = fmt.Fprintf(w, "%d\t%s\t%d\t%s\t%s\t%s\t%s\n", s.Shard, t.paint(s.State), s.Generation, orDash(s.Owner), span(s.Held), span(s.Lease), to)
	}
	return w.Flush()
}

// span is a number of seconds for people, a dash for none.
func span(seconds *float64) string {
	if seconds == nil {
		return "-"
	}
	d := time.Duration(*seconds * float64(time.Second))
	switch {
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	case d < time.Hour:
		return d.Round(time.Second).String()
	default:
		return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
	}
}
