//go:build linux

package scenario

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/hooktroupe/hooktroupe/bench/internal/ceiling"
	"github.com/hooktroupe/hooktroupe/bench/internal/load"
	"github.com/hooktroupe/hooktroupe/bench/internal/procfs"
	"github.com/hooktroupe/hooktroupe/bench/internal/report"
	"github.com/hooktroupe/hooktroupe/bench/internal/stats"
	"github.com/hooktroupe/hooktroupe/bench/internal/target"
	"github.com/hooktroupe/hooktroupe/internal/pgserver"
)

// storeRound is what one round of store measured: deliveries that a member accepted and worked, jobs that were inserted one by
// one, and commits of one writer, per second; latency in milliseconds; processor time in seconds per 10,000 deliveries.
type storeRound struct {
	accepted, processed, inserted, committed float64
	latency50, latency99                     float64
	memberCPU, serverCPU, insertCPU          float64 // of the member, and of the server for it and for the inserts
}

// store tells how fast a cluster's only member accepts over PostgreSQL, beside a program that inserts a row into a queue's
// table with each request, and beside what one writer commits, on the same server. The generator, the member and the server
// share the processors; what inserts has no HTTP to serve, no signature to verify and nothing to work.
func store(ctx context.Context, b *Bench) error {
	if _, err := pgserver.Installed(); err != nil {
		b.Report.Skip("store", err.Error())
		return nil
	}
	rounds := 3
	if b.Short {
		rounds = 1
	}
	return b.inFolder(func(folder string) (err error) {
		// The server may run as a user of its own, who has to pass.
		if err := errors.Join(os.Chmod(b.Folder, 0o711), os.Chmod(folder, 0o711)); err != nil { //nolint:gosec // nobody can list them
			return err
		}
		server, err := pgserver.Start(pgserver.Options{Dir: folder})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, server.Close()) }()
		var all []storeRound
		for n := range rounds {
			r, err := b.storeRound(ctx, server, n)
			if err != nil {
				return err
			}
			all = append(all, r)
		}
		b.tellStore(all)
		return nil
	})
}

// storeRound measures all three, one after the other, in databases that are new.
func (b *Bench) storeRound(ctx context.Context, server *pgserver.Server, n int) (r storeRound, err error) {
	jobs, member := fmt.Sprint("jobs_", n), fmt.Sprint("member_", n)
	if err := errors.Join(server.CreateDatabase(jobs), server.CreateDatabase(member)); err != nil {
		return r, err
	}
	each := b.lasting(8*time.Second, time.Second)
	table, err := ceiling.OpenTable(ctx, server.URL(jobs), usual)
	if err != nil {
		return r, err
	}
	defer table.Close()
	if r.committed, err = table.Commit(ctx, each/2); err != nil {
		return r, err
	}
	cpu, err := serverCPU(server)
	if err != nil {
		return r, err
	}
	began := time.Now()
	if r.inserted, err = table.Insert(ctx, usual, load.Body(judged), each); err != nil {
		return r, err
	}
	spent, err := serverCPU(server)
	if err != nil {
		return r, err
	}
	r.insertCPU = perTenThousand(spent-cpu, int(r.inserted*time.Since(began).Seconds()))
	settings := target.DefaultSettings()
	settings.Store = server.URL(member)
	err = b.withDaemon(ctx, settings, func(d *target.Daemon, _ string) error { return r.measureMember(ctx, server, d, each) })
	return r, err
}

// measureMember measures the member, its work on what it accepted included.
func (r *storeRound) measureMember(ctx context.Context, server *pgserver.Server, d *target.Daemon, each time.Duration) error {
	server0, err := serverCPU(server)
	if err != nil {
		return err
	}
	member0, err := d.CPU()
	if err != nil {
		return err
	}
	began := time.Now()
	result, err := load.Run(ctx, load.Plan{
		Address: d.Address, Connections: usual, Count: endless, Duration: each, Requests: ofRepositories(usual),
	})
	if err != nil {
		return err
	}
	if _, err := drained(ctx, d); err != nil {
		return err
	}
	r.accepted, r.processed = result.PerSecond(), float64(result.Accepted)/time.Since(began).Seconds()
	r.latency50 = milliseconds(result.Latency.Percentile(50))
	r.latency99 = milliseconds(result.Latency.Percentile(99))
	server1, err := serverCPU(server)
	if err != nil {
		return err
	}
	member1, err := d.CPU()
	r.serverCPU = perTenThousand(server1-server0, result.Accepted)
	r.memberCPU = perTenThousand(member1-member0, result.Accepted)
	return err
}

