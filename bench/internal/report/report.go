// Package report holds what a run of the benchmark found and writes it: as a table to be read, as JSON to be compared,
// and as Markdown with what does not depend on the machine. It measures nothing and rounds only what it prints.
package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
)

// ErrNotFinite means that a value is NaN or infinite: something was divided by a measurement that is zero.
var ErrNotFinite = errors.New("not a finite number")

// Unit is what a value counts.
type Unit string

// The units. Ratio, and whatever is counted per byte of body, has none.
const (
	PerSecond    Unit = "/s"
	Milliseconds Unit = "ms"
	Seconds      Unit = "s"
	Kilobytes    Unit = "KB" // of 1,024 bytes
	Megabytes    Unit = "MB" // of 1,048,576 bytes
	Ratio        Unit = "×"
)

// Bound says on which side of an aim a value is to be.
type Bound string

// The bounds; both include the aim itself.
const (
	AtLeast Bound = "≥"
	AtMost  Bound = "≤"
)

// Aim is what a value is to reach.
type Aim struct {
	Bound Bound   `json:"bound"`
	Value float64 `json:"value"`
}

// Met tells whether a value reaches the aim.
func (a Aim) Met(value float64) bool {
	if a.Bound == AtLeast {
		return value >= a.Value
	}
	return value <= a.Value
}

// Line is one thing that was measured, or the ratio of two.
type Line struct {
	// Scenario is what it was measured in, Name what it is.
	Scenario string `json:"scenario"`
	Name     string `json:"name"`
	// Value is in Unit: the median of the rounds where a scenario has rounds.
	Value float64 `json:"value"`
	Unit  Unit    `json:"unit"`
	// Aim is absent from what is only told. Met is meaningful beside an aim.
	Aim *Aim `json:"aim,omitempty"`
	Met bool `json:"met,omitempty"`
}

// Machine is what the run shared.
type Machine struct {
	// Processors is how many the run could use, daemon and generator together.
	Processors int `json:"processors"`
	// Disk is the kind of the file system below the data.
	Disk string `json:"disk"`
	// Volatile means that the file system is memory: nothing that needs a sync means anything.
	Volatile bool `json:"volatile,omitempty"`
	// Go is the version of the toolchain.
	Go string `json:"go"`
	// LoadBefore is the load average of the last minute before the run: above 0, others were at work.
	LoadBefore float64 `json:"load_before"`
}

// Report is one run. It is not safe for use by several goroutines.
type Report struct {
	Machine Machine `json:"machine"`
	// Short means that the run was for smoke: less time, and a tenth of the tasks.
	Short bool   `json:"short,omitempty"`
	Lines []Line `json:"lines"`
	// Skipped says, by scenario, why it did not run.
	Skipped map[string]string `json:"skipped,omitempty"`
}

// Tell adds a line without an aim.
func (r *Report) Tell(scenario, name string, value float64, unit Unit) {
	r.Lines = append(r.Lines, Line{Scenario: scenario, Name: name, Value: value, Unit: unit})
}

// Judge adds a line that is to reach an aim.
func (r *Report) Judge(scenario, name string, value float64, unit Unit, aim Aim) {
	r.Lines = append(r.Lines, Line{
		Scenario: scenario, Name: name, Value: value, Unit: unit, Aim: &aim, Met: aim.Met(value),
	})
}

// Skip notes that a scenario did not run.
func (r *Report) Skip(scenario, reason string) {
	if r.Skipped == nil {
		r.Skipped = make(map[string]string)
	}
	r.Skipped[scenario] = reason
}

// Missed is how many aims are not met.
func (r *Report) Missed() int {
	missed := 0
	for _, l := range r.Lines {
		if l.Aim != nil && !l.Met {
			missed++
		}
	}
	return missed
}

// Check returns an ErrNotFinite that names the first such line.
func (r *Report) Check() error {
	for _, l := range r.Lines {
		if math.IsNaN(l.Value) || math.IsInf(l.Value, 0) {
			return fmt.Errorf("%s, %s: %w", l.Scenario, l.Name, ErrNotFinite)
		}
	}
	return nil
}

// WriteJSON writes all of it, indented. A line that is not finite is an error.
func (r *Report) WriteJSON(w io.Writer) error {
	if err := r.Check(); err != nil {
		return err
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(r)
}
