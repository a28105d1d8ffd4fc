//go:build linux

// Command bench measures the daemon beside what bounds it, in one run on one machine, and prints ratios and the aims
// that they are to meet. It builds the daemon, so it is to be run within the module:
//
//	go run ./bench                      all of it: a quarter of an hour, 12 GB of free disk
//	go run ./bench -short               a run of two minutes, for smoke: its aims are not answered
//	go run ./bench -only gap,depth      some of it
//	go run ./bench -markdown            the ratios, as docs/BENCHMARKS.md has them
//
// The data lies below -dir while it runs. An aim that is not met is reported and is no failure: exit code 1 means that
// something could not be measured. docs/BENCHMARKS.md says how to read the table.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/hooktroupe/hooktroupe/bench/internal/ceiling"
	"github.com/hooktroupe/hooktroupe/bench/internal/report"
	"github.com/hooktroupe/hooktroupe/bench/internal/scenario"
	"github.com/hooktroupe/hooktroupe/bench/internal/target"
)

// The arguments that make this program a ceiling on the address that follows: the one which only verifies, and the one which
// verifies and commits, to a log at the path that follows then.
const (
	verify = "verify"
	commit = "commit"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	switch {
	case len(args) == 2 && args[0] == verify:
		return serve(ctx, args[1], ceiling.NewVerifier(target.Secret)) //nolint:gosec // there are two
	case len(args) == 3 && args[0] == commit:
		return commits(ctx, args[1], args[2]) //nolint:gosec // there are three
	}
	var o options
	if err := o.parse(args, stderr); err != nil {
		return err
	}
	r, err := o.measure(ctx, stderr)
	if err != nil {
		return err
	}
	if err := save(r, o.out); err != nil {
		return err
	}
	if o.markdown {
		return r.WriteMarkdown(stdout)
	}
	return r.WriteTable(stdout)
}

// options are the flags.
type options struct {
	short, markdown bool
	out, dir        string
	only            []string
}

func (o *options) parse(args []string, stderr io.Writer) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.BoolVar(&o.short, "short", false, "a run of two minutes, for smoke")
	flags.BoolVar(&o.markdown, "markdown", false, "print the ratios as Markdown instead of the whole table")
	flags.StringVar(&o.out, "out", filepath.Join("bench", "results.json"), "the `file` that takes the report as JSON")
	flags.StringVar(&o.dir, "dir", os.TempDir(), "the `folder` below which data lies: a disk, not memory")
	only := flags.String("only", "", "the `names` of scenarios, with commas between: "+strings.Join(scenario.Names(), ","))
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("%q: no such argument", flags.Arg(0))
	}
	if *only != "" {
		o.only = strings.Split(*only, ",")
	}
	return nil
}

// measure runs the scenarios in a folder that is gone afterwards.
func (o *options) measure(ctx context.Context, progress io.Writer) (*report.Report, error) {
	folder, err := os.MkdirTemp(o.dir, "hooktroupe-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(folder) }() // the scenarios report what they cannot remove
	machine, err := describe(folder)
	if err != nil {
		return nil, err
	}
	program, err := target.Build(ctx, folder)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	sink, err := target.OpenSink()
	if err != nil {
		return nil, err
	}
	b := scenario.Bench{
		Program: program, Verifier: []string{self, verify}, Committer: []string{self, commit}, Folder: folder, Sink: sink, Short: o.short,
		Report: &report.Report{Machine: machine, Short: o.short}, Progress: progress,
	}
	if err := errors.Join(b.Run(ctx, o.only), sink.Close()); err != nil {
		return nil, err
	}
	return b.Report, nil
}

// describe tells what the run shares, before it begins.
func describe(folder string) (report.Machine, error) {
	disk, err := target.DiskOf(folder)
	if err != nil {
		return report.Machine{}, err
	}
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return report.Machine{}, fmt.Errorf("sysinfo: %w", err)
	}
	const loadUnit = 1 << 16 // of the fixed point that the kernel counts load in
	return report.Machine{
		Processors: runtime.NumCPU(), Disk: disk.Kind, Volatile: disk.Volatile, Go: runtime.Version(),
		LoadBefore: float64(info.Loads[0]) / loadUnit,
	}, nil
}

func save(r *report.Report, path string) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(r.WriteJSON(file), file.Close())
}

// commits is the ceiling which verifies and commits, until ctx ends.
func commits(ctx context.Context, address, path string) error {
	log, err := ceiling.OpenLog(path, scenario.LogBytes)
	if err != nil {
		return err
	}
	err = serve(ctx, address, ceiling.NewReceiver(target.Secret, func(d ceiling.Delivery) error { return log.Commit(d.Body) }))
	_, closed := log.Close()
	return errors.Join(err, closed)
}

// serve is a ceiling until ctx ends.
func serve(ctx context.Context, address string, v *ceiling.Verifier) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = listener.Close() }) // Serve returns
	defer stop()
	return v.Serve(listener)
}
