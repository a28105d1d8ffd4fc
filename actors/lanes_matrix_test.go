package actors_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hooktroupe/hooktroupe/handler"
	"github.com/hooktroupe/hooktroupe/messages"
	"github.com/hooktroupe/hooktroupe/schedule"
)

// cell is one lane in one state, to which one thing happens.
type cell struct {
	*stage
	w      *workshop
	policy schedule.Policy
	held   string // the task that the state is about
	name   string // of its delivery
}

const cellKey = "o/r#1"

func (c *cell) arrive(name string) string { return c.bring(name, c.policy.String(), cellKey) }

// hold brings the task that the state is about.
func (c *cell) hold(name string) {
	c.name, c.held = name, c.arrive(name)
}

// begin brings it and lets it begin.
func (c *cell) begin(name string) {
	c.hold(name)
	c.tick(c.held, processing)
	c.eventually(name+" has begun", func() bool { return slices.Contains(c.w.begun(), name) })
}

func (c *cell) pause(paused bool) {
	c.t.Helper()
	if _, err := c.PauseLane(context.Background(), &messages.PauseLane{Key: cellKey, Paused: paused}); err != nil {
		c.t.Fatal(err)
	}
}

func (c *cell) cancel() {
	c.t.Helper()
	if _, _, err := c.Cancel(context.Background(), c.held, "not needed"); err != nil {
		c.t.Fatal(err)
	}
}

// hour passes the longest time that an attempt may take.
func (c *cell) hour() { c.clock.Advance(time.Hour) }

// laneState brings a lane into a state. It returns false where the policy knows no such state.
type laneState struct {
	name  string
	runs  bool // an attempt is under way
	enter func(*cell) bool
}

func laneStates() []laneState {
	return []laneState{
		{"waits for a worker", false, func(c *cell) bool {
			for i := range c.config.Workers {
				c.bring(fmt.Sprint("blocker", i), "parallel", "another")
			}
			c.eventually("every worker is busy", func() bool { return len(c.w.begun()) == c.config.Workers })
			c.hold("held")
			c.clock.Advance(10 * time.Second) // of quiet
			return true
		}},
		{"waits for quiet", false, func(c *cell) bool {
			if c.policy != schedule.Debounce {
				return false
			}
			c.hold("held")
			return true
		}},
		{"waits behind one that runs", false, func(c *cell) bool {
			c.begin("first")
			c.hold("held")
			return true
		}},
		{"runs", true, func(c *cell) bool {
			c.begin("held")
			return true
		}},
		{"runs and heeds nothing", true, func(c *cell) bool {
			c.begin("stubborn")
			return true
		}},
		{"waits for its next attempt", false, func(c *cell) bool {
			c.begin("held")
			c.w.end("held") <- errHandler
			c.await(c.held, retrying)
			return true
		}},
		{"is paused", false, func(c *cell) bool {
			c.begin("first")
			c.pause(true)
			c.hold("held")
			c.w.end("first") <- nil
			return true
		}},
		{"was cancelled and winds down", true, func(c *cell) bool {
			c.begin("stubborn")
			c.cancel()
			return true
		}},
		{"was superseded and winds down", true, func(c *cell) bool {
			if c.policy != schedule.Supersede {
				return false
			}
			c.begin("stubborn")
			c.arrive("successor")
			c.await(c.held, superseded)
			return true
		}},
		{"is beyond its deadline", true, func(c *cell) bool {
			c.begin("stubborn")
			c.hour()
			return true
		}},
	}
}

// laneEvent is what happens to a lane.
type laneEvent struct {
	name   string
	runs   bool // it happens to an attempt only
	happen func(*cell)
}

func laneEvents() []laneEvent {
	ends := func(name string, err error) laneEvent {
		return laneEvent{name, true, func(c *cell) { c.w.end(c.name) <- err }}
	}
	return []laneEvent{
		{"nothing", false, func(*cell) {}},
		{"a crash", false, func(c *cell) { c.crash(); c.raise() }},
		{"a snapshot and a crash", false, func(c *cell) {
			if err := c.Snapshot(context.Background()); err != nil {
				c.t.Fatal(err)
			}
			c.crash()
			c.raise()
		}},
		{"a cancellation", false, func(c *cell) { c.cancel() }},
		{"a cancellation and a crash", false, func(c *cell) { c.cancel(); c.crash(); c.raise() }},
		ends("a lost handler", fmt.Errorf("the host is gone: %w", handler.ErrLost)),
		ends("a panic", errPanic),
		ends("a failure", errHandler),
		ends("a failure for good", handler.Discard(errHandler)),
		{"the deadline and the grace", true, func(c *cell) { c.hour(); c.hour() }},
		{"a newer one", false, func(c *cell) { c.arrive("newer") }},
		{"a newer one and a crash", false, func(c *cell) { c.arrive("newer"); c.crash(); c.raise() }},
		{"a move to the back", false, func(c *cell) {
			if _, _, err := c.Move(context.Background(), c.held, false); err != nil {
				c.t.Fatal(err)
			}
		}},
		{"a retry", false, func(c *cell) {
			if _, _, err := c.Retry(context.Background(), c.held); err != nil {
				c.t.Fatal(err)
			}
		}},
	}
}

// TestNoLaneIsEverStuck brings a lane of every policy into every state and lets everything happen to it there. Afterwards
// one more task of the lane comes, and runs; every task becomes final, and nothing is left of the lane.
func TestNoLaneIsEverStuck(t *testing.T) {
	for policy := schedule.Parallel; policy <= schedule.Supersede; policy++ {
		for _, state := range laneStates() {
			for _, event := range laneEvents() {
				if event.runs && !state.runs {
					continue
				}
				t.Run(strings.Join([]string{policy.String(), state.name, event.name}, "/"), func(t *testing.T) {
					s, w := laneStage(t)
					s.config.AttemptTimeout = time.Hour
					c := &cell{stage: s.raise(), w: w, policy: policy}
					if !state.enter(c) {
						t.SkipNow()
					}
					event.happen(c)
					c.goesOn()
				})
			}
		}
	}
}

// goesOn lets handlers succeed and checks that the lane still works, and ends.
func (c *cell) goesOn() {
	c.t.Helper()
	close(c.w.open)
	c.pause(false)
	last := c.arrive("last")
	c.eventually("every task is final", func() bool {
		counts, err := c.Counts(context.Background())
		if err != nil {
			c.t.Fatal(err)
		}
		if counts.GetProcessing() == 0 { // else time would pass before a handler had any to end
			c.clock.Advance(10 * time.Second)
		}
		return counts.GetQueued()+counts.GetProcessing()+counts.GetRetrying() == 0
	})
	if got := c.get(last); got.GetStatus() != completed {
		c.t.Errorf("the next task of the lane is %v: %s", got.GetStatus(), got.GetError())
	}
	c.eventually("nothing is left of any lane", func() bool {
		lanes, err := c.Lanes(context.Background(), &messages.GetLanes{Limit: 10})
		return err == nil && lanes.GetTotal() == 0
	})
}
