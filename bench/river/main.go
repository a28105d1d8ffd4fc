//go:build linux

// Command river is what a team runs that keeps deliveries in River, a queue in PostgreSQL, and not in Hooktroupe: a receiver that
// verifies GitHub's signature, inserts one job for the delivery in a transaction of its own, and answers 202 once that has
// committed. The benchmarks measure a member of a cluster beside it.
//
//	river [-unique] [-connections N] ADDRESS
//
// With -unique no delivery is a job twice: its ID is River's unique argument. The environment has the database's URL in
// BENCH_STORE, where River's schema is made, and the secret in BENCH_SECRET. It works no job. It is a module of its own, so that
// nothing else depends on River.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"github.com/hooktroupe/hooktroupe/bench/internal/ceiling"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Getenv("BENCH_STORE"), os.Getenv("BENCH_SECRET"))
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "river:", err)
		os.Exit(1)
	}
}

// options are the flags and the argument.
type options struct {
	address     string
	unique      bool
	connections int
}

func (o *options) parse(args []string) error {
	flags := flag.NewFlagSet("river", flag.ContinueOnError)
	flags.BoolVar(&o.unique, "unique", false, "no delivery is a job twice")
	flags.IntVar(&o.connections, "connections", 64, "how many there are to the database, at `most`")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 || o.connections < 1 || o.connections > 1000 {
		return errors.New("usage: river [-unique] [-connections N] ADDRESS")
	}
	o.address = flags.Arg(0)
	return nil
}

// run serves until ctx ends.
func run(ctx context.Context, args []string, url, secret string) error {
	var o options
	if err := o.parse(args); err != nil {
		return err
	}
	q, err := open(ctx, url, o)
	if err != nil {
		return err
	}
	defer q.pool.Close()
	listener, err := net.Listen("tcp", o.address)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = listener.Close() }) // Serve returns
	defer stop()
	return ceiling.NewReceiver(secret, func(d ceiling.Delivery) error { return q.insert(ctx, d) }).Serve(listener)
}

// delivery is a job's arguments.
type delivery struct {
	ID    string `json:"id" river:"unique"`
	Event string `json:"event"`
	// Body is text: the bytes that were signed, which as JSON within JSON they would not stay.
	Body string `json:"body"`
}

// Kind is River's name of the job.
func (delivery) Kind() string { return "delivery" }

// queue inserts jobs.
type queue struct {
	pool    *pgxpool.Pool
	client  *river.Client[pgx.Tx]
	options *river.InsertOpts
}

// open makes River's schema in a database, or brings it up to date.
func open(ctx context.Context, url string, o options) (*queue, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, errors.New("BENCH_STORE: it is not the URL of a PostgreSQL database")
	}
	config.MaxConns = int32(o.connections)
	q := &queue{options: &river.InsertOpts{UniqueOpts: river.UniqueOpts{ByArgs: o.unique}}}
	if q.pool, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return nil, err
	}
	if err := q.prepare(ctx); err != nil {
		q.pool.Close()
		return nil, err
	}
	return q, nil
}

func (q *queue) prepare(ctx context.Context) error {
	driver, silent := riverpgxv5.New(q.pool), slog.New(slog.DiscardHandler)
	migrator, err := rivermigrate.New(driver, &rivermigrate.Config{Logger: silent})
	if err != nil {
		return err
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return err
	}
	q.client, err = river.NewClient(driver, &river.Config{Logger: silent})
	return err
}

// insert commits a job for a delivery, by itself.
func (q *queue) insert(ctx context.Context, d ceiling.Delivery) error {
	_, err := q.client.Insert(ctx, delivery{ID: d.ID, Event: d.Event, Body: string(d.Body)}, q.options)
	return err
}
