package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/hooktroupe/hooktroupe/client"
	"github.com/hooktroupe/hooktroupe/config"
	"github.com/hooktroupe/hooktroupe/daemon"
	"github.com/hooktroupe/hooktroupe/source"
	"github.com/hooktroupe/hooktroupe/source/sources"
)

// sending is one call of send.
type sending struct {
	kind, name, event, file, url   string
	secret, username, secretHeader string
	generic                        source.Generic
	wait                           bool
	timeout                        time.Duration
	count                          int
	headers                        []string
}

func newSend(t *terminal) *cobra.Command {
	var s sending
	c := &cobra.Command{
		Use:   "send --source TYPE | --config FILE --name NAME",
		Short: "Send a signed delivery, as the forge would",
		Long: "Send a built-in sample, or a body of your own, to a running daemon, signed as the sender signs.\n\n" +
			"With --config, type, secret and settings are those of the source NAME of that configuration. Otherwise the\n" +
			"secret comes from --secret (env:NAME or file:/path), else from HOOKTROUPE_SECRET, else from the demo that\n" +
			"serve runs in this folder.",
		Example: "  hooktroupe send --source github --event pull_request --secret env:GITHUB_WEBHOOK_SECRET --wait\n" +
			"  hooktroupe send --config hooktroupe.yaml --name partner",
		Args: exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error { return s.run(c, t) },
	}
	f := c.Flags()
	f.StringVar(&s.kind, "source", "", "type of the source: "+strings.Join(sources.Types(), ", "))
	f.StringVar(&s.name, "name", "", "configured name of the source (default: its type)")
	f.String("config", "", "configuration file that has the source NAME")
	f.StringVar(&s.event, "event", "", "event of the sample (default: the usual one)")
	f.StringVar(&s.file, "file", "", "body to send in place of the sample's")
	f.StringVar(&s.url, "url", defaultURL(t.environ), "where the daemon listens")
	f.StringVar(&s.secret, "secret", "", "reference to the secret: env:NAME or file:/path")
	f.StringVar(&s.username, "username", "", "user of basic authentication")
	f.StringArrayVar(&s.headers, "header", nil, "header to add or replace, as NAME: VALUE; may be repeated")
	f.StringVar(&s.secretHeader, "secret-header", "", "type azure_devops: header of the secret, in place of basic authentication")
	f.StringVar(&s.generic.Scheme, "generic-scheme", "hmac", "type generic: hmac, token, basic or bearer")
	f.StringVar(&s.generic.Header, "generic-header", defaultGenericHeader, "type generic: header of the signature or token")
	f.StringVar(&s.generic.Prefix, "generic-prefix", "", "type generic: text before the signature")
	f.StringVar(&s.generic.Algorithm, "generic-algorithm", "", "type generic: sha256 (default), sha1, sha384 or sha512")
	f.StringVar(&s.generic.Encoding, "generic-encoding", "", "type generic: hex (default) or base64")
	f.BoolVar(&s.wait, "wait", false, "wait until the task is final, and print every change")
	f.DurationVar(&s.timeout, "timeout", time.Minute, "how long to wait")
	f.IntVar(&s.count, "count", 1, "how many deliveries to send, 1 to 100000")
	return c
}

// defaultGenericHeader is where a generic source has its signature or token unless it is told.
const defaultGenericHeader = "X-Signature"

// defaultURL is where clients look for the daemon unless they are told.
func defaultURL(environ []string) string {
	for _, line := range environ {
		if url, found := strings.CutPrefix(line, "HOOKTROUPE_SERVER="); found {
			return url
		}
	}
	return "http://" + config.Default().HTTP.Listen
}

