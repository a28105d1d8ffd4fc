package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/hooktroupe/hooktroupe/client"
	"github.com/hooktroupe/hooktroupe/config"
	"github.com/hooktroupe/hooktroupe/internal/logging"
)

// server is which daemon a command asks, and how it shows the answer.
type server struct {
	url, tokenFile, output    string
	caFile, certFile, keyFile string
}

func (s *server) add(c *cobra.Command, t *terminal) {
	c.Flags().StringVar(&s.url, "url", defaultURL(t.environ), "where the status API is")
	c.Flags().StringVar(&s.tokenFile, "token-file", "", "file of the bearer token (default: HOOKTROUPE_TOKEN)")
	c.Flags().StringVar(&s.caFile, "ca-file", "", "file of the authorities to trust, for https (default: the system's)")
	c.Flags().StringVar(&s.certFile, "cert-file", "", "file of a certificate to show instead of a token; goes with --key-file")
	c.Flags().StringVar(&s.keyFile, "key-file", "", "file of its key")
	c.Flags().StringVarP(&s.output, "output", "o", "table", "table or json")
}

func (s *server) client(t *terminal) (*client.Client, error) {
	if s.output != "table" && s.output != "json" {
		return nil, &usageError{fmt.Errorf("--output: %q is neither table nor json", s.output)}
	}
	options, err := s.tls()
	if err != nil {
		return nil, err
	}
	if s.tokenFile != "" {
		token, _, err := config.Resolve("file:"+s.tokenFile, t.environ)
		return client.New(s.url, token, options...), err
	}
	token, _, err := config.Resolve("env:HOOKTROUPE_TOKEN", t.environ)
	if err != nil {
		token = "" // a daemon on loopback needs none
	}
	return client.New(s.url, token, options...), nil
}

// tls reads the files of certificates, where there are any.
func (s *server) tls() ([]client.Option, error) {
	if s.caFile == "" && s.certFile == "" && s.keyFile == "" {
		return nil, nil
	}
	secure := &tls.Config{MinVersion: tls.VersionTLS12}
	if s.caFile != "" {
		text, err := os.ReadFile(s.caFile)
		if err != nil {
			return nil, err
		}
		secure.RootCAs = x509.NewCertPool()
		if !secure.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("--ca-file: %s holds no certificate in PEM", s.caFile)
		}
	}
	if (s.certFile == "") != (s.keyFile == "") {
		return nil, &usageError{errors.New("--cert-file and --key-file: set both or neither")}
	}
	if s.certFile != "" {
		pair, err := tls.LoadX509KeyPair(s.certFile, s.keyFile)
		if err != nil {
			return nil, fmt.Errorf("--cert-file, --key-file: %w", err)
		}
		secure.Certificates = []tls.Certificate{pair}
	}
	return []client.Option{client.WithTLS(secure)}, nil
}

// show prints one task.
func (s *server) show(t *terminal, task *client.Task) error {
	if s.output == "json" {
		return printJSON(t, task)
	}
	w := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
	row := func(name, value string) { _, _ = fmt.Fprintf(w, "%s\t%s\n", name, value) }
	row("task", task.WebhookID)
	row("status", describe(task))
	row("source", task.Source)
	row("event", logging.Clean(task.EventType, 256))
	row("delivery", logging.Clean(task.DeliveryID, 256))
	if task.Route != "" {
		row("route", task.Route)
	}
	if task.Key != "" {
		row("key", logging.Clean(task.Key, 256))
	}
	row("created", clockTime(task.CreatedAt))
	row("updated", clockTime(task.UpdatedAt))
	if task.DueAt != nil {
		row("due", clockTime(*task.DueAt))
	}
	for _, p := range task.Parts {
		row("part "+p.WebhookID, p.Status+" "+logging.Clean(p.Route, 128))
	}
	for _, a := range task.AttemptLog {
		line := clockTime(a.StartedAt)
		if a.Outcome != nil {
			line += " " + *a.Outcome
		}
		if a.Error != nil {
			line += ": " + logging.Clean(*a.Error, 256)
		}
		row("attempt "+strconv.Itoa(a.Number), line)
	}
	return w.Flush()
}

func clockTime(seconds float64) string {
	return time.UnixMilli(int64(seconds * 1000)).UTC().Format("2006-01-02 15:04:05.000Z")
}

