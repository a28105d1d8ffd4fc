package actors_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/hooktroupe/hooktroupe/actors"
	"github.com/hooktroupe/hooktroupe/handler"
	"github.com/hooktroupe/hooktroupe/messages"
	"github.com/hooktroupe/hooktroupe/schedule"
)

// troubled is a handler whose attempts end as a hash says, and which notes what must not be.
type troubled struct {
	mu      sync.Mutex
	seed    uint64
	calm    bool           // everything succeeds from now on
	active  map[string]int // by lane
	total   int
	begun   map[string]int // by lane: the number of the newest task that has begun
	seen    map[string]bool
	worked  map[string]bool // those that succeeded
	faults  []string
	ordered func(route string) bool
	serial  func(route string) bool
}

// Handle works the task whose delivery ID is its number.
func (h *troubled) Handle(ctx context.Context, t *handler.Task) ([]byte, error) {
	lane := t.Route + "|" + t.Key
	number, _ := strconv.Atoi(t.DeliveryID)
	if ctx.Err() != nil {
		return nil, ctx.Err() // such as in a life that has ended before this goroutine had its turn
	}
	h.enter(lane, number, t)
	defer h.leave(lane)
	switch h.fate(t) {
	case 0:
		return nil, errHandler
	case 1:
		return nil, handler.RetryAfter(errHandler, 3*time.Second)
	case 2:
		return nil, handler.Discard(errHandler)
	case 3:
		panic("trouble")
	case 4:
		return nil, fmt.Errorf("the host is gone: %w", handler.ErrLost)
	case 5, 6:
		<-ctx.Done()
		return nil, context.Cause(ctx)
	default:
		h.succeeded(ctx, t)
		return nil, ctx.Err()
	}
}

func (h *troubled) succeeded(ctx context.Context, t *handler.Task) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.worked[t.DeliveryID] = h.worked[t.DeliveryID] || ctx.Err() == nil
}

func (h *troubled) enter(lane string, number int, t *handler.Task) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.active[lane] > 0 && h.ordered(t.Route) {
		h.faults = append(h.faults, fmt.Sprintf("two tasks of lane %s run at once", lane))
	}
	if !h.seen[t.DeliveryID] && h.serial(t.Route) && number < h.begun[lane] {
		h.faults = append(h.faults, fmt.Sprintf("lane %s began %d after %d", lane, number, h.begun[lane]))
	}
	h.seen[t.DeliveryID] = true
	h.begun[lane] = max(h.begun[lane], number)
	h.active[lane]++
	h.total++
}

func (h *troubled) leave(lane string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.active[lane]--
	h.total--
}

// fate is the same for the same attempt, so that a run can be repeated.
func (h *troubled) fate(t *handler.Task) uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.calm {
		return 99
	}
	sum := fnv.New64a()
	_, _ = fmt.Fprintf(sum, "%d %s %d", h.seed, t.DeliveryID, t.Attempt)
	return sum.Sum64() % 20
}

func (h *troubled) quiet() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.total == 0
}

// TestRandomHistoriesOfLanes drives up to 500 keys under every policy through deliveries, failures, panics, timeouts, lost
// handlers, cancellations, snapshots and crashes. No two tasks of an ordered lane overlap; in a serial lane none begins before
// those that came earlier are final; in a replacing lane one waits at most, whatever was superseded was so by a newer task, and
// the newest, and nothing that never ran, has run; nothing is lost, and in the end every task is final.
func TestRandomHistoriesOfLanes(t *testing.T) {
	few(t, 30)
	rapid.Check(t, func(rt *rapid.T) { lanesHistory(t, rt) })
}

// few makes rapid check less often than it would, for a test whose every check brings up whole troupes, unless the command
// line says how often.
func few(t *testing.T, checks int) {
	t.Helper()
	set := flag.Lookup("rapid.checks")
	if set.Value.String() != set.DefValue {
		return
	}
	if err := set.Value.Set(strconv.Itoa(checks)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = set.Value.Set(set.DefValue) })
}

func lanesHistory(t *testing.T, rt *rapid.T) {
	h := &troubled{
		seed: rapid.Uint64().Draw(rt, "seed"), active: map[string]int{}, begun: map[string]int{}, seen: map[string]bool{},
		worked:  map[string]bool{},
		ordered: func(route string) bool { return route != "parallel" },
		serial:  func(route string) bool { return route == "serial" },
	}
	s := newStage(t, nil)
	s.config.Workers = rapid.IntRange(1, 8).Draw(rt, "workers")
	// Every handler here heeds its context; the clock, which leaps, must not call one that has had no time to run abandoned,
	// because the lane of an abandoned attempt goes on beside it.
	s.config.Grace = 365 * 24 * time.Hour
	gate := schedule.NewGate("shared", schedule.Limits{Concurrency: rapid.IntRange(0, 4).Draw(rt, "concurrency")})
	var names []string
	for p := schedule.Parallel; p <= schedule.Supersede; p++ {
		names = append(names, p.String())
		s.routes = append(s.routes, actors.Route{
			Route: schedule.Route{
				Name: p.String(), Policy: p, Quiet: 2 * time.Second, MaxWait: 5 * time.Second, Gates: []*schedule.Gate{gate},
			},
			Binding: handler.Binding{Name: "troubled", Handler: h},
		})
	}
	s.raise()
	keys := rapid.IntRange(1, 500).Draw(rt, "keys")
	ids := make(map[int]string) // by the number of the delivery
	lanes := make(map[int]string)
	for range rapid.IntRange(20, 400).Draw(rt, "steps") {
		switch rapid.IntRange(0, 19).Draw(rt, "step") {
		case 0:
			s.crash()
			s.awaitQuiet(rt, "the handlers of the old life have ended", h.quiet)
			// The gate's places were held by the old life; a new process has a new gate.
			gate = schedule.NewGate("shared", schedule.Limits{Concurrency: 3})
			for i := range s.routes {
				s.routes[i].Gates = []*schedule.Gate{gate}
			}
			s.raise()
		case 1:
			if err := s.Snapshot(context.Background()); err != nil {
				rt.Fatal(err)
			}
		case 2, 3, 4:
			s.clock.Advance(time.Duration(rapid.IntRange(1, 20).Draw(rt, "seconds")) * time.Second)
		case 5:
			if len(ids) > 0 {
				victim := ids[rapid.IntRange(0, len(ids)-1).Draw(rt, "victim")]
				if _, _, err := s.Cancel(context.Background(), victim, "not needed"); err != nil {
					rt.Fatal(err)
				}
			}
		default:
			n := len(ids)
			key := rapid.IntRange(0, keys-1).Draw(rt, "key")
			route := names[key%len(names)]
			ids[n], lanes[n] = s.bring(strconv.Itoa(n), route, strconv.Itoa(key)), route+"|"+strconv.Itoa(key)
		}
		s.oneWaits(rt)
	}
	h.mu.Lock()
	h.calm = true
	h.mu.Unlock()
	s.finishAll(rt)
	h.judge(rt, s, ids, lanes)
	if err := s.Stop(); err != nil {
		rt.Fatal(err)
	}
}

