//go:build linux

package scenario

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/hooktroupe/hooktroupe/bench/internal/load"
	"github.com/hooktroupe/hooktroupe/bench/internal/target"
)

// point is where accepts are measured: bodies of so many bytes, over so many connections.
type point struct{ size, connections int }

// round is what one round measured at one point. Latency is in milliseconds, processor time in seconds per 10,000
// deliveries.
type round struct {
	hmacRate, hmacCPU    float64
	logRate, sync        float64 // sync is the median fdatasync of the bare log
	bothRate, bothCPU    float64
	both50               float64
	accepted, processed  float64
	cpu                  float64
	latency50, latency99 float64
	open50, open99       float64 // of the open loop, beside the usual number of connections only
	resident             float64 // in megabytes
}

// acceptance is a run of the scenario.
type acceptance struct {
	*Bench
	verifier, committer *target.Process
	each                time.Duration // of each measurement
	rounds              map[point][]round
}

var (
	sizes       = [...]int{1 * kilobyte, 8 * kilobyte, 25 * kilobyte}
	connections = [...]int{1, usual, 256}
)

// accept tells how fast deliveries are accepted and worked beside the ceilings: a server that only verifies, a log that
// only commits, and a server that does both. Each round visits every point, and each point all of them in turn, so that a
// slow minute of the machine is theirs in common.
func accept(ctx context.Context, b *Bench) error {
	return b.inFolder(func(folder string) error {
		verifier, err := startCeiling(ctx, b.Verifier)
		if err != nil {
			return err
		}
		committer, err := startCeiling(ctx, b.Committer, filepath.Join(folder, "log"))
		if err != nil {
			return errors.Join(err, verifier.Kill())
		}
		a := &acceptance{
			Bench: b, verifier: verifier, committer: committer, each: b.lasting(3*time.Second, 500*time.Millisecond),
			rounds: make(map[point][]round),
		}
		if err := a.visitAll(ctx); err != nil {
			return errors.Join(err, verifier.Kill(), committer.Kill())
		}
		a.tell()
		return errors.Join(verifier.Stop(), committer.Stop())
	})
}

// startCeiling runs a ceiling's command on a free address, which comes behind it, before the rest.
func startCeiling(ctx context.Context, command []string, rest ...string) (*target.Process, error) {
	address, err := target.FreeAddress()
	if err != nil {
		return nil, err
	}
	return target.Start(ctx, address, command[0], slices.Concat(command[1:], []string{address}, rest)...)
}

// visitAll measures all rounds, each size with a daemon that is new.
func (a *acceptance) visitAll(ctx context.Context) error {
	rounds := 3
	if a.Short {
		rounds = 1
	}
	for range rounds {
		for _, size := range sizes {
			err := a.withDaemon(ctx, target.DefaultSettings(), func(d *target.Daemon, _ string) error {
				return a.visit(ctx, d, size)
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// visit measures one round of the points of one size.
func (a *acceptance) visit(ctx context.Context, d *target.Daemon, size int) error {
	for _, n := range connections {
		var r round
		p := point{size, n}
		for _, measure := range []func() error{
			func() error { return a.verifies(ctx, p, &r) },
			func() error { return a.commits(ctx, p, &r) },
			func() error { return a.doesBoth(ctx, p, &r) },
			func() error { return a.accepts(ctx, d, p, &r) },
			func() error { return a.keepsUp(ctx, d, p, &r) },
		} {
			if err := measure(); err != nil {
				return fmt.Errorf("%d KB, %d connections: %w", size/kilobyte, n, err)
			}
		}
		a.rounds[p] = append(a.rounds[p], r)
	}
	return nil
}

// plan is a closed loop at a point.
func (a *acceptance) plan(address string, p point) load.Plan {
	return load.Plan{
		Address: address, Connections: p.connections, Count: endless, Duration: a.each,
		Requests: []load.Request{request(target.Completing, p.size)},
	}
}

// accepts measures the daemon, its work on what it accepted included.
func (a *acceptance) accepts(ctx context.Context, d *target.Daemon, p point, r *round) error {
	before, err := d.CPU()
	if err != nil {
		return err
	}
	began := time.Now()
	result, err := load.Run(ctx, a.plan(d.Address, p))
	if err != nil {
		return err
	}
	if _, err := drained(ctx, d); err != nil {
		return err
	}
	took := time.Since(began)
	after, err := d.CPU()
	if err != nil {
		return err
	}
	memory, err := d.Memory()
	if err != nil {
		return err
	}
	r.accepted, r.processed = result.PerSecond(), float64(result.Accepted)/took.Seconds()
	r.cpu = perTenThousand(after-before, result.Accepted)
	r.latency50 = milliseconds(result.Latency.Percentile(50))
	r.latency99 = milliseconds(result.Latency.Percentile(99))
	r.resident = megabytes(memory.Resident)
	return nil
}

// keepsUp measures the latency of an open loop, which counts from the moment that a delivery was due.
func (a *acceptance) keepsUp(ctx context.Context, d *target.Daemon, p point, r *round) error {
	if p.connections != usual {
		return nil
	}
	open := a.plan(d.Address, p)
	open.Rate = 1000
	result, err := load.Run(ctx, open)
	if err != nil {
		return err
	}
	r.open50 = milliseconds(result.Latency.Percentile(50))
	r.open99 = milliseconds(result.Latency.Percentile(99))
	_, err = drained(ctx, d)
	return err
}

func perTenThousand(d time.Duration, deliveries int) float64 {
	return d.Seconds() / float64(deliveries) * 10_000
}

// median is that of a value of all rounds at a point.
func (a *acceptance) median(p point, value func(round) float64) float64 {
	return median(a.rounds[p], value)
}
