//go:build linux

package scenario

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/hooktroupe/hooktroupe/bench/internal/ceiling"
	"github.com/hooktroupe/hooktroupe/bench/internal/load"
	"github.com/hooktroupe/hooktroupe/bench/internal/target"
)

// LogBytes is the size of the bare log's file, as much as a segment of the journal.
const LogBytes = 64 << 20

// verifies measures the server that only verifies.
func (a *acceptance) verifies(ctx context.Context, p point, r *round) error {
	result, cpu, err := a.serves(ctx, a.verifier, p)
	if err == nil {
		r.hmacRate, r.hmacCPU = result.PerSecond(), cpu
	}
	return err
}

// doesBoth measures the server that verifies, commits to a bare log, and only then answers.
func (a *acceptance) doesBoth(ctx context.Context, p point, r *round) error {
	result, cpu, err := a.serves(ctx, a.committer, p)
	if err == nil {
		r.bothRate, r.bothCPU, r.both50 = result.PerSecond(), cpu, milliseconds(result.Latency.Percentile(50))
	}
	return err
}

// serves measures a ceiling at a point, and what processor time it takes for 10,000 deliveries, in seconds.
func (a *acceptance) serves(ctx context.Context, ceiling *target.Process, p point) (load.Result, float64, error) {
	before, err := ceiling.CPU()
	if err != nil {
		return load.Result{}, 0, err
	}
	result, err := load.Run(ctx, a.plan(ceiling.Address, p))
	if err != nil {
		return load.Result{}, 0, err
	}
	after, err := ceiling.CPU()
	return result, perTenThousand(after-before, result.Accepted), err
}

// commits measures the log that only commits, with a submitter for each connection.
func (a *acceptance) commits(ctx context.Context, p point, r *round) error {
	return a.inFolder(func(folder string) error {
		l, err := ceiling.OpenLog(filepath.Join(folder, "log"), LogBytes)
		if err != nil {
			return err
		}
		rate, err := ceiling.Submit(ctx, l, p.connections, p.size, a.each)
		syncs, closed := l.Close()
		if err := errors.Join(err, closed); err != nil {
			return err
		}
		r.logRate, r.sync = rate, milliseconds(syncs.Percentile(50))
		return nil
	})
}
