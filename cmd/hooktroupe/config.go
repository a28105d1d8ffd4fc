package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/hooktroupe/hooktroupe/config"
	"github.com/hooktroupe/hooktroupe/source/sources"
)

func newConfig(t *terminal) *cobra.Command {
	c := &cobra.Command{
		Use:   "config",
		Short: "Check a configuration, show what it comes to, or write an example",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return &usageError{errors.New("config needs check, show, example or schema (see hooktroupe config --help)")}
		},
	}
	c.AddCommand(newConfigCheck(t), newConfigShow(t),
		printing(t, "example", "Print an annotated file with every key",
			"Print an annotated file with every key. It works as it stands once GITHUB_WEBHOOK_SECRET is set; take the # off\n"+
				"a key to change it.", config.Example),
		printing(t, "schema", "Print the JSON Schema of the file, for editors",
			"Print the JSON Schema (draft 2020-12) of the file. Editors that know it complete keys and mark mistakes; what no\n"+
				"single value shows is for hooktroupe config check.",
			func() []byte { return config.Schema(sources.Types()...) }))
	return c
}

// printing is a command that prints what is always the same.
func printing(t *terminal, name, short, long string, text func() []byte) *cobra.Command {
	return &cobra.Command{
		Use: name, Short: short, Long: long, Args: exactly(0, "no arguments"),
		RunE: func(*cobra.Command, []string) error {
			_, err := t.out.Write(text())
			return err
		},
	}
}

func newConfigCheck(t *terminal) *cobra.Command {
	var (
		strict bool
		output string
	)
	c := &cobra.Command{
		Use:   "check",
		Short: "Say everything that is wrong with the configuration, with line and column",
		Long: "Say everything that is wrong with the configuration, with line and column: keys, types, references to secrets,\n" +
			"expressions, programs and certificates, routes that nothing reaches. What serve refuses, it refuses, and the\n" +
			"other way round. Nothing is started. What is valid and may yet not be meant is a warning.\n\n" +
			"Exit codes: 0 valid, with warnings or without; 1 the file cannot be read; 2 wrong usage; 3 invalid, or, with\n" +
			"--strict, a warning.",
		Args: exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			if output != "table" && output != "json" {
				return &usageError{fmt.Errorf("--output: %q is neither table nor json", output)}
			}
			loaded, err := inspect(c.Flags(), t.environ)
			if err != nil {
				return err
			}
			r := loaded.Report
			valid := len(r.Problems) == 0 && (!strict || len(r.Warnings) == 0)
			if output == "json" {
				err = printJSON(t, checked{
					Valid: valid, Problems: append(config.Problems{}, r.Problems...), Warnings: append(config.Problems{}, r.Warnings...),
				})
			} else {
				err = printChecked(t, r, valid)
			}
			if err == nil && !valid {
				return codeError(exitConfiguration)
			}
			return err
		},
	}
	addKeyFlags(c.Flags())
	c.Flags().BoolVar(&strict, "strict", false, "exit with 3 when there is a warning, too")
	c.Flags().StringVarP(&output, "output", "o", "table", "table or json")
	return c
}

// checked is what config check says in JSON.
type checked struct {
	Valid    bool            `json:"valid"`
	Problems config.Problems `json:"problems"`
	Warnings config.Problems `json:"warnings"`
}

// printChecked says for people what was found.
func printChecked(t *terminal, r *config.Report, valid bool) error {
	warnAll(t, r.Warnings)
	for _, p := range r.Problems {
		_, _ = fmt.Fprintln(t.err, p.String())
	}
	switch {
	case valid:
		_, err := fmt.Fprintln(t.out, "the configuration is valid")
		return err
	case len(r.Problems) == 0:
		_, _ = fmt.Fprintf(t.err, "hooktroupe: the configuration is valid, with %s\n", count(len(r.Warnings), "warning"))
	default:
		_, _ = fmt.Fprintf(t.err, "hooktroupe: the configuration is invalid: %s\n", count(len(r.Problems), "problem"))
	}
	return nil
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func warnAll(t *terminal, warnings config.Problems) {
	for _, warning := range warnings {
		_, _ = fmt.Fprintln(t.err, "warning: "+warning.String())
	}
}

func newConfigShow(t *terminal) *cobra.Command {
	show := &cobra.Command{
		Use:   "show",
		Short: "Print every key with its value, secrets hidden",
		Args:  exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := loadAndWarn(c, t)
			if err != nil {
				return err
			}
			text, err := config.Show(cfg)
			if err != nil {
				return err
			}
			_, err = t.out.Write(text)
			return err
		},
	}
	addKeyFlags(show.Flags())
	return show
}

// loadAndWarn reads the configuration for what needs no part of it.
func loadAndWarn(c *cobra.Command, t *terminal) (*config.Config, error) {
	loaded, err := read(c.Flags(), t.environ)
	if err != nil {
		return nil, err
	}
	warnAll(t, loaded.Warnings)
	return loaded.Config, loaded.Err()
}
