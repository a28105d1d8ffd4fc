package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"
)

func newVersion(t *terminal) *cobra.Command {
	var output string
	c := &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  exactly(0, "no arguments"),
		RunE: func(*cobra.Command, []string) error {
			if output == "json" {
				return printJSON(t, map[string]string{"version": version, "revision": revision, "go": runtime.Version()})
			}
			_, err := fmt.Fprintf(t.out, "hooktroupe %s (%s, %s)\n", version, revision, runtime.Version())
			return err
		},
	}
	c.Flags().StringVarP(&output, "output", "o", "table", "table or json")
	return c
}
