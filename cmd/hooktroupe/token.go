package main

import (
	"crypto/rand"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/hooktroupe/hooktroupe/http/auth"
)

func newToken(t *terminal) *cobra.Command {
	var name, scope string
	c := &cobra.Command{
		Use:   "token",
		Short: "Make a bearer token for the status API, and its line of configuration",
		Long: "Make a random bearer token. It is printed to standard output, once, and kept nowhere; its hash, which goes into\n" +
			"the configuration and is no secret, to standard error.",
		Args: exactly(0, "no arguments"),
		RunE: func(*cobra.Command, []string) error {
			token, err := auth.NewToken(rand.Reader)
			if err != nil {
				return err
			}
			hash := auth.Hash(token)
			if _, err := auth.ParseKey(name, hash, scope); err != nil {
				return &usageError{fmt.Errorf("--%w", err)}
			}
			if _, err := fmt.Fprintln(t.out, token); err != nil {
				return err
			}
			_, err = fmt.Fprintf(t.err, "http:\n  tokens:\n    - {name: %q, hash: %q, scope: %s}\n", name, hash, scope)
			return err
		},
	}
	c.Flags().StringVar(&name, "name", "operator", "what the audit calls whoever bears it")
	c.Flags().StringVar(&scope, "scope", "read", "read, operate or admin")
	return c
}
