package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hooktroupe/hooktroupe/journal/postgres"
)

// storeVariable holds the URL of a cluster's store. It is the environment's name of cluster.store.
const storeVariable = "HOOKTROUPE_CLUSTER__STORE"

// maxURLBytes bounds a file with a URL.
const maxURLBytes = 16 << 10

func newMigrate(t *terminal) *cobra.Command {
	var (
		file   string
		shards int
	)
	c := &cobra.Command{
		Use:   "migrate",
		Short: "Bring a cluster's store to the schema of this version",
		Long: "Bring the PostgreSQL database of a cluster to the schema of this version, and print what was done. It may run again,\n" +
			"and many times at once: one works, the others wait for it. The URL is a secret: it is taken from the environment\n" +
			"(" + storeVariable + ") or from a file, never from the command line. Run it before the first member of a newer\n" +
			"version starts; members of the version before go on.",
		Args: exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			url, err := storeURL(file, t.environ)
			if err != nil {
				return err
			}
			return migrate(c, t, postgres.Config{URL: url, Shards: shards})
		},
	}
	c.Flags().StringVar(&file, "store-file", "", "a file with the URL of the store")
	c.Flags().IntVar(&shards, "shards", 0, "how many shards a new store gets, for good (64), or must have")
	return c
}

// storeURL finds the URL of the store.
func storeURL(file string, environ []string) (string, error) {
	if file != "" {
		text, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		if len(text) > maxURLBytes {
			return "", fmt.Errorf("%s: more than %d bytes are no URL", file, maxURLBytes)
		}
		return strings.TrimSpace(string(text)), nil
	}
	for _, line := range environ {
		if url, found := strings.CutPrefix(line, storeVariable+"="); found && url != "" {
			return url, nil
		}
	}
	return "", &usageError{errors.New("--store-file or " + storeVariable + " must say where the store is")}
}

func migrate(c *cobra.Command, t *terminal, config postgres.Config) error {
	if err := config.WithDefaults().Validate(); err != nil {
		return &usageError{err}
	}
	steps := 0
	err := postgres.MigrateReport(c.Context(), config, func(s postgres.Step) {
		steps++
		if s.Version > 0 {
			_, _ = fmt.Fprintf(t.out, "version %d: %s\n", s.Version, s.What)
		} else {
			_, _ = fmt.Fprintln(t.out, s.What)
		}
	})
	if err == nil && steps == 0 {
		_, err = fmt.Fprintln(t.out, "nothing to do")
	}
	return err
}
