package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/hooktroupe/hooktroupe/config"
	"github.com/hooktroupe/hooktroupe/daemon"
)

func newConfig(t *terminal) *cobra.Command {
	c := &cobra.Command{
		Use:   "config",
		Short: "Check a configuration, or show what it comes to",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return &usageError{errors.New("config needs check or show (see hooktroupe config --help)")}
		},
	}
	check := &cobra.Command{
		Use:   "check",
		Short: "Say what is wrong with the configuration, with line numbers",
		Args:  exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := loadAndWarn(c, t)
			if err != nil {
				return err
			}
			if err := daemon.Check(cfg); err != nil {
				return config.Problems{{Path: "configuration", Message: err.Error()}}
			}
			_, err = fmt.Fprintln(t.out, "the configuration is valid")
			return err
		},
	}
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
	addKeyFlags(check.Flags())
	addKeyFlags(show.Flags())
	c.AddCommand(check, show)
	return c
}

func loadAndWarn(c *cobra.Command, t *terminal) (*config.Config, error) {
	cfg, warnings, _, _, err := load(c.Flags(), t.environ)
	for _, warning := range warnings {
		_, _ = fmt.Fprintln(t.err, "warning: "+warning)
	}
	return cfg, err
}