// ofRepositories are the usual deliveries, of that many repositories in turn: their tasks are spread over the shards.
func ofRepositories(n int) []load.Request {
	var all []load.Request
	for i := range n {
		body := bytes.Replace(load.Body(judged), []byte("octo-repo"), fmt.Appendf(nil, "repo-%04d", i), 1)
		all = append(all, load.NewRequest(target.Secret, target.Completing, body))
	}
	return all
}

// serverCPU is the processor time of the server's processes that are there.
func serverCPU(server *pgserver.Server) (time.Duration, error) {
	text, err := os.ReadFile(filepath.Join(server.Dir(), "data", "postmaster.pid"))
	if err != nil {
		return 0, err
	}
	first, _, _ := strings.Cut(string(text), "\n")
	parent, err := strconv.Atoi(first)
	if err != nil {
		return 0, fmt.Errorf("PostgreSQL's process: %w", err)
	}
	children, err := os.ReadFile(fmt.Sprintf("/proc/%[1]d/task/%[1]d/children", parent))
	if err != nil {
		return 0, err
	}
	total := time.Duration(0)
	for _, pid := range append(strings.Fields(string(children)), first) {
		n, err := strconv.Atoi(pid)
		if err != nil {
			return 0, fmt.Errorf("a process of PostgreSQL: %w", err)
		}
		spent, err := procfs.Process(n).CPU()
		if err == nil {
			total += spent
		} // else it has ended: one that does the server's own work from time to time
	}
	return total, nil
}

func (b *Bench) tellStore(all []storeRound) {
	median := func(value func(storeRound) float64) float64 {
		var values []float64
		for _, r := range all {
			values = append(values, value(r))
		}
		return stats.Median(values)
	}
	for _, l := range []struct {
		name  string
		unit  report.Unit
		value func(storeRound) float64
	}{
		{"accepted by a member", report.PerSecond, func(r storeRound) float64 { return r.accepted }},
		{"processed by it", report.PerSecond, func(r storeRound) float64 { return r.processed }},
		{"one insert for each", report.PerSecond, func(r storeRound) float64 { return r.inserted }},
		{"commits of one writer", report.PerSecond, func(r storeRound) float64 { return r.committed }},
		{"processor of the member per 10,000", report.Seconds, func(r storeRound) float64 { return r.memberCPU }},
		{"processor of PostgreSQL per 10,000", report.Seconds, func(r storeRound) float64 { return r.serverCPU }},
		{"processor of PostgreSQL per 10,000 inserts", report.Seconds, func(r storeRound) float64 { return r.insertCPU }},
		{"p50", report.Milliseconds, func(r storeRound) float64 { return r.latency50 }},
		{"p99", report.Milliseconds, func(r storeRound) float64 { return r.latency99 }},
	} {
		b.Report.Tell("store", "8 KB × 64: "+l.name, median(l.value), l.unit)
	}
	b.Report.Judge("store", "8 KB × 64: accepted against one insert for each",
		median(func(r storeRound) float64 { return r.accepted / r.inserted }), report.Ratio,
		report.Aim{Bound: report.AtLeast, Value: 3})
	b.Report.Tell("store", "8 KB × 64: processor of PostgreSQL, inserts against a member",
		median(func(r storeRound) float64 { return r.insertCPU / r.serverCPU }), report.Ratio)
	b.Report.Tell("store", "8 KB × 64: accepted against commits of one writer",
		median(func(r storeRound) float64 { return r.accepted / r.committed }), report.Ratio)
}
