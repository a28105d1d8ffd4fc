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

	"github.com/jackc/pgx/v5"

	"github.com/hooktroupe/hooktroupe/bench/internal/ceiling"
	"github.com/hooktroupe/hooktroupe/bench/internal/load"
	"github.com/hooktroupe/hooktroupe/bench/internal/procfs"
	"github.com/hooktroupe/hooktroupe/bench/internal/report"
	"github.com/hooktroupe/hooktroupe/bench/internal/target"
	"github.com/hooktroupe/hooktroupe/internal/pgserver"
)

// storeRound is what one round of store measured, of each of those it measured.
type storeRound struct {
	member, river, unique, few onStore
	committed                  float64 // by one writer, per second
}

// onStore is what one server did over PostgreSQL: deliveries accepted per second, and done with per second; latency in
// milliseconds; processor time in seconds per 10,000 deliveries, of the process and of PostgreSQL for it.
type onStore struct{ accepted, processed, latency50, latency99, cpu, serverCPU float64 }

// overStore is what store measures with: PostgreSQL, the receiver that keeps deliveries in River, what is sent, and for how long.
type overStore struct {
	*Bench
	server     *pgserver.Server
	river      string
	deliveries []load.Request
	each       time.Duration
}

// fewest is how many connections to the database River's receiver is given beside one for each sender: as many as it was quickest
// with on two processors.
const fewest = 8

// store tells how fast a cluster's only member accepts over PostgreSQL, beside a receiver that inserts a job into River with each
// request, and beside what one writer commits, on the same server. The generator, whoever is measured and the server share
// the processors; the member works what it accepts meanwhile, and River's receiver works nothing.
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
		river, err := target.BuildRiver(ctx, folder)
		if err != nil {
			return err
		}
		// The server may run as a user of its own, who has to pass.
		if err := errors.Join(os.Chmod(b.Folder, 0o711), os.Chmod(folder, 0o711)); err != nil { //nolint:gosec // nobody can list them
			return err
		}
		server, err := pgserver.Start(pgserver.Options{Dir: folder})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, server.Close()) }()
		o := overStore{
			Bench: b, server: server, river: river, deliveries: ofRepositories(usual), each: b.lasting(6*time.Second, time.Second),
		}
		var all []storeRound
		for n := range rounds {
			r, err := o.round(ctx, n)
			if err != nil {
				return err
			}
			all = append(all, r)
		}
		b.tellStore(all)
		return nil
	})
}

// round measures all of them, one after the other, in databases that are new.
func (o *overStore) round(ctx context.Context, n int) (r storeRound, err error) {
	url := map[string]string{}
	for _, name := range []string{"commits", "river", "unique", "few", "member"} {
		database := fmt.Sprint(name, "_", n)
		if err := o.server.CreateDatabase(database); err != nil {
			return r, err
		}
		url[name] = o.server.URL(database)
	}
	if r.committed, err = ceiling.Commits(ctx, url["commits"], o.each/2); err != nil {
		return r, err
	}
	if r.river, err = o.overRiver(ctx, url["river"], target.River{Connections: usual}); err != nil {
		return r, err
	}
	if r.unique, err = o.overRiver(ctx, url["unique"], target.River{Connections: usual, Unique: true}); err != nil {
		return r, err
	}
	if r.few, err = o.overRiver(ctx, url["few"], target.River{Connections: fewest}); err != nil {
		return r, err
	}
	settings := target.DefaultSettings()
	settings.Store = url["member"]
	err = o.withDaemon(ctx, settings, func(d *target.Daemon, _ string) error {
		r.member, err = o.measure(ctx, url["member"], d.Process, func() error {
			_, err := drained(ctx, d)
			return err
		})
		return err
	})
	return r, err
}

// overRiver measures the receiver that keeps deliveries in River.
func (o *overStore) overRiver(ctx context.Context, url string, how target.River) (r onStore, err error) {
	p, err := target.StartRiver(ctx, o.river, url, how)
	if err != nil {
		return r, err
	}
	r, err = o.measure(ctx, url, p, func() error { return nil })
	if err != nil {
		return r, errors.Join(err, p.Kill())
	}
	return r, p.Stop()
}

