//go:build linux

package scenario

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/hooktroupe/hooktroupe/bench/internal/load"
	"github.com/hooktroupe/hooktroupe/bench/internal/report"
	"github.com/hooktroupe/hooktroupe/bench/internal/target"
)

// busyKeys is how many repositories send, workers how many attempts run at once.
const (
	busyKeys    = 10_000
	laneWorkers = 16
)

// lanes tells what order costs: deliveries of 10,000 repositories, each in a lane of its own, against the same ones in no
// order; and how long it takes from a cancellation until the work is dead.
func lanes(ctx context.Context, b *Bench) error {
	settings := target.DefaultSettings()
	settings.Workers = laneWorkers
	return b.withDaemon(ctx, settings, func(d *target.Daemon, _ string) error {
		rates := map[string][]float64{}
		for range 3 {
			for _, event := range []string{target.Unordered, target.Serial} {
				rate, err := b.processed(ctx, d, event)
				if err != nil {
					return err
				}
				rates[event] = append(rates[event], rate)
			}
		}
		ratios := make([]float64, len(rates[target.Serial]))
		for i := range ratios {
			ratios[i] = rates[target.Serial][i] / rates[target.Unordered][i]
		}
		b.Report.Tell("lanes", "processed, 10,000 keys in no order", middle(rates[target.Unordered]), report.PerSecond)
		b.Report.Tell("lanes", "processed, 10,000 serial lanes", middle(rates[target.Serial]), report.PerSecond)
		b.Report.Judge("lanes", "serial against no order", middle(ratios), report.Ratio, report.Aim{Bound: report.AtLeast, Value: 0.7})
		left, err := d.Lanes(ctx)
		if err != nil {
			return err
		}
		b.Report.Judge("lanes", "lanes that are left when every task has ended", float64(left), "", report.Aim{Bound: report.AtMost})
		times, err := cancellations(ctx, d)
		if err != nil {
			return err
		}
		b.Report.Judge("lanes", "cancellation to the death of a program, longest of 20", slices.Max(times), report.Milliseconds,
			report.Aim{Bound: report.AtMost, Value: 100})
		b.Report.Tell("lanes", "cancellation to the death of a program, median", middle(times), report.Milliseconds)
		return b.tellLaneCost(ctx)
	})
}

// tellLaneCost compares what tasks hold that wait one to a lane with what as many hold that wait in one lane.
func (b *Bench) tellLaneCost(ctx context.Context) error {
	tasks := b.scaled(100_000)
	one, err := b.holding(ctx, tasks, 1)
	if err != nil {
		return err
	}
	each, err := b.holding(ctx, tasks, tasks)
	if err != nil {
		return err
	}
	b.Report.Judge("lanes", "resident memory of a lane with a task that waits, beside the task",
		float64(each-one)/float64(tasks)/kilobyte, report.Kilobytes, report.Aim{Bound: report.AtMost, Value: 0.5})
	return nil
}

// holding is the memory of a daemon in which so many tasks wait in so many serial lanes, in bytes.
func (b *Bench) holding(ctx context.Context, tasks, lanes int) (resident int64, err error) {
	settings := target.DefaultSettings()
	settings.Workers = 1
	err = b.withDaemon(ctx, settings, func(d *target.Daemon, _ string) error {
		if _, err := deliver(ctx, d, target.Blocking, kilobyte, 1); err != nil { // it keeps the worker
			return err
		}
		plan := load.Plan{Address: d.Address, Connections: 4, Count: tasks, Requests: make([]load.Request, lanes)}
		for i := range plan.Requests {
			plan.Requests[i] = load.NewRequest(target.Secret, target.Held,
				fmt.Appendf(nil, `{"action":"started","repository":{"id":%d,"full_name":"octo-org/repo-%d"}}`, i+1, i))
		}
		if _, err := load.Run(ctx, plan); err != nil {
			return err
		}
		known, err := d.Lanes(ctx)
		if err != nil {
			return err
		}
		if known < lanes {
			return fmt.Errorf("%d lanes for %d keys", known, lanes)
		}
		memory, err := settled(ctx, d.Process.Process, b.lasting(10*time.Second, 3*time.Second))
		resident = memory.Resident
		return err
	})
	return resident, err
}

// processed sends deliveries of every repository in turn and returns how many were accepted and worked in a second.
func (b *Bench) processed(ctx context.Context, d *target.Daemon, event string) (float64, error) {
	requests := make([]load.Request, busyKeys)
	for i := range requests {
		body := fmt.Appendf(nil, `{"ref":"main","ref_type":"branch","repository":{"id":%d,"full_name":"octo-org/repo-%d"},"pad":"%s"}`,
			i+1, i, strings.Repeat("x", kilobyte-120))
		requests[i] = load.NewRequest(target.Secret, event, body)
	}
	began := time.Now()
	count := b.scaled(100_000)
	if _, err := load.Run(ctx, load.Plan{Address: d.Address, Connections: 8, Count: count, Requests: requests}); err != nil {
		return 0, err
	}
	if _, err := drained(ctx, d); err != nil {
		return 0, err
	}
	return float64(count) / time.Since(began).Seconds(), nil
}

// cancellations starts programs that sleep, one after the other, and returns how long each lived after its task was
// cancelled, in milliseconds.
func cancellations(ctx context.Context, d *target.Daemon) ([]float64, error) {
	var times []float64
	for range 20 {
		if _, err := deliver(ctx, d, target.Sleeping, kilobyte, 1); err != nil {
			return nil, err
		}
		child, err := firstChild(ctx, int(d.Process.Process))
		if err != nil {
			return nil, err
		}
		id, err := d.Newest(ctx)
		if err != nil {
			return nil, err
		}
		began := time.Now()
		if err := d.Cancel(ctx, id); err != nil {
			return nil, err
		}
		for alive(child) {
			if time.Since(began) > 10*time.Second {
				return nil, errors.New("a program outlived its cancellation by ten seconds")
			}
			time.Sleep(100 * time.Microsecond)
		}
		times = append(times, milliseconds(time.Since(began)))
	}
	return times, nil
}

// firstChild waits until a process has a child that sleeps, and returns its ID.
func firstChild(ctx context.Context, parent int) (string, error) {
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline) && ctx.Err() == nil; time.Sleep(time.Millisecond) {
		tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", parent))
		if err != nil {
			return "", err
		}
		for _, t := range tasks {
			children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", parent, t.Name()))
			if err != nil {
				continue // the thread has ended meanwhile
			}
			for child := range strings.FieldsSeq(string(children)) {
				if name, err := os.ReadFile("/proc/" + child + "/comm"); err == nil && strings.TrimSpace(string(name)) == "sleep" && alive(child) {
					return child, nil
				}
			}
		}
	}
	return "", errors.New("no program was started")
}

// alive says whether a process is there and is no zombie.
func alive(pid string) bool {
	status, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(status), ") ")
	return !strings.HasPrefix(rest, "Z") && !strings.HasPrefix(rest, "X")
}

func middle(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
