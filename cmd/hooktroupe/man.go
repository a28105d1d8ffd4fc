package main

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

func newMan(t *terminal) *cobra.Command {
	return &cobra.Command{
		Use:   "man DIR",
		Short: "Write the manual pages",
		Args:  exactly(1, "a folder"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o750); err != nil {
				return err
			}
			root := c.Root()
			root.DisableAutoGenTag = true
			// The pages of a version are the same whenever they are written.
			written := time.Unix(0, 0).UTC()
			header := &doc.GenManHeader{Title: "HOOKTROUPE", Section: "1", Date: &written, Source: "Hooktroupe " + version}
			if err := doc.GenManTree(root, header, args[0]); err != nil {
				return err
			}
			_, err := fmt.Fprintf(t.err, "written to %s\n", args[0])
			return err
		},
	}
}
