package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hooktroupe/hooktroupe/client"
)

// errNoDelivery is why headers and body cannot be shown.
var errNoDelivery = errors.New("the daemon does not show the delivery: the token needs the scope operate")

func newTasksExport(t *terminal) *cobra.Command {
	var s server
	var as, to string
	c := &cobra.Command{
		Use:   "export ID",
		Short: "Print the delivery of a task, as a command of curl that sends it again or as JSON",
		Args:  exactly(1, "the ID of a task"),
		RunE: func(c *cobra.Command, args []string) error {
			if as != "curl" && as != "json" {
				return &usageError{fmt.Errorf("--as: %q is neither curl nor json", as)}
			}
			api, err := s.client(t)
			if err != nil {
				return err
			}
			task, err := api.Task(c.Context(), args[0])
			switch {
			case err != nil:
				return err
			case task.Delivery == nil:
				return errNoDelivery
			case as == "json":
				return printJSON(t, task)
			}
			if to == "" {
				to = strings.TrimSuffix(s.url, "/") + "/webhooks/" + task.Source
			}
			_, err = fmt.Fprintln(t.out, curl(to, task.Delivery))
			return err
		},
	}
	s.add(c, t)
	c.Flags().StringVar(&as, "as", "curl", "curl or json")
	c.Flags().StringVar(&to, "to", "", "where the command of curl sends it (default: the source's path of the daemon)")
	return c
}

// curl is a command for a POSIX shell that posts a delivery byte for byte. A body that no command line can hold comes
// from base64.
func curl(to string, d *client.Delivery) string {
	var command strings.Builder
	body := string(d.Body())
	binary := d.Text == nil || strings.ContainsRune(body, 0)
	if binary {
		command.WriteString("printf %s " + quote(base64.StdEncoding.EncodeToString(d.Body())) + " | base64 -d | ")
	}
	command.WriteString("curl -X POST " + quote(to))
	typed := false
	for _, h := range d.Headers {
		if ofConnection(h.Name) {
			continue
		}
		typed = typed || strings.EqualFold(h.Name, "Content-Type")
		if h.Value == "" {
			command.WriteString(" \\\n  -H " + quote(h.Name+";")) // curl's way of sending an empty one
			continue
		}
		command.WriteString(" \\\n  -H " + quote(h.Name+": "+h.Value))
	}
	if !typed {
		command.WriteString(" \\\n  -H 'Content-Type:'") // curl would make one up
	}
	if binary {
		command.WriteString(" \\\n  --data-binary @-")
	} else {
		command.WriteString(" \\\n  --data-raw " + quote(body))
	}
	return command.String()
}

// quote makes one word of a POSIX shell of any text without NUL.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// ofConnection says whether a header field is about the connection that a delivery came by, and not about it.
func ofConnection(name string) bool {
	switch strings.ToLower(name) {
	case "host", "connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "expect",
		"content-length", "accept-encoding":
		return true
	default:
		return false
	}
}
