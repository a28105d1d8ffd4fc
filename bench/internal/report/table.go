package report

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// WriteTable writes the machine, every line, and what was skipped, for reading on a terminal.
func (r *Report) WriteTable(w io.Writer) error {
	var head, rows, tail bytes.Buffer
	fmt.Fprintf(&head, "%d processors, shared with the generator; data on %s; %s; load %.2f before\n",
		r.Machine.Processors, r.Machine.Disk, r.Machine.Go, r.Machine.LoadBefore)
	if r.Short {
		head.WriteString("A short run, for smoke: its aims are printed, but only a full run answers them.\n")
	}
	if r.Machine.Volatile {
		head.WriteString("The data lies in memory: nothing here that needs a sync means anything.\n")
	}
	scenario := ""
	for _, l := range r.Lines {
		if l.Scenario != scenario {
			scenario = l.Scenario
			fmt.Fprintf(&rows, "\n%s\n", strings.ToUpper(scenario))
		}
		fmt.Fprintf(&rows, "%s\t%s\t%s\t%s\n", l.Name, quantity(l.Value, l.Unit), l.aim(), l.verdict())
	}
	for _, name := range slices.Sorted(maps.Keys(r.Skipped)) {
		fmt.Fprintf(&tail, "\nSKIPPED %s: %s\n", name, r.Skipped[name])
	}
	fmt.Fprintf(&tail, "\n%d of %d aims met\n", r.judged()-r.Missed(), r.judged())

	if _, err := head.WriteTo(w); err != nil {
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if _, err := rows.WriteTo(t); err != nil {
		return err
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := tail.WriteTo(w)
	return err
}

// WriteMarkdown writes what may be told without naming the machine, as a table: the ratios, whatever has an aim, and what stands
// beside aims.
func (r *Report) WriteMarkdown(w io.Writer) error {
	var b bytes.Buffer
	b.WriteString("| scenario | what | value | aim | |\n|---|---|---|---|---|\n")
	for _, l := range r.Lines {
		if l.Aim != nil || l.Unit == Ratio || strings.HasPrefix(l.Scenario, "aims of ") {
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", l.Scenario, l.Name, quantity(l.Value, l.Unit), l.aim(), l.verdict())
		}
	}
	_, err := b.WriteTo(w)
	return err
}

func (r *Report) judged() int {
	n := 0
	for _, l := range r.Lines {
		if l.Aim != nil {
			n++
		}
	}
	return n
}

func (l Line) aim() string {
	if l.Aim == nil {
		return ""
	}
	return string(l.Aim.Bound) + " " + quantity(l.Aim.Value, l.Unit)
}

func (l Line) verdict() string {
	switch {
	case l.Aim == nil:
		return ""
	case l.Met:
		return "met"
	default:
		return "NOT MET"
	}
}

// quantity prints a value with as many digits as a benchmark is good for: three, or all in front of the point.
func quantity(value float64, unit Unit) string {
	digits := 0
	switch size := max(value, -value); {
	case size < 10:
		digits = 2
	case size < 100:
		digits = 1
	}
	return fmt.Sprintf("%.*f %s", digits, value, unit)
}
