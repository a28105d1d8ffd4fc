//go:build linux

package load

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hooktroupe/hooktroupe/bench/internal/stats"
)

// patience is how much longer than planned a run may take before it fails: no server may hold it up for ever.
const patience = time.Minute

// maxResponse is more than a server here ever answers, in bytes.
const maxResponse = 8 << 10

// Plan is what one run sends.
type Plan struct {
	// Address is the server's host:port.
	Address string
	// Requests are taken in turn: delivery i is Requests[i mod len]. At least one.
	Requests []Request
	// Connections is how many are open, each with one request in flight at most. At least one.
	Connections int
	// Count bounds the deliveries. At least one.
	Count int
	// Duration bounds the time in which deliveries begin; zero leaves the bound to Count.
	Duration time.Duration
	// Rate is deliveries a second for an open loop, in which latency counts from the moment that a delivery was due. Zero
	// is a closed loop: each connection sends as soon as it has its answer.
	Rate float64
}

// Result is what came of a run in which every delivery was answered 202.
type Result struct {
	// Accepted is how many there were.
	Accepted int
	// Elapsed is from the first send to the last answer.
	Elapsed time.Duration
	// Latency has one value for each.
	Latency stats.Sample
	// LongestGap is the longest time in which no answer came, on any connection.
	LongestGap time.Duration
}

// PerSecond is the rate of answers.
func (r Result) PerSecond() float64 { return float64(r.Accepted) / r.Elapsed.Seconds() }

// RefusedError is an answer other than 202.
type RefusedError struct {
	// Status is that of the answer, Body its text.
	Status int
	Body   string
}

// Error says what the server said.
func (e *RefusedError) Error() string {
	return fmt.Sprintf("a delivery was answered %d: %.300s", e.Status, e.Body)
}

// Run sends what was planned and waits for every answer. The first error, a *RefusedError among them, ends it; so does
// the end of ctx, and a server that keeps silent for a minute beyond the plan.
func Run(ctx context.Context, p Plan) (Result, error) {
	r := &run{plan: p}
	if _, err := rand.Read(r.name[:]); err != nil {
		return Result{}, err
	}
	conns, err := dial(ctx, p)
	defer func() {
		for _, c := range conns {
			_ = c.Close() // nothing is in flight any more
		}
	}()
	if err != nil {
		return Result{}, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(ctx, func() {
		for _, c := range conns {
			_ = c.SetDeadline(time.Unix(1, 0)) // wakes who reads or writes
		}
	})
	defer stop()
	r.begin = time.Now()
	r.next = r.source(ctx)
	senders := make([]sender, len(conns))
	var working sync.WaitGroup
	for i, c := range conns { // each goroutine ends with the plan, with its connection, or with ctx
		senders[i] = newSender(r, c)
		working.Go(func() {
			if err := senders[i].send(); err != nil {
				cancel(err)
			}
		})
	}
	working.Wait()
	elapsed := time.Since(r.begin)
	if err := context.Cause(ctx); err != nil {
		return Result{}, err
	}
	return r.result(senders, elapsed), nil
}

// dial opens the connections of a plan. They are returned beside an error too.
func dial(ctx context.Context, p Plan) ([]net.Conn, error) {
	var dialer net.Dialer
	conns := make([]net.Conn, 0, p.Connections)
	// An open loop takes as long as its schedule, a closed one as long as its duration; a count alone has patience.
	longest := p.Duration + patience
	if p.Rate > 0 {
		longest += time.Duration(float64(p.Count) / p.Rate * float64(time.Second))
	} else if p.Duration == 0 {
		longest += 10 * patience
	}
	for range p.Connections {
		c, err := dialer.DialContext(ctx, "tcp", p.Address)
		if err != nil {
			return conns, err
		}
		conns = append(conns, c)
		if err := c.SetDeadline(time.Now().Add(longest)); err != nil {
			return conns, err
		}
	}
	return conns, nil
}

// run is what the senders of one run share.
type run struct {
	plan  Plan
	name  [8]byte // random: no two runs send the same delivery
	begin time.Time
	// next returns the number of the delivery to be sent and when it is due, or false when there is none.
	next    func() (i int, due time.Time, ok bool)
	claimed atomic.Int64
	gaps    stats.Gaps
}

// source is where the senders take deliveries from.
func (r *run) source(ctx context.Context) func() (int, time.Time, bool) {
	if r.plan.Rate > 0 {
		due := pace(ctx, stats.Schedule{Start: r.begin, Rate: r.plan.Rate}, r.plan.bounded())
		return func() (int, time.Time, bool) {
			d, ok := <-due
			return d.number, d.at, ok
		}
	}
	return func() (int, time.Time, bool) {
		now := time.Now()
		if r.plan.Duration > 0 && now.Sub(r.begin) >= r.plan.Duration || ctx.Err() != nil {
			return 0, now, false
		}
		i := int(r.claimed.Add(1)) - 1
		return i, now, i < r.plan.Count
	}
}

// bounded is how many deliveries of an open loop fit into the plan.
func (p Plan) bounded() int {
	if p.Duration == 0 {
		return p.Count
	}
	return min(p.Count, int(p.Duration.Seconds()*p.Rate))
}

func (r *run) result(senders []sender, elapsed time.Duration) Result {
	parts := make([][]time.Duration, len(senders))
	for i := range senders {
		parts[i] = senders[i].latencies
	}
	all := stats.NewSample(parts...)
	return Result{Accepted: len(all), Elapsed: elapsed, Latency: all, LongestGap: r.gaps.Longest()}
}

// sender owns one connection.
type sender struct {
	run       *run
	conn      net.Conn
	requests  []Request
	latencies []time.Duration
	buf       []byte
}

func newSender(r *run, c net.Conn) sender {
	s := sender{run: r, conn: c, buf: make([]byte, maxResponse)}
	for _, request := range r.plan.Requests {
		s.requests = append(s.requests, request.clone(r.name))
	}
	return s
}

// send sends one delivery after the other until there is none left.
func (s *sender) send() error {
	for {
		i, due, ok := s.run.next()
		if !ok {
			return nil
		}
		request := s.requests[i%len(s.requests)]
		request.number(i)
		if err := s.exchange(request.text); err != nil {
			return err
		}
		now := time.Now()
		s.latencies = append(s.latencies, now.Sub(due))
		s.run.gaps.Mark(now.Sub(s.run.begin))
	}
}

// exchange sends a request and waits for its 202.
func (s *sender) exchange(request []byte) error {
	if _, err := s.conn.Write(request); err != nil {
		return fmt.Errorf("send a delivery: %w", err)
	}
	status, body, err := ReadResponse(s.conn, s.buf)
	switch {
	case errors.Is(err, ErrResponse):
		return err
	case err != nil:
		return fmt.Errorf("wait for an answer: %w", err)
	case status != http.StatusAccepted:
		return &RefusedError{Status: status, Body: string(body)}
	}
	return nil
}
