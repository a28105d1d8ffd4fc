package actors_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/hooktroupe/hooktroupe/actors"
	"github.com/hooktroupe/hooktroupe/handler"
	"github.com/hooktroupe/hooktroupe/internal/clock"
	"github.com/hooktroupe/hooktroupe/internal/vfs"
	"github.com/hooktroupe/hooktroupe/journal/wal"
	"github.com/hooktroupe/hooktroupe/messages"
)

// ledger is the model: what was promised, in the simplest words.
type ledger struct {
	mu        sync.Mutex
	accepted  map[int]string  // the task of each delivery that was answered as accepted
	refused   map[int]bool    // those that were refused, and not accepted later
	cancelled map[string]bool // tasks whose cancellation was confirmed, and not undone by a power cut
	worked    map[string]int  // how often a handler succeeded at a delivery
	calm      bool
}

// Handle fails twice in three times, by chance of the attempt, until it is calm.
func (l *ledger) Handle(_ context.Context, t *handler.Task) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	number, _ := strconv.Atoi(t.DeliveryID)
	if fate := (number*7 + t.Attempt*13) % 9; !l.calm && fate < 6 {
		switch fate {
		case 0:
			panic("trouble")
		case 1:
			return nil, handler.Discard(errHandler)
		default:
			return nil, errHandler
		}
	}
	l.worked[t.DeliveryID]++
	return []byte(t.DeliveryID), nil
}

// TestRandomHistoriesAgainstALedger drives registry, persister and the real journal, on a disk that loses what was not
// synced, through deliveries, duplicates, refusals, cancellations, retries, snapshots, stops and power cuts. Whatever was
// answered as accepted is there for ever under the same ID, a duplicate makes no second task, what was refused is not
// there, counts say what the list says, and in the end everything is final and was worked where it says so.
func TestRandomHistoriesAgainstALedger(t *testing.T) {
	few(t, 25)
	rapid.Check(t, func(rt *rapid.T) { ledgerHistory(t, rt) })
}

// diskStage is a stage whose journal lies on a disk of the test.
type diskStage struct {
	*stage
	rt   *rapid.T
	disk *vfs.Mem
	wal  *wal.Journal
}

// boot opens the journal and raises the troupe.
func (d *diskStage) boot() {
	opened, err := wal.Open("/journal", wal.Config{SegmentBytes: 64 << 10}, wal.WithFS(d.disk))
	if err != nil {
		d.rt.Fatalf("open: %v", err)
	}
	d.wal = opened
	d.journal = &flakyJournal{Journal: opened}
	d.snapshots = opened.Snapshots()
	d.raise()
}

// down stops the troupe and closes the journal; what follows is another life.
func (d *diskStage) down() {
	if err := d.Stop(); err != nil {
		d.rt.Fatal(err)
	}
	if err := d.wal.Close(); err != nil {
		d.rt.Fatal(err)
	}
	d.clock = clock.NewFake(d.clock.Now()) // no timer outlives the process
}

func ledgerHistory(t *testing.T, rt *rapid.T) {
	l := &ledger{accepted: map[int]string{}, refused: map[int]bool{}, cancelled: map[string]bool{}, worked: map[string]int{}}
	d := &diskStage{stage: newStage(t, l.Handle), rt: rt, disk: vfs.NewMem(0)}
	d.config.MaxWaiting = rapid.IntRange(3, 60).Draw(rt, "most waiting")
	d.config.MaxAttempts = 4
	d.boot()
	for range rapid.IntRange(20, 200).Draw(rt, "steps") {
		switch rapid.IntRange(0, 15).Draw(rt, "step") {
		case 0:
			chance := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "chance"), 1))
			after := d.disk.PowerCut(chance) // at this very moment, whatever is under way
			d.down()
			d.disk = after
			clear(l.cancelled) // a change that was not synced yet may be undone
			d.boot()
		case 1:
			d.down()
			d.boot()
		case 2:
			if err := d.Snapshot(context.Background()); err != nil {
				rt.Fatal(err)
			}
		case 3, 4:
			d.clock.Advance(time.Duration(rapid.IntRange(1, 600).Draw(rt, "seconds")) * time.Second)
		case 5:
			l.command(d, rapid.Bool().Draw(rt, "cancel or retry"))
		case 6:
			l.check(d)
		default:
			l.deliver(d, rapid.IntRange(0, len(l.accepted)+len(l.refused)).Draw(rt, "delivery"))
		}
	}
	l.mu.Lock()
	l.calm = true
	l.mu.Unlock()
	d.finishAll(rt)
	l.check(d)
	l.final(d)
	d.down()
}