func (s *sending) run(command *cobra.Command, t *terminal) error {
	if s.count < 1 || s.count > 100_000 {
		return &usageError{fmt.Errorf("--count: %d is not within 1 and 100000", s.count)}
	}
	built, err := s.source(command.Flags(), t)
	if err != nil {
		return err
	}
	ctx, c := command.Context(), client.New(s.url, "")
	ids := make(map[string]bool)
	for range s.count {
		id, err := s.deliver(ctx, t, c, built)
		if err != nil {
			return err
		}
		if id != "" {
			ids[id] = true
		}
	}
	if !s.wait {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	for id := range ids {
		if err := watch(ctx, t, c, id); err != nil {
			return err
		}
	}
	return nil
}

// source builds the source whose sender is to be played.
func (s *sending) source(flags *pflag.FlagSet, t *terminal) (source.Source, error) {
	if file, _ := flags.GetString("config"); file != "" {
		return s.configured(file, flags, t.environ)
	}
	construct, known := sources.All()[s.kind]
	if !known {
		return nil, &usageError{fmt.Errorf("--source: %q is none of %s", s.kind, strings.Join(sources.Types(), ", "))}
	}
	if s.name == "" {
		s.name = s.kind
	}
	secret, err := s.findSecret(t.environ)
	if err != nil {
		return nil, err
	}
	c := source.Config{
		Name: s.name, Type: s.kind, Username: s.username, Header: s.secretHeader,
		Secrets: []source.Secret{{Value: []byte(secret)}},
	}
	if s.kind == "generic" {
		c.Generic = s.form()
	}
	if s.kind == "azure_devops" && c.Username == "" && c.Header == "" {
		c.Username = "hooktroupe"
	}
	built, err := construct(c)
	if err != nil {
		return nil, &usageError{err}
	}
	return built, nil
}

// form is what the flags say of a generic source. Basic and bearer have a header of their own, so that the default is not
// for them.
func (s *sending) form() *source.Generic {
	form := s.generic
	if (form.Scheme == "basic" || form.Scheme == "bearer") && form.Header == defaultGenericHeader {
		form.Header = ""
	}
	return &form
}

// configured builds a source as the daemon does. What else flags may say of one would contradict its configuration.
func (s *sending) configured(file string, flags *pflag.FlagSet, environ []string) (source.Source, error) {
	if s.name == "" {
		s.name = s.kind
	}
	for _, flag := range []string{
		"secret", "username", "secret-header", "generic-scheme", "generic-header", "generic-prefix", "generic-algorithm",
		"generic-encoding",
	} {
		if flags.Changed(flag) {
			return nil, &usageError{fmt.Errorf("--%s goes with no --config, which says that already", flag)}
		}
	}
	cfg, _, err := config.Load(config.Options{File: file, Environ: environ})
	if err != nil {
		return nil, err
	}
	if kind := cfg.Sources[s.name].Type; s.kind != "" && kind != "" && s.kind != kind {
		return nil, &usageError{fmt.Errorf("--source: the source %s has the type %s", s.name, kind)}
	}
	s.kind = cfg.Sources[s.name].Type
	built, err := daemon.Source(cfg, s.name)
	if err != nil {
		return nil, &usageError{err}
	}
	return built, nil
}

func (s *sending) findSecret(environ []string) (string, error) {
	reference := s.secret
	if reference == "" {
		reference = "env:HOOKTROUPE_SECRET"
		if _, _, err := config.Resolve(reference, environ); err != nil {
			reference = "file:" + filepath.Join(config.Default().DataDir, config.DemoSecretFile)
		}
	}
	secret, literal, err := config.Resolve(reference, environ)
	if err != nil {
		return "", fmt.Errorf("no secret to sign with: %w (use --secret env:NAME or file:/path)", err)
	}
	if literal {
		return "", &usageError{errors.New("--secret takes env:NAME or file:/path: what stands on a command line is no secret")}
	}
	return secret, nil
}

// deliver sends one delivery and prints the answer. It returns the task, empty if there is none.
func (s *sending) deliver(ctx context.Context, t *terminal, c *client.Client, built source.Source) (string, error) {
	header, body, err := s.request(built)
	if err != nil {
		return "", err
	}
	receipt, err := c.Deliver(ctx, "/webhooks/"+s.name, header, body)
	if err != nil {
		return "", err
	}
	_, _ = fmt.Fprintf(t.out, "%d %s\n", receipt.Code, strings.TrimSpace(string(receipt.Body)))
	if receipt.Code >= 300 {
		_, _ = fmt.Fprintf(t.err, "hooktroupe: the delivery was refused\n")
		return "", codeError(problemCode(receipt.Code))
	}
	return receipt.TaskID(), nil
}

func (s *sending) request(built source.Source) (http.Header, []byte, error) {
	sampler, samples := built.(source.Sampler)
	signer, signs := built.(source.Signer)
	if !samples || !signs {
		return nil, nil, fmt.Errorf("deliveries of %s cannot be made here", s.kind)
	}
	block, body, err := sampler.Sample(s.event, "")
	if err != nil {
		return nil, nil, &usageError{err}
	}
	if s.file != "" {
		if body, err = os.ReadFile(s.file); err != nil {
			return nil, nil, err
		}
	}
	for _, line := range s.headers {
		name, value, found := strings.Cut(line, ":")
		if !found {
			return nil, nil, &usageError{fmt.Errorf("--header: %q is not NAME: VALUE", line)}
		}
		block = replaceHeader(block, strings.TrimSpace(name), strings.TrimSpace(value))
	}
	if block, err = signer.Sign(block, body, time.Now()); err != nil {
		return nil, nil, err
	}
	header := make(http.Header, len(block))
	for _, field := range block {
		header.Add(field.Name, field.Value)
	}
	return header, body, nil
}

func replaceHeader(block source.Header, name, value string) source.Header {
	kept := make(source.Header, 0, len(block)+1)
	for _, field := range block {
		if !strings.EqualFold(field.Name, name) {
			kept = append(kept, field)
		}
	}
	return kept.With(name, value)
}

// watch prints every change of a task until it is final. Where a daemon cannot say at the moment, because the member of a
// cluster that works the task has just died, it is asked again.
func watch(ctx context.Context, t *terminal, c *client.Client, id string) error {
	last := "unknown"
	for {
		task, err := c.Get(ctx, id)
		var problem *client.Problem
		switch {
		case err == nil:
			if line := describe(task); line != last {
				last = line
				_, _ = fmt.Fprintf(t.out, "%s %s\n", id, line)
			}
		case ctx.Err() != nil:
			return &conditionError{fmt.Errorf("task %s is still %s", id, last)}
		case !errors.As(err, &problem) || problem.Status != http.StatusServiceUnavailable:
			return err
		}
		if err == nil && task.Final() {
			if task.Status != "completed" {
				return &conditionError{fmt.Errorf("task %s ended as %s", id, task.Status)}
			}
			return nil
		}
		select {
		case <-ctx.Done():
			return &conditionError{fmt.Errorf("task %s is still %s", id, last)}
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// describe is the status of a task in a line.
func describe(task *client.Task) string {
	line := task.Status
	if task.Attempts > 0 {
		line += fmt.Sprintf(" (attempt %d of %d)", task.Attempts, task.MaxAttempts)
	}
	if task.Error != nil && *task.Error != "" {
		line += ": " + *task.Error
	}
	return line
}
