package main

import (
	"fmt"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/hooktroupe/hooktroupe/client"
	"github.com/hooktroupe/hooktroupe/source/sources"
)

func newSources(t *terminal) *cobra.Command {
	c := &cobra.Command{
		Use:   "sources",
		Short: "List the types of sources",
		Args:  exactly(0, "no arguments"),
		RunE: func(*cobra.Command, []string) error {
			for _, name := range sources.Types() {
				if _, err := fmt.Fprintln(t.out, name); err != nil {
					return err
				}
			}
			return nil
		},
	}
	c.AddCommand(newSourcesStatus(t))
	return c
}

func newSourcesStatus(t *terminal) *cobra.Command {
	var s server
	c := &cobra.Command{
		Use:   "status",
		Short: "Show how near the sender of each configured source is to giving up",
		Args:  exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			api, err := s.client(t)
			if err != nil {
				return err
			}
			list, err := api.Sources(c.Context())
			if err != nil {
				return err
			}
			if s.output == "json" {
				return printJSON(t, list)
			}
			return printSources(t, list)
		},
	}
	s.add(c, t)
	return c
}

// printSources prints a line for each source. What is not known is a dash.
func printSources(t *terminal, list []client.Source) error {
	w := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "SOURCE\tTYPE\tSTATE\tFAILURES\tLIMIT\tSLOW\tREFUSED\tLAST ACCEPTED")
	for _, s := range list {
		limit, last := "-", "-"
		if s.Limit != nil {
			limit = strconv.Itoa(*s.Limit)
		}
		if s.LastAcceptedAt != nil {
			last = s.LastAcceptedAt.UTC().Format(time.RFC3339)
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%d\t%d\t%s\n",
			s.Name, s.Type, s.State, s.ConsecutiveFailures, limit, s.SlowAcks, s.Refused, last)
	}
	return w.Flush()
}
