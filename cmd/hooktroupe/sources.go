package main

import (
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/hooktroupe/hooktroupe/client"
	"github.com/hooktroupe/hooktroupe/source/sources"
)

func newSources(t *terminal) *cobra.Command {
	output := "table"
	c := &cobra.Command{
		Use:   "sources [TYPE]",
		Short: "List the types of sources with what each needs, or show one",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if output != "table" && output != "json" {
				return &usageError{fmt.Errorf("--output: %q is neither table nor json", output)}
			}
			guides := sources.Guides()
			if len(args) == 1 {
				guide, known := guides[args[0]]
				if !known {
					return &usageError{fmt.Errorf("%q is none of %s", args[0], strings.Join(sources.Types(), ", "))}
				}
				return printGuide(t, args[0], guide, output)
			}
			if output == "json" {
				return printJSON(t, guides)
			}
			w := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
			_, _ = fmt.Fprintln(w, "TYPE\tSENDER\tSECRET")
			for _, name := range sources.Types() {
				_, _ = fmt.Fprintf(w, "%s\t%s\t%s\n", name, guides[name].Sender, guides[name].Needs)
			}
			return w.Flush()
		},
	}
	c.Flags().StringVarP(&output, "output", "o", "table", "table or json")
	c.AddCommand(newSourcesStatus(t))
	return c
}

func printGuide(t *terminal, name string, g sources.Guide, output string) error {
	if output == "json" {
		return printJSON(t, g)
	}
	w := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
	for _, row := range [][2]string{
		{"type", name}, {"sender", g.Sender}, {"secret", g.Needs}, {"at the sender", g.Setting}, {"verified by", g.Verifies},
		{"event type", g.Event}, {"delivery ID", g.DeliveryID}, {"ordering key", g.Key}, {"page", "docs/sources/" + name + ".md"},
	} {
		_, _ = fmt.Fprintf(w, "%s\t%s\n", row[0], row[1])
	}
	return w.Flush()
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
