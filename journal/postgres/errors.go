package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/hooktroupe/hooktroupe/journal"
)

var (
	// ErrUnavailable means that the store cannot be reached, or did not answer in time. Of a write the outcome is unknown;
	// sending it again is safe.
	ErrUnavailable = errors.New("store unavailable")
	// ErrSchema means that the database is not one that this version works with: not migrated, migrated by a newer
	// version, or with another number of shards.
	ErrSchema = errors.New("store: wrong schema")
	// ErrSequence means that nothing was written because a batch's Seq does not follow that of the one before it.
	ErrSequence = errors.New("store: batch out of sequence")
)

// errStale means that a statement named a segment that is open no more.
var errStale = errors.New("store: the segment was closed")

// schemaError is an ErrSchema with what is wrong.
func schemaError(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrSchema, fmt.Sprintf(format, args...))
}

// The classes and codes of SQLSTATE that mean something here.
const (
	codeUndefinedTable   = "42P01"
	codeUniqueViolation  = "23505"
	codeDuplicateTable   = "42P07"
	codeDuplicateObject  = "42710"
	codeSerialization    = "40001"
	codeDeadlock         = "40P01"
	codeDiskFull         = "53100"
	codeCannotConnectNow = "57P03"
)

// unavailable are the beginnings of codes by which a server says that it cannot serve now: connection trouble, refused
// authorization or database, transactions that must run again, no resources, locks not had in time, shutting down, timed
// out, and a standby that does not write.
var unavailable = []string{"08", "28", "3D", "40", "53", "55P03", "57", "25006", "XX000"}

// code is the SQLSTATE of an error; empty if the server did not send one.
func code(err error) string {
	var p *pgconn.PgError
	if errors.As(err, &p) {
		return p.Code
	}
	return ""
}

// classify makes an error one of those that callers branch on. The server's details are left out, for they may hold data.
func classify(err error) error {
	c := code(err)
	switch {
	case err == nil, errors.Is(err, ErrUnavailable), ours(err):
		return err
	case c == codeDiskFull:
		return fmt.Errorf("%w: %w", journal.ErrFull, err)
	case c == "" || isUnavailable(c):
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	default:
		return fmt.Errorf("store: %w", err)
	}
}

// ours says whether an error was made here, or by the journal's contract, and needs no more said.
func ours(err error) bool {
	for _, known := range []error{
		ErrSchema, ErrSequence, journal.ErrFenced, journal.ErrNotFound, journal.ErrCorrupt, journal.ErrInvalid,
		journal.ErrTooLarge, journal.ErrFull, journal.ErrClosed, journal.ErrNoSnapshot,
	} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}

func isUnavailable(code string) bool {
	for _, prefix := range unavailable {
		if strings.HasPrefix(code, prefix) {
			return true
		}
	}
	return false
}

const (
	// maxAttempts bounds how often a call is tried.
	maxAttempts = 4
	// firstBackoff is the wait before the second attempt; it doubles.
	firstBackoff = 20 * time.Millisecond
)

// run calls fn, which must be safe to repeat, until it succeeds, fails for good, has been tried maxAttempts times, or the
// time is up. What was stale is looked up again between attempts.
func (s *Store) run(ctx context.Context, fn func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.config.Timeout)
	defer cancel()
	for attempt := 1; ; attempt++ {
		before := s.catalog.Load()
		err := fn(ctx)
		if err == nil || ours(err) || attempt == maxAttempts || ctx.Err() != nil {
			return s.give(err)
		}
		switch c := code(err); {
		case errors.Is(err, errStale) || c == codeUndefinedTable:
			if before == nil {
				return s.give(err)
			}
			if err := s.refresh(ctx, before.open); err != nil {
				return s.give(err)
			}
		case c == codeSerialization || c == codeDeadlock || c == codeCannotConnectNow || c == "":
			s.wait(ctx, firstBackoff<<(attempt-1))
		case strings.HasPrefix(c, "57P") || strings.HasPrefix(c, "08"):
			s.pool.Reset() // the other connections are as dead as this one
		default:
			return s.give(err)
		}
	}
}

// give is what run returns: a segment that stays stale is a store that is not to be had now.
func (s *Store) give(err error) error {
	if errors.Is(err, errStale) {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return classify(err)
}

// wait returns after d, or when ctx is done.
func (s *Store) wait(ctx context.Context, d time.Duration) {
	due := make(chan struct{}) // closed by the timer
	timer := s.config.Clock.AfterFunc(d, func() { close(due) })
	select {
	case <-due:
	case <-ctx.Done():
		timer.Stop()
	}
}
