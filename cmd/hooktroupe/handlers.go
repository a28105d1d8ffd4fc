package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/hooktroupe/hooktroupe/client"
	"github.com/hooktroupe/hooktroupe/internal/logging"
)

// newRoutes lists the routes of a daemon; where one delivery would go says newRoute.
func newRoutes(t *terminal) *cobra.Command {
	var s server
	c := &cobra.Command{
		Use:   "routes",
		Short: "List the routes of a daemon, and what holds them up",
		Long:  "List the routes of a daemon in their order, with what waits and runs on each, and what holds it up.\nWhere one delivery would go, and why, says hooktroupe route.",
		Args:  exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			api, err := s.client(t)
			if err != nil {
				return err
			}
			routes, err := api.Routes(c.Context())
			if err != nil {
				return err
			}
			if s.output == "json" {
				return printJSON(t, routes)
			}
			w := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
			_, _ = fmt.Fprintln(w, "ROUTE\tSOURCE\tEVENTS\tPOLICY\tHANDLERS\tWAITING\tRUNNING\tHELD UP BY")
			for _, r := range routes {
				_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\t%d\t%s\n", r.Name, r.Source, strings.Join(r.Events, ","), r.Policy,
					strings.Join(r.Handlers, ","), r.Waiting, r.Running, orDash(r.Blocked))
			}
			return w.Flush()
		},
	}
	s.add(c, t)
	return c
}

func newHandlers(t *terminal) *cobra.Command {
	var s server
	c := &cobra.Command{
		Use:   "handlers",
		Short: "List the handlers of a daemon, their breakers, and what holds them up",
		Args:  exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			api, err := s.client(t)
			if err != nil {
				return err
			}
			handlers, err := api.Handlers(c.Context())
			if err != nil {
				return err
			}
			if s.output == "json" {
				return printJSON(t, handlers)
			}
			return printHandlers(t, t.out, handlers)
		},
	}
	s.add(c, t)
	return c
}

// printHandlers prints a line for each handler, and one for each process of a remote one.
func printHandlers(t *terminal, out io.Writer, handlers []client.Handler) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(w, "HANDLER\tTYPE\tLEADS TO\tWAITING\tRUNNING\tAT ONCE\tPER SECOND\t%s\tHELD UP BECAUSE\n", t.head("BREAKER"))
	for _, h := range handlers {
		atOnce, rate := "-", "-"
		if h.Concurrency > 0 {
			atOnce = strconv.Itoa(h.Concurrency)
		}
		if h.Rate > 0 {
			rate = strconv.FormatFloat(h.Rate, 'g', -1, 64)
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%s\t%s\t%s\t%s\n", h.Name, h.Type, orDash(&h.Target), h.Waiting, h.Running, atOnce, rate,
			t.paint(orDash(h.Breaker)), orDash(h.Blocked))
		for _, m := range h.Members {
			_, _ = fmt.Fprintf(w, "  %s\tmember\t\t\t%d\t%d\t\t%s\t%s\n", logging.Clean(m.Address, 64), m.Running, m.Credits, t.paint(""), logging.Clean(m.Identity, 64))
		}
	}
	return w.Flush()
}

// orDash is a text that may be missing.
func orDash(s *string) string {
	if s == nil || *s == "" {
		return "-"
	}
	return logging.Clean(*s, 128)
}
