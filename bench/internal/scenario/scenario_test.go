//go:build linux

package scenario_test

import (
	"bytes"
	"errors"
	"os"
	"slices"
	"testing"

	"github.com/hooktroupe/hooktroupe/bench/internal/report"
	"github.com/hooktroupe/hooktroupe/bench/internal/scenario"
	"github.com/hooktroupe/hooktroupe/bench/internal/target"
)

func TestNoScenarioRunsBesideAnUnknownOne(t *testing.T) {
	var progress bytes.Buffer
	b := scenario.Bench{Folder: t.TempDir(), Report: &report.Report{}, Progress: &progress}
	err := b.Run(t.Context(), []string{"waiting", "absent"})
	if !errors.Is(err, scenario.ErrUnknown) || progress.Len() > 0 {
		t.Errorf("error %v after %q", err, &progress)
	}
}

func TestFolderThatIsNotThere(t *testing.T) {
	b := scenario.Bench{Folder: "/absent", Report: &report.Report{}, Progress: &bytes.Buffer{}}
	if err := b.Run(t.Context(), nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v, want ErrNotExist", err)
	}
}

// A short run of one scenario, from the daemon's start to the last line, leaves nothing behind.
func TestWaiting(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the daemon and runs it for ten seconds")
	}
	program, err := target.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	sink, err := target.OpenSink()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sink.Close() }()
	var progress bytes.Buffer
	b := scenario.Bench{
		Program: program, Folder: t.TempDir(), Sink: sink, Short: true, Report: &report.Report{}, Progress: &progress,
	}
	if err := b.Run(t.Context(), []string{"waiting"}); err != nil {
		t.Fatal(err)
	}
	if b.Report.Skipped["waiting"] != "" {
		t.Skip(b.Report.Skipped["waiting"])
	}
	aims := slices.DeleteFunc(slices.Clone(b.Report.Lines), func(l report.Line) bool { return l.Aim == nil })
	if len(aims) != 1 || aims[0].Unit != report.Kilobytes || b.Report.Check() != nil {
		t.Errorf("%+v", b.Report.Lines)
	}
	for _, l := range b.Report.Lines {
		if l.Name == "accepted while they came" && l.Value <= 0 {
			t.Errorf("%+v", l)
		}
	}
	if left, err := os.ReadDir(b.Folder); err != nil || len(left) > 0 {
		t.Errorf("%v is left, %v", left, err)
	}
}

// A short run over a store tells every value, and its aim.
func TestStore(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the daemon and runs it with PostgreSQL for ten seconds")
	}
	program, err := target.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	sink, err := target.OpenSink()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sink.Close() }()
	folder, err := os.MkdirTemp("", "hooktroupe-bench-") // t.TempDir lies below one that others cannot pass
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(folder) }()
	b := scenario.Bench{
		Program: program, Folder: folder, Sink: sink, Short: true, Report: &report.Report{}, Progress: &bytes.Buffer{},
	}
	if err := b.Run(t.Context(), []string{"store"}); err != nil {
		t.Fatal(err)
	}
	if reason := b.Report.Skipped["store"]; reason != "" {
		t.Skip("SKIPPED: ", reason)
	}
	aims := 0
	for _, l := range b.Report.Lines {
		if l.Value <= 0 {
			t.Errorf("%+v", l)
		}
		if l.Aim != nil {
			aims++
		}
	}
	if aims != 1 || b.Report.Check() != nil {
		t.Errorf("%d aims: %+v, %v", aims, b.Report.Lines, b.Report.Check())
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) > 0 {
		t.Errorf("%v is left, %v", left, err)
	}
}
