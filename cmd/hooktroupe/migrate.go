package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hooktroupe/hooktroupe/config"
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
			"(" + storeVariable + "), from a file, or from the configuration's cluster.store, never from the command line.\n" +
			"A configuration also says how many shards a new store gets. Run it before the first member of a newer version\n" +
			"starts; members of the version before go on.",
		Args: exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			store, err := findStore(c, t, file)
			if err != nil {
				return err
			}
			if shards != 0 {
				store.Shards = shards
			}
			return migrate(c, t, store)
		},
	}
	c.Flags().String("config", "", "configuration file with the store (default: ./"+defaultFile+" where nothing else says where it is)")
	c.Flags().StringVar(&file, "store-file", "", "a file with the URL of the store")
	c.Flags().IntVar(&shards, "shards", 0, "how many shards a new store gets, for good (64), or must have")
	return c
}

// findStore finds the store: what was named first counts, then the environment, then the configuration that serve would take.
func findStore(c *cobra.Command, t *terminal, file string) (postgres.Config, error) {
	named := c.Flags().Changed("config")
	switch {
	case file != "" && named:
		return postgres.Config{}, &usageError{errors.New("--store-file and --config both say where the store is")}
	case file != "":
		return storeOfFile(file)
	case !named:
		if url, _, err := config.Resolve("env:"+storeVariable, t.environ); err == nil {
			url, _, err = config.Resolve(url, t.environ) // it may be a reference, as everywhere
			return postgres.Config{URL: url}, err
		}
		if _, err := os.Stat(defaultFile); err != nil {
			return postgres.Config{}, errNoStore
		}
	}
	cfg, err := loadAndWarn(c, t)
	if err != nil {
		return postgres.Config{}, err
	}
	url := cfg.Cluster.Store
	switch {
	case url == "":
		return postgres.Config{}, errNoStore
	case !cfg.Cluster.Enabled: // nobody has resolved it
		if url, _, err = config.Resolve(url, t.environ); err != nil {
			return postgres.Config{}, config.Problems{{Path: "cluster.store", Message: err.Error()}}
		}
	}
	return postgres.Config{URL: url, Shards: cfg.Cluster.Shards}, nil
}

var errNoStore = &usageError{errors.New("--store-file, " + storeVariable + " or cluster.store of the configuration must say where the store is")}

// storeOfFile reads a file that holds nothing but the URL.
func storeOfFile(file string) (postgres.Config, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return postgres.Config{}, err
	}
	if len(text) > maxURLBytes {
		return postgres.Config{}, fmt.Errorf("%s: more than %d bytes are no URL", file, maxURLBytes)
	}
	return postgres.Config{URL: strings.TrimSpace(string(text))}, nil
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
