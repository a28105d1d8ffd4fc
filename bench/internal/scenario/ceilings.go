//go:build linux

package scenario

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/hooktroupe/hooktroupe/bench/internal/ceiling"
	"github.com/hooktroupe/hooktroupe/bench/internal/load"
)

// logBytes is the size of the bare log's file, as much as a segment of the journal.
const logBytes = 64 << 20

// verifies measures the server that only verifies.
func (a *acceptance) verifies(ctx context.Context, p point, r *round) error {
	before, err := a.verifier.CPU()
	if err != nil {
		return err
	}
	result, err := load.Run(ctx, a.plan(a.verifier.Address, p))
	if err != nil {
		return err
	}
	after, err := a.verifier.CPU()
	if err != nil {
		return err
	}
	r.hmacRate, r.hmacCPU = result.PerSecond(), perTenThousand(after-before, result.Accepted)
	return nil
}

// commits measures the log that only commits, with a submitter for each connection.
func (a *acceptance) commits(ctx context.Context, p point, r *round) error {
	return a.inFolder(func(folder string) error {
		l, err := ceiling.OpenLog(filepath.Join(folder, "log"), logBytes)
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
