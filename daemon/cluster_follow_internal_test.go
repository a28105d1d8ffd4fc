package daemon

import (
	"context"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/hooktroupe/hooktroupe/cluster/peers"
	"github.com/hooktroupe/hooktroupe/http/stream"
	"github.com/hooktroupe/hooktroupe/internal/clock"
	"github.com/hooktroupe/hooktroupe/messages"
	pb "github.com/hooktroupe/hooktroupe/messages/clusterv1"
)

// asked is a question that waits for its answer.
type asked struct {
	address, after string
	answer         chan<- *pb.Changes // nil is peers.ErrUnreachable
}

// rehearsal is a following whose other members are played by the test.
type rehearsal struct {
	*following
	t     *testing.T
	clock *clock.Fake
	asks  chan asked
	feed  *stream.Reader
	mu    sync.Mutex // guards there
	there []string
}

func rehearse(t *testing.T, there ...string) *rehearsal {
	t.Helper()
	start := time.Unix(1700000000, 0)
	feed := stream.New(100, start)
	r := &rehearsal{t: t, clock: clock.NewFake(start), asks: make(chan asked), there: there}
	r.feed, _ = feed.Open("")
	r.following = &following{
		clock: r.clock, publish: feed.Publish,
		others: func() []string {
			r.mu.Lock()
			defer r.mu.Unlock()
			return slices.Clone(r.there)
		},
		ask: func(ctx context.Context, address, after string) (*pb.Changes, error) {
			answer := make(chan *pb.Changes, 1)
			select {
			case r.asks <- asked{address, after, answer}:
			case <-ctx.Done():
				return nil, peers.ErrUnreachable
			}
			select {
			case c := <-answer:
				switch {
				case c == nil:
					return nil, peers.ErrUnreachable
				case c.GetCursor() == "old":
					return nil, peers.ErrNotSupported
				}
				return c, nil
			case <-ctx.Done():
				return nil, peers.ErrUnreachable
			}
		},
	}
	t.Cleanup(r.close)
	return r
}

// come has a reader come, while the test answers.
func (r *rehearsal) come() <-chan func() {
	opened := make(chan func(), 1)
	go func() { opened <- r.open() }()
	return opened
}

// until lets time pass until something is there.
func until[T any](r *rehearsal, from <-chan T) T {
	r.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; {
		select {
		case v := <-from:
			return v
		case <-time.After(time.Millisecond):
			if r.clock.Advance(50 * time.Millisecond); time.Now().After(deadline) {
				r.t.Fatal("nothing comes")
			}
		}
	}
}

// expect takes the next question, which must be that one.
func (r *rehearsal) expect(address, after string) chan<- *pb.Changes {
	r.t.Helper()
	a := until(r, r.asks)
	if a.address != address || a.after != after {
		r.t.Errorf("%s was asked for what is after %q; want %s, %q", a.address, a.after, address, after)
	}
	return a.answer
}

// told is what the feed tells next.
func (r *rehearsal) told() any {
	r.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; {
		read, more, lost := r.feed.Read(make([]stream.Numbered, 0, 1))
		if lost {
			r.t.Fatal("the feed lost something")
		}
		if more == nil {
			return read[0].Change.Show()
		}
		select {
		case <-more:
		case <-time.After(time.Millisecond):
			if r.clock.Advance(50 * time.Millisecond); time.Now().After(deadline) {
				r.t.Fatal("nothing is told")
			}
		}
	}
}

// silent fails where the feed tells anything more.
func (r *rehearsal) silent() {
	r.t.Helper()
	if read, _, _ := r.feed.Read(make([]stream.Numbered, 0, 1)); len(read) > 0 {
		r.t.Errorf("told: %v", read[0].Change.Show())
	}
}

func (r *rehearsal) wantReset(why string) {
	r.t.Helper()
	if got := r.told(); got != (stream.Reset{}) {
		r.t.Errorf("%s: told %v, want a reset", why, got)
	}
}

func laneOf(key string) *pb.Change { return packChange(stream.Lane{Key: key}) }

func TestOthersAreFollowedWhileSomebodyReads(t *testing.T) {
	r := rehearse(t, "a")
	opened := r.come()
	answer := r.expect("a", "")
	r.wantReset("nobody was followed before")
	select {
	case <-opened:
		t.Error("the reader came before the other member was followed")
	default:
	}
	answer <- &pb.Changes{Cursor: "1"}
	release := until(r, opened)
	r.wantReset("a is followed from here")
	r.expect("a", "1") <- &pb.Changes{Cursor: "3", Changes: []*pb.Change{laneOf("x"), {}, laneOf("y")}}
	if x, y := r.told(), r.told(); x != (stream.Lane{Key: "x"}) || y != (stream.Lane{Key: "y"}) {
		t.Errorf("told %v, %v", x, y)
	}
	r.expect("a", "3") <- nil // frozen for a while
	r.expect("a", "3") <- &pb.Changes{Cursor: "4", Changes: []*pb.Change{laneOf("z")}}
	if z := r.told(); z != (stream.Lane{Key: "z"}) {
		t.Errorf("after the silence: %v", z)
	}
	r.silent()
	r.expect("a", "4") <- &pb.Changes{Cursor: "other-9", Lost: true} // it has started anew
	r.wantReset("a lost something")

	// A second reader shares all that; once both have gone, the member is left alone after a while.
	second := until(r, r.come())
	release()
	release()
	r.expect("a", "other-9") <- &pb.Changes{Cursor: "other-10", Changes: []*pb.Change{laneOf("second")}}
	if got := r.told(); got != (stream.Lane{Key: "second"}) {
		t.Errorf("the second reader: %v", got)
	}
	pending := r.expect("a", "other-10")
	second()
	r.clock.Advance(followOn)
	pending <- &pb.Changes{Cursor: "never", Changes: []*pb.Change{laneOf("never")}}
	opened = r.come()
	if a := until(r, r.asks); a.after != "" {
		t.Errorf("after nobody was there, what is after %q is asked for", a.after)
	} else {
		a.answer <- &pb.Changes{Cursor: "other-12"}
	}
	until(r, opened)
	for got := r.told(); got != (stream.Reset{}); got = r.told() { // what was under way may still have come
		if got != (stream.Lane{Key: "never"}) {
			t.Errorf("told %v", got)
		}
	}
}