// deliver sends a delivery, one of those before or a new one, and enters the answer.
func (l *ledger) deliver(d *diskStage, n int) {
	accepted, refused, err := d.Accept(context.Background(), d.delivery(strconv.Itoa(n)))
	before, known := l.accepted[n]
	switch {
	case err != nil:
		d.rt.Fatal(err)
	case accepted != nil && known && accepted.GetWebhookId() != before:
		d.rt.Fatalf("delivery %d was task %s and is now %s", n, before, accepted.GetWebhookId())
	case accepted != nil && known && !accepted.GetDuplicate() && !accepted.GetRedelivered():
		d.rt.Fatalf("delivery %d came again and is answered as new: %v", n, accepted)
	case accepted != nil && !known && (accepted.GetDuplicate() || accepted.GetRedelivered()):
		d.rt.Fatalf("delivery %d is new and answered as %v", n, accepted)
	case accepted != nil:
		l.accepted[n] = accepted.GetWebhookId()
		delete(l.refused, n)
		if accepted.GetRedelivered() {
			delete(l.cancelled, accepted.GetWebhookId())
		}
	case refused.GetReason() != messages.Refusal_REFUSAL_BACKLOG_FULL:
		d.rt.Fatalf("refused: %v", refused)
	case !known:
		l.refused[n] = true
	}
}

// command cancels a task, or runs it again.
func (l *ledger) command(d *diskStage, cancel bool) {
	if len(l.accepted) == 0 {
		return
	}
	numbers := make([]int, 0, len(l.accepted))
	for n := range len(l.accepted) + len(l.refused) + 1 {
		if _, known := l.accepted[n]; known {
			numbers = append(numbers, n)
		}
	}
	id := l.accepted[rapid.SampledFrom(numbers).Draw(d.rt, "commanded")]
	if cancel {
		if done, _, err := d.Cancel(context.Background(), id, "not needed"); err != nil {
			d.rt.Fatal(err)
		} else if done != nil {
			l.cancelled[id] = true
		}
		return
	}
	if done, _, err := d.Retry(context.Background(), id); err != nil {
		d.rt.Fatal(err)
	} else if done != nil {
		delete(l.cancelled, id)
	}
}

// check holds what the troupe says against the ledger.
func (l *ledger) check(d *diskStage) {
	tasks, next, err := d.List(context.Background(), actors.Query{Limit: actors.MaxListed})
	if err != nil || next.String() != "00000000-0000-0000-0000-000000000000" {
		d.rt.Fatalf("list: %v, more after %v", err, next)
	}
	listed := make(map[string]*messages.Task, len(tasks))
	for _, task := range tasks {
		listed[task.GetWebhookId()] = task
	}
	for n, id := range l.accepted {
		got, known := listed[id]
		if !known {
			d.rt.Fatalf("delivery %d, task %s, was accepted and is lost", n, id)
		}
		if l.cancelled[id] && got.GetStatus() != cancelled {
			d.rt.Fatalf("task %s was cancelled and is %v", id, got.GetStatus())
		}
	}
	if len(listed) != len(l.accepted) {
		d.rt.Fatalf("%d tasks for %d accepted deliveries: something refused is there, or something twice", len(listed), len(l.accepted))
	}
}

// final looks at where everything ended.
func (l *ledger) final(d *diskStage) {
	counts, err := d.Counts(context.Background())
	if err != nil {
		d.rt.Fatal(err)
	}
	byStatus := map[messages.Status]uint64{}
	for n, id := range l.accepted {
		got := d.get(id)
		byStatus[got.GetStatus()]++
		l.mu.Lock()
		worked := l.worked[strconv.Itoa(n)]
		l.mu.Unlock()
		if got.GetStatus() == completed && (worked == 0 || string(got.GetResult()) != fmt.Sprint(n)) {
			d.rt.Fatalf("task %s is completed after %d successes, result %q", id, worked, got.GetResult())
		}
	}
	if byStatus[completed] != counts.GetCompleted() || byStatus[failed] != counts.GetFailed() || byStatus[cancelled] != counts.GetCancelled() {
		d.rt.Fatalf("counts %v, listed %v", counts, byStatus)
	}
}
