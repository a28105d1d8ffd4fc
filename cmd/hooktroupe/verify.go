package main

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/hooktroupe/hooktroupe/config"
	"github.com/hooktroupe/hooktroupe/daemon"
	"github.com/hooktroupe/hooktroupe/http/problem"
	"github.com/hooktroupe/hooktroupe/internal/logging"
	"github.com/hooktroupe/hooktroupe/source"
)

// verifying is one call of verify.
type verifying struct{ source, headers, body, at, query, output string }

// verdict is what verify says. It holds nothing of a secret.
type verdict struct {
	Source     string `json:"source"`
	Type       string `json:"type"`
	Accepted   bool   `json:"accepted"`
	Reason     string `json:"reason"`
	Detail     string `json:"detail"`
	Secret     int    `json:"secret,omitempty"` // the position of the one that matched, from 1
	Secrets    int    `json:"secrets"`
	Event      string `json:"event,omitempty"`
	DeliveryID string `json:"delivery_id,omitempty"`
	Key        string `json:"key,omitempty"`
	Answer     string `json:"answer,omitempty"`
}

func newVerify(t *terminal) *cobra.Command {
	var v verifying
	c := &cobra.Command{
		Use:   "verify --source NAME --headers FILE --body FILE",
		Short: "Say why a captured delivery is accepted, or why not",
		Long: "Say why a captured delivery is accepted by a configured source, or why not: which secret matched, what was\n" +
			"missing, how old a signed time stamp is. No secret and no expected signature is ever printed.\n\n" +
			"Exit code 0 means accepted, 5 refused.",
		Args: exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error { return v.run(c, t) },
	}
	f := c.Flags()
	f.StringVar(&v.source, "source", "", "configured name of the source")
	f.StringVar(&v.headers, "headers", "", "file of the headers, one NAME: VALUE a line, after a request line or not")
	f.StringVar(&v.body, "body", "", "file of the body, byte for byte")
	f.StringVar(&v.query, "query", "", "query string of the request, where the sender has a token there")
	f.StringVar(&v.at, "at", "", "judge as of this time (RFC 3339; default: now)")
	f.StringVarP(&v.output, "output", "o", "table", "table or json")
	addKeyFlags(f)
	return c
}

func (v *verifying) run(c *cobra.Command, t *terminal) error {
	if v.source == "" || v.headers == "" || v.body == "" {
		return &usageError{errors.New("verify needs --source, --headers and --body")}
	}
	if v.output != "table" && v.output != "json" {
		return &usageError{fmt.Errorf("--output: %q is neither table nor json", v.output)}
	}
	now := time.Now()
	if v.at != "" {
		at, err := time.Parse(time.RFC3339, v.at)
		if err != nil {
			return &usageError{fmt.Errorf("--at: %q is not a time such as 2026-01-31T12:00:00Z", v.at)}
		}
		now = at
	}
	cfg, err := loadAndWarn(c, t)
	if err != nil {
		return err
	}
	request, err := v.request(now)
	if err != nil {
		return err
	}
	result, err := judgeRequest(cfg, v.source, request, now)
	if err != nil {
		return err
	}
	if v.output == "json" {
		err = printJSON(t, result)
	} else {
		err = printVerdict(t, result)
	}
	if err == nil && !result.Accepted {
		err = codeError(exitRefused)
	}
	return err
}

func (v *verifying) request(now time.Time) (*source.Request, error) {
	head, err := readHead(v.headers)
	if err != nil {
		return nil, err
	}
	if v.query != "" {
		head.query = v.query
	}
	body, err := readInput(v.body)
	return &source.Request{Method: head.method, Query: head.query, Header: head.header, Body: body, ReceivedAt: now}, err
}

// judgeRequest verifies and parses as the ingress does.
func judgeRequest(cfg *config.Config, name string, request *source.Request, now time.Time) (*verdict, error) {
	built, err := daemon.Source(cfg, name)
	if err != nil {
		return nil, &usageError{err}
	}
	configured := cfg.Sources[name]
	result := &verdict{Source: name, Type: configured.Type, Secrets: len(configured.Resolved)}
	if greeter, greets := built.(source.Greeter); greets {
		if answer, ok := greeter.Greet(request); ok {
			result.Accepted, result.Reason = true, "handshake"
			result.Detail = "a connection test or handshake that this sender does not sign; it makes no task"
			result.Answer = fmt.Sprint(answer.Status)
			return result, nil
		}
	}
	if request.Method != http.MethodPost {
		result.Reason, result.Detail = problem.MethodNotAllowed.Reason(), "deliveries are sent by POST"
		return result, nil
	}
	if err := built.Verify(request, now); err != nil {
		var refusal *source.Refusal
		if !errors.As(err, &refusal) {
			return nil, err
		}
		result.Reason, result.Detail = string(refusal.Reason), refusal.Detail
		return result, nil
	}
	result.Accepted, result.Reason = true, "authentic"
	result.Detail = "one of the secrets vouches for it"
	if configured.Insecure {
		result.Detail = "the source is insecure: everything is accepted unverified"
	}
	result.Secret = matching(cfg, name, request, now)
	d, err := built.Parse(request)
	var malformed *source.Malformed
	switch {
	case errors.As(err, &malformed):
		result.Accepted, result.Reason, result.Detail = false, "malformed_delivery", malformed.Detail
	case err != nil:
		return nil, err
	case d.Answer != nil:
		result.Answer = fmt.Sprint(d.Answer.Status)
	}
	result.Event, result.DeliveryID, result.Key = d.EventType, d.DeliveryID, d.Key
	return result, nil
}

// matching is the position of the secret that vouches for a request, from 1; zero where none does alone. The others stay
// where they are, out of date: a source may judge by what kinds of secrets it has.
func matching(cfg *config.Config, name string, request *source.Request, now time.Time) int {
	all := cfg.Sources[name]
	for i := range all.Resolved {
		alone := *cfg
		s := all
		s.Resolved = slices.Clone(all.Resolved)
		for j := range s.Resolved {
			if j != i {
				s.Resolved[j].NotBefore, s.Resolved[j].NotAfter = time.Time{}, time.Unix(0, 0)
			}
		}
		alone.Sources = map[string]config.Source{name: s}
		built, err := daemon.Source(&alone, name)
		if err == nil && built.Verify(request, now) == nil {
			return i + 1
		}
	}
	return 0
}

func printVerdict(t *terminal, v *verdict) error {
	word := "refused"
	if v.Accepted {
		word = "accepted"
	}
	w := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
	row := func(name, value string) {
		if value != "" {
			_, _ = fmt.Fprintf(w, "%s\t%s\n", name, logging.Clean(value, 512))
		}
	}
	row(word, v.Reason)
	row("why", v.Detail)
	row("source", v.Source+", type "+v.Type)
	if v.Secret > 0 {
		row("secret", fmt.Sprintf("number %d of %d", v.Secret, v.Secrets))
	} else if v.Secrets > 0 {
		row("secrets", fmt.Sprintf("%d tried", v.Secrets))
	}
	row("event", v.Event)
	row("delivery", v.DeliveryID)
	row("key", v.Key)
	if v.Answer != "" {
		row("answer", v.Answer+" at once; no task is made")
	}
	return w.Flush()
}