func printJSON(t *terminal, value any) error {
	encoder := json.NewEncoder(t.out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}

func newStatus(t *terminal) *cobra.Command {
	var s server
	c := &cobra.Command{
		Use:   "status ID",
		Short: "Show one task",
		Args:  exactly(1, "the ID of a task"),
		RunE: func(c *cobra.Command, args []string) error {
			api, err := s.client(t)
			if err != nil {
				return err
			}
			task, err := api.Get(c.Context(), args[0])
			if err != nil {
				return err
			}
			return s.show(t, task)
		},
	}
	s.add(c, t)
	return c
}

func newTasks(t *terminal) *cobra.Command {
	c := &cobra.Command{
		Use:   "tasks",
		Short: "List or follow tasks; show, export, cancel, retry or move one",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return &usageError{errors.New("tasks needs list, tail, show, export, cancel, retry or move (see hooktroupe tasks --help)")}
		},
	}
	show := newStatus(t)
	show.Use = "show ID"
	c.AddCommand(newTasksList(t), newTasksTail(t), show, newTasksExport(t), newTasksCancel(t), newTasksRetry(t), newTasksMove(t))
	return c
}

func newTasksList(t *terminal) *cobra.Command {
	var s server
	var q client.TaskQuery
	var from, until string
	c := &cobra.Command{
		Use:   "list",
		Short: "List tasks, the newest first",
		Args:  exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := errors.Join(parseTime(from, &q.From), parseTime(until, &q.Until)); err != nil {
				return err
			}
			api, err := s.client(t)
			if err != nil {
				return err
			}
			page, err := api.Tasks(c.Context(), q)
			if err != nil {
				return err
			}
			if s.output == "json" {
				return printJSON(t, page)
			}
			return printTable(t, page)
		},
	}
	s.add(c, t)
	addSelection(c, &q.Selection)
	f := c.Flags()
	f.StringSliceVar(&q.Statuses, "status", nil, "only these: queued, processing, completed, failed, retrying, cancelled, superseded")
	f.BoolVar(&q.DeadLetters, "dead-letters", false, "only those that failed")
	f.StringVar(&q.Handler, "handler", "", "only those that this handler works")
	f.StringVar(&q.Text, "text", "", "only those in whose ID, source, event, key, route or error this text occurs, whatever its case")
	f.StringVar(&q.Error, "error", "", "only those in whose error this text occurs")
	f.StringVar(&from, "from", "", "only those accepted then or later (RFC 3339)")
	f.StringVar(&until, "until", "", "only those accepted before then (RFC 3339)")
	f.DurationVar(&q.MinAge, "min-age", 0, "only those accepted so long ago, at least")
	f.DurationVar(&q.MaxAge, "max-age", 0, "only those accepted so long ago, at most")
	f.StringVar(&q.After, "after", "", "continue after this task")
	f.IntVar(&q.Limit, "limit", 20, "how many, up to 1000")
	return c
}

// parseTime reads the time of a flag; an empty text leaves it alone.
func parseTime(text string, target *time.Time) (err error) {
	if text == "" {
		return nil
	}
	if *target, err = time.Parse(time.RFC3339, text); err != nil {
		return &usageError{fmt.Errorf("%q is not a time such as 2026-01-31T12:00:00Z", text)}
	}
	return nil
}

func printTable(t *terminal, page *client.TaskPage) error {
	w := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(w, "ID\t%s\tSOURCE\tEVENT\tATTEMPTS\tCREATED\n", t.head("STATUS"))
	for i := range page.Tasks {
		task := &page.Tasks[i]
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%s\n", task.ID, t.paint(task.Status), task.Source,
			logging.Clean(task.Event, 64), task.Attempts, stamp(task.CreatedAt))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if page.Next != nil {
		_, _ = fmt.Fprintf(t.err, "there are more: --after %s\n", *page.Next)
	}
	return nil
}

func newTasksCancel(t *terminal) *cobra.Command {
	var s server
	var reason string
	c := &cobra.Command{
		Use:   "cancel ID",
		Short: "End a task that is not final; a running attempt is stopped",
		Args:  exactly(1, "the ID of a task"),
		RunE: func(c *cobra.Command, args []string) error {
			api, err := s.client(t)
			if err != nil {
				return err
			}
			task, err := api.Cancel(c.Context(), args[0], reason)
			if err != nil {
				return err
			}
			return s.show(t, task)
		},
	}
	s.add(c, t)
	c.Flags().StringVar(&reason, "reason", "", "kept with the task")
	return c
}

func newTasksRetry(t *terminal) *cobra.Command {
	var s server
	c := &cobra.Command{
		Use:   "retry ID",
		Short: "Run a final task again, or a retrying one at once",
		Args:  exactly(1, "the ID of a task"),
		RunE: func(c *cobra.Command, args []string) error {
			api, err := s.client(t)
			if err != nil {
				return err
			}
			task, err := api.Retry(c.Context(), args[0])
			if err != nil {
				return err
			}
			return s.show(t, task)
		},
	}
	s.add(c, t)
	return c
}