// oneWaits checks that at most one task waits in each lane in which a newer one takes the place of those before.
func (s *stage) oneWaits(rt *rapid.T) {
	reply, err := s.Lanes(context.Background(), &messages.GetLanes{Limit: 1000})
	if err != nil {
		rt.Fatal(err)
	}
	for _, l := range reply.GetLanes() {
		if l.GetWaitingTotal() > 1 && l.GetRoute() != "parallel" && l.GetRoute() != "serial" {
			rt.Fatalf("%d wait in lane %s|%s", l.GetWaitingTotal(), l.GetRoute(), l.GetKey())
		}
	}
}

// awaitQuiet is eventually where nobody answers questions.
func (s *stage) awaitQuiet(rt *rapid.T, what string, yes func() bool) {
	for deadline := time.Now().Add(patience); !yes(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			rt.Fatalf("not so within %v: %s", patience, what)
		}
	}
}

// finishAll lets time pass until every task is final.
func (s *stage) finishAll(rt *rapid.T) {
	for deadline := time.Now().Add(patience); ; {
		counts, err := s.Counts(context.Background())
		if err != nil {
			rt.Fatal(err)
		}
		if counts.GetQueued()+counts.GetProcessing()+counts.GetRetrying() == 0 {
			return
		}
		if time.Now().After(deadline) {
			rt.Fatalf("tasks are stuck: %v", counts)
		}
		s.clock.Advance(10 * time.Second)
	}
}

// judge looks at where everything ended.
func (h *troubled) judge(rt *rapid.T, s *stage, ids map[int]string, lanes map[int]string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := errors.Join(asErrors(h.faults)...); err != nil {
		rt.Fatal(err)
	}
	numbers := make(map[string]int, len(ids))
	for n, id := range ids {
		numbers[id] = n
	}
	newest := make(map[string]int)
	for n := range ids {
		newest[lanes[n]] = max(newest[lanes[n]], n)
	}
	final := make(map[int]int64) // by number: when it became so
	for n := range len(ids) {
		id := ids[n]
		got := s.get(id)
		if got == nil {
			rt.Fatalf("delivery %d is lost", n)
		}
		h.judgeOne(rt, n, got)
		for earlier := range n {
			if lanes[earlier] == lanes[n] && strings.HasPrefix(lanes[n], "serial|") && len(got.GetAttemptLog()) > 0 &&
				got.GetAttemptLog()[0].GetStartedAt() < final[earlier] {
				rt.Fatalf("delivery %d of %s began before %d was final", n, lanes[n], earlier)
			}
		}
		final[n] = got.GetUpdatedAt()
		if got.GetStatus() != superseded {
			continue
		}
		by, known := numbers[strings.TrimPrefix(got.GetError(), "superseded by ")]
		if !known || by <= n || lanes[by] != lanes[n] {
			rt.Fatalf("delivery %d of %s: %s (%d of %s)", n, lanes[n], got.GetError(), by, lanes[by])
		}
		if n == newest[lanes[n]] {
			rt.Fatalf("delivery %d, the newest of %s, was superseded", n, lanes[n])
		}
	}
	list, err := s.allTasks()
	if err != nil || len(list) != len(ids) {
		rt.Fatalf("%d tasks for %d deliveries, %v", len(list), len(ids), err)
	}
}

// judgeOne holds what became of one task against what its handler was called for.
func (h *troubled) judgeOne(rt *rapid.T, n int, got *messages.Task) {
	id := strconv.Itoa(n)
	switch ran := h.seen[id]; {
	case got.GetAttempts() == 0 && ran:
		rt.Fatalf("delivery %d ran and has no attempt: %v", n, got)
	case got.GetStatus() == completed && !h.worked[id]:
		rt.Fatalf("delivery %d is completed and nobody worked it: %v", n, got)
	case got.GetStatus() == failed && !ran:
		rt.Fatalf("delivery %d failed and nobody tried: %v", n, got)
	}
}

func asErrors(texts []string) (errs []error) {
	for _, text := range texts {
		errs = append(errs, errors.New(text))
	}
	return errs
}

func (s *stage) allTasks() ([]*messages.Task, error) {
	tasks, _, err := s.List(context.Background(), actors.Query{Limit: actors.MaxListed})
	return tasks, err
}
