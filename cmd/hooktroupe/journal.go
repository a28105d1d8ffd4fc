package main

import (
	"errors"
	"fmt"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/hooktroupe/hooktroupe/journal/wal"
)

func newJournal(t *terminal) *cobra.Command {
	c := &cobra.Command{
		Use:   "journal",
		Short: "Inspect, verify or repair a journal on disk",
		Long: "Inspect, verify or repair the journal in a folder, which is journal below data_dir.\n" +
			"inspect and verify only read; repair needs a daemon that does not run.",
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return &usageError{errors.New("journal needs inspect, verify or repair (see hooktroupe journal --help)")}
		},
	}
	add := func(name, short string, run func(*terminal, string) error) {
		c.AddCommand(&cobra.Command{
			Use: name + " DIR", Short: short, Args: exactly(1, "the folder of a journal"),
			RunE: func(_ *cobra.Command, args []string) error {
				if _, err := os.Stat(args[0]); err != nil {
					return err
				}
				return run(t, args[0])
			},
		})
	}
	add("inspect", "Print what each segment holds", inspectJournal)
	add("verify", "Read everything; exit 0 sound, 1 torn tail, 2 damaged", verifyJournal)
	add("repair", "Cut out what is damaged, and keep what was cut", repairJournal)
	return c
}

func inspectJournal(t *terminal, dir string) error {
	w := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "SEGMENT\tSTATE\tBYTES\tEND\tGROUPS\tRECORDS\tLIVE\tGAPS\tFIRST GROUP")
	err := wal.Inspect(dir, func(s wal.Segment) error {
		_, err := fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\n", s.File, s.State, s.Bytes, s.End, s.Groups,
			s.Records, s.LiveBytes, s.GapBytes, s.First)
		return err
	})
	return errors.Join(err, w.Flush())
}

func verifyJournal(t *terminal, dir string) error {
	report, err := wal.Verify(dir)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(t.out, "%s: %d segments, %d groups, %d records, %d bytes\n", report.Verdict(), report.Segments,
		report.Groups, report.Records, report.Bytes)
	if report.Torn != nil {
		_, _ = fmt.Fprintf(t.out, "torn tail, which the next start cuts: %v\n", report.Torn)
	}
	for _, damage := range report.Damage {
		_, _ = fmt.Fprintln(t.out, damage)
	}
	if report.Verdict() != wal.Sound {
		return codeError(report.Verdict())
	}
	return nil
}

func repairJournal(t *terminal, dir string) error {
	cuts, quarantine, err := wal.Repair(dir)
	for _, cut := range cuts {
		_, _ = fmt.Fprintf(t.out, "cut %d bytes: %v; kept as %s\n", cut.Bytes, &cut.Damage, cut.Kept)
	}
	if err != nil {
		return err
	}
	if len(cuts) == 0 {
		_, err = fmt.Fprintln(t.out, "nothing is damaged")
		return err
	}
	_, err = fmt.Fprintf(t.out, "what was cut is in %s\n", quarantine)
	return err
}
