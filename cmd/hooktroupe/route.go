package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/hooktroupe/hooktroupe/daemon"
	"github.com/hooktroupe/hooktroupe/internal/logging"
	"github.com/hooktroupe/hooktroupe/route"
	"github.com/hooktroupe/hooktroupe/source"
)

// explaining is one call of route.
type explaining struct {
	source, event, key, file, headers, output string
}

// maxInputBytes bounds what is read from a file of a delivery.
const maxInputBytes = 64 << 20

func newRoute(t *terminal) *cobra.Command {
	var e explaining
	c := &cobra.Command{
		Use:   "route --source NAME --file BODY",
		Short: "Say which routes a delivery would take, and why",
		Long: "Say which routes of the configuration a delivery would take, and why, without sending it. Event type and\n" +
			"ordering key are those of --event and --key, else what the source makes of --headers and the body; nothing\n" +
			"is verified.",
		Args: exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error { return e.run(c, t) },
	}
	f := c.Flags()
	f.StringVar(&e.source, "source", "", "configured name of the source")
	f.StringVar(&e.event, "event", "", "event type, such as pull_request.opened")
	f.StringVar(&e.key, "key", "", "ordering key (default: the source's)")
	f.StringVar(&e.file, "file", "", "file of the body; - for standard input")
	f.StringVar(&e.headers, "headers", "", "file of the headers, one NAME: VALUE a line")
	f.StringVarP(&e.output, "output", "o", "table", "table or json")
	addKeyFlags(f)
	return c
}

func (e *explaining) run(c *cobra.Command, t *terminal) error {
	if e.source == "" || e.file == "" {
		return &usageError{errors.New("route needs --source and --file")}
	}
	if e.output != "table" && e.output != "json" {
		return &usageError{fmt.Errorf("--output: %q is neither table nor json", e.output)}
	}
	cfg, err := loadAndWarn(c, t)
	if err != nil {
		return err
	}
	table, err := daemon.Routes(cfg)
	if err != nil {
		return err
	}
	built, err := daemon.Source(cfg, e.source)
	if err != nil {
		return &usageError{err}
	}
	d, err := e.delivery(built)
	if err != nil {
		return err
	}
	steps := table.Explain(d)
	if e.output == "json" {
		return printJSON(t, steps)
	}
	return printSteps(t, d, steps)
}

// delivery reads the files, and asks the source for what no flag says.
func (e *explaining) delivery(built source.Source) (*route.Delivery, error) {
	body, err := readInput(e.file)
	if err != nil {
		return nil, err
	}
	var header source.Header
	if e.headers != "" {
		head, err := readHead(e.headers)
		if err != nil {
			return nil, err
		}
		header = head.header
	}
	d := &route.Delivery{Source: e.source, EventType: e.event, Key: e.key, Body: body, ReceivedAt: time.Now()}
	for _, h := range header {
		d.Headers = append(d.Headers, route.Header{Name: h.Name, Value: h.Value})
	}
	if d.EventType != "" && d.Key != "" {
		return d, nil
	}
	parsed, err := built.Parse(&source.Request{
		Method: http.MethodPost, Header: header, Body: body, ReceivedAt: d.ReceivedAt,
	})
	if err != nil && d.EventType == "" {
		return nil, fmt.Errorf("the source cannot tell the event type: %w (use --event, or --headers)", err)
	}
	if d.EventType == "" {
		d.EventType = parsed.EventType
	}
	if d.Key == "" {
		d.Key = parsed.Key
	}
	d.DeliveryID = parsed.DeliveryID
	return d, nil
}

// readInput reads a file, or standard input.
func readInput(name string) ([]byte, error) {
	file := os.Stdin
	if name != "-" {
		opened, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer func() { _ = opened.Close() }()
		file = opened
	}
	content, err := io.ReadAll(io.LimitReader(file, maxInputBytes+1))
	if err == nil && len(content) > maxInputBytes {
		err = fmt.Errorf("%s: more than %d bytes", name, maxInputBytes)
	}
	return content, err
}

func printSteps(t *terminal, d *route.Delivery, steps []route.Step) error {
	_, _ = fmt.Fprintf(t.out, "source %s, event %s, key %s\n\n", d.Source, logging.Clean(d.EventType, 128), logging.Clean(d.Key, 128))
	w := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
	matched := false
	for _, s := range steps {
		mark, to := "-", ""
		if s.Matches {
			matched = true
			mark, to = "+", fmt.Sprintf("to %s under key %q", strings.Join(s.Handlers, " and "), logging.Clean(s.Key, 128))
		}
		_, _ = fmt.Fprintf(w, "%s %s\t%s\t%s\n", mark, s.Route, logging.Clean(s.Why, 256), to)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if !matched {
		_, _ = fmt.Fprintln(t.out, "no route matches: it would be answered with 200 and ignored")
	}
	return nil
}