func TestMembersComeAndGo(t *testing.T) {
	r := rehearse(t)
	until(r, r.come())
	r.wantReset("the beginning")
	r.mu.Lock()
	r.there = []string{"b"}
	r.mu.Unlock()
	r.expect("b", "") <- &pb.Changes{Cursor: "1"}
	r.wantReset("b is new")
	r.expect("b", "1") // and dies over it
	r.mu.Lock()
	r.there = nil
	r.mu.Unlock()
	r.wantReset("b is gone")
	r.silent()
}

func TestAReaderWaitsForNobodyWhoDoesNotAnswer(t *testing.T) {
	r := rehearse(t, "frozen")
	opened := r.come()
	r.expect("frozen", "")
	until(r, opened) // as time passes

	old := rehearse(t, "older")
	opened = old.come()
	before := old.clock.Now()
	old.expect("older", "") <- &pb.Changes{Cursor: "old"}
	until(old, opened)
	if waited := old.clock.Now().Sub(before); waited >= followPatience+time.Second {
		t.Errorf("the reader waited %v for a member that does not know the question", waited)
	}
}

func TestChangesSurviveTheWire(t *testing.T) {
	parent := "p"
	for _, want := range []any{
		stream.Task{ID: "i", Parent: &parent, Status: "queued", Source: "s", Event: "e", Route: "r", Key: "k", Attempts: 3, At: "t"},
		stream.Task{ID: "i"},
		stream.Lane{Route: "r", Key: "k", Paused: true, At: "t"},
		stream.Replay{ID: "7", State: "running", Total: 3, Replayed: 2, Refused: 1, At: "t"},
	} {
		data, err := proto.Marshal(packChange(want))
		if err != nil {
			t.Fatal(err)
		}
		var c pb.Change
		if err := proto.Unmarshal(data, &c); err != nil {
			t.Fatal(err)
		}
		if got := unpackChange(&c); !reflect.DeepEqual(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	if got := unpackChange(packChange(stream.Reset{})); got != nil {
		t.Errorf("a kind that is not known: %v", got)
	}
}

// TestChangesOfAMemberAreToldToOthers asks as another member does.
func TestChangesOfAMemberAreToldToOthers(t *testing.T) {
	fake := clock.NewFake(time.Unix(1700000000, 0))
	f := &front{clock: fake, own: stream.New(4, fake.Now())}
	ask := func(after string) *pb.Changes {
		return f.answerMember(t.Context(), &pb.Ask{Question: &pb.Ask_FollowChanges{FollowChanges: &pb.FollowChanges{After: after}}}).GetChanges()
	}
	first := ask("")
	if first.GetCursor() == "" || first.GetLost() || len(first.GetChanges()) > 0 {
		t.Fatalf("the first answer: %v", first)
	}
	waiting := make(chan *pb.Changes)
	go func() { waiting <- ask(first.GetCursor()) }()
	f.own.Publish(change{stream.Lane{Key: "x"}})
	second := <-waiting
	if len(second.GetChanges()) != 1 || second.GetChanges()[0].GetLane().GetKey() != "x" || second.GetLost() {
		t.Errorf("the second: %v", second)
	}
	go func() { waiting <- ask(second.GetCursor()) }()
	for fake.Pending() == 0 {
		time.Sleep(time.Millisecond)
	}
	fake.Advance(changesHeld)
	if got := <-waiting; len(got.GetChanges()) > 0 || got.GetCursor() != second.GetCursor() {
		t.Errorf("nothing new: %v", got)
	}
	for range 9 {
		f.own.Publish(change{stream.Lane{Key: "y"}})
	}
	got := ask(second.GetCursor())
	f.own.Publish(change{stream.Lane{Key: "z"}})
	if after := ask(got.GetCursor()); !got.GetLost() || after.GetLost() || after.GetChanges()[0].GetLane().GetKey() != "z" {
		t.Errorf("behind what is kept: %v, and then %v", got, after)
	}
	if got := ask("another-process-7"); !got.GetLost() {
		t.Errorf("of another process: %v", got)
	}
	if a := (&front{gate: &gate{}, clock: fake}); a.answer(t.Context(), &pb.Ask{Question: &pb.Ask_GetCounts{GetCounts: &messages.GetCounts{}}}).GetFailed() == nil {
		t.Error("a member that starts answers")
	}
}