// measure sends deliveries to a process, waits until it is done with them, and counts what that took. No measurement pays for
// what the one before it has left unwritten.
func (o *overStore) measure(ctx context.Context, url string, p *target.Process, done func() error) (r onStore, err error) {
	if err := checkpoint(ctx, url); err != nil {
		return r, err
	}
	server0, err := serverCPU(o.server)
	if err != nil {
		return r, err
	}
	process0, err := p.CPU()
	if err != nil {
		return r, err
	}
	began := time.Now()
	result, err := load.Run(ctx, load.Plan{
		Address: p.Address, Connections: usual, Count: endless, Duration: o.each, Requests: o.deliveries,
	})
	if err != nil {
		return r, err
	}
	if err := done(); err != nil {
		return r, err
	}
	took := time.Since(began)
	server1, err := serverCPU(o.server)
	if err != nil {
		return r, err
	}
	process1, err := p.CPU()
	if err != nil {
		return r, err
	}
	return onStore{
		accepted: result.PerSecond(), processed: float64(result.Accepted) / took.Seconds(),
		latency50: milliseconds(result.Latency.Percentile(50)), latency99: milliseconds(result.Latency.Percentile(99)),
		cpu:       perTenThousand(process1-process0, result.Accepted),
		serverCPU: perTenThousand(server1-server0, result.Accepted),
	}, nil
}

// checkpoint has the server write what it has in memory.
func checkpoint(ctx context.Context, url string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "CHECKPOINT")
	return errors.Join(err, conn.Close(context.WithoutCancel(ctx)))
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
	tell := func(what string, unit report.Unit, value func(storeRound) float64) {
		b.Report.Tell("store", "8 KB × 64: "+what, median(all, value), unit)
	}
	tell("processed by the member", report.PerSecond, func(r storeRound) float64 { return r.member.processed })
	tell("commits of one writer", report.PerSecond, func(r storeRound) float64 { return r.committed })
	for _, s := range []struct {
		name string
		of   func(storeRound) onStore
	}{
		{"River", func(r storeRound) onStore { return r.river }},
		{"River, unique", func(r storeRound) onStore { return r.unique }},
		{fmt.Sprintf("River, %d to the database", fewest), func(r storeRound) onStore { return r.few }},
		{"the member", func(r storeRound) onStore { return r.member }},
	} {
		tell(s.name+": accepted", report.PerSecond, func(r storeRound) float64 { return s.of(r).accepted })
		tell(s.name+": p50", report.Milliseconds, func(r storeRound) float64 { return s.of(r).latency50 })
		tell(s.name+": p99", report.Milliseconds, func(r storeRound) float64 { return s.of(r).latency99 })
		tell(s.name+": processor per 10,000", report.Seconds, func(r storeRound) float64 { return s.of(r).cpu })
		tell(s.name+": processor of PostgreSQL per 10,000", report.Seconds, func(r storeRound) float64 { return s.of(r).serverCPU })
	}
	b.Report.Judge("store", "8 KB × 64: accepted against River, one insert for each",
		median(all, func(r storeRound) float64 { return r.member.accepted / r.river.accepted }), report.Ratio,
		report.Aim{Bound: report.AtLeast, Value: 3})
	tell("accepted against River, unique by delivery ID", report.Ratio, func(r storeRound) float64 { return r.member.accepted / r.unique.accepted })
	tell(fmt.Sprintf("accepted against River, %d connections to the database", fewest), report.Ratio,
		func(r storeRound) float64 { return r.member.accepted / r.few.accepted })
	tell("processor of PostgreSQL, River against a member", report.Ratio, func(r storeRound) float64 { return r.river.serverCPU / r.member.serverCPU })
	tell("accepted against commits of one writer", report.Ratio, func(r storeRound) float64 { return r.member.accepted / r.committed })
}
