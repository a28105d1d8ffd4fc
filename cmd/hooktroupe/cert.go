package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/hooktroupe/hooktroupe/cmd/hooktroupe/internal/identity"
	"github.com/hooktroupe/hooktroupe/internal/clock"
)

func newCert(t *terminal) *cobra.Command {
	var folder string
	var hosts []string
	c := &cobra.Command{
		Use:   "cert NAME --host HOST",
		Short: "Make the identity of a cluster's member, or of a remote handler, for trials",
		Long: "Make a certificate and its key for a member of a cluster, or for a remote handler, signed by the authority of the\n" +
			"folder, which is made where there is none. Whoever has ca.key can make more: keep it apart. Nothing is replaced.",
		Example: "  hooktroupe cert node-1 --host 10.0.0.11 --host node-1.example",
		Args:    exactly(1, "the name of the member"),
		RunE: func(_ *cobra.Command, args []string) error {
			f, err := identity.Issue(folder, args[0], hosts, clock.Real{}.Now())
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(t.out, "tls: {ca: %s, cert: %s, key: %s}\n", f.CA, f.Cert, f.Key)
			return err
		},
	}
	c.Flags().StringVar(&folder, "dir", "identities", "folder of the files")
	c.Flags().StringArrayVar(&hosts, "host", nil, "name or address under which others call it; may be repeated")
	return c
}
