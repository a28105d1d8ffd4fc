package daemon

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/hooktroupe/hooktroupe/cluster/peers"
	"github.com/hooktroupe/hooktroupe/http/stream"
	"github.com/hooktroupe/hooktroupe/internal/clock"
	pb "github.com/hooktroupe/hooktroupe/messages/clusterv1"
)

const (
	// changesHeld is how long a member that has nothing new lets others wait; changesFor bounds the question.
	changesHeld = 5 * time.Second
	changesFor  = 8 * time.Second
	// changesBatch is how many changes are answered at one time, at most every changesPace.
	changesBatch = 256
	changesPace  = 100 * time.Millisecond
	// followRetry is the wait after a member did not answer, followOlder after one did not know the question.
	followRetry = time.Second
	followOlder = time.Minute
	// lookForMembers is how often a follower looks who is there.
	lookForMembers = time.Second
	// followPatience bounds how long a stream that opens waits for other members.
	followPatience = time.Second
	// followOn is how long members are followed after the last reader has gone: it may be back soon.
	followOn = 30 * time.Second
)

// changesAfter answers what has changed here: at once if there is something, or when there is, or after a while.
func (f *front) changesAfter(ctx context.Context, after string) *pb.Changes {
	reader, lost := f.own.Open(after)
	answer := &pb.Changes{Cursor: reader.ID(), Lost: lost}
	if after == "" || lost {
		return answer
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer f.clock.AfterFunc(changesHeld, cancel).Stop()
	buffer := make([]stream.Numbered, 0, changesBatch)
	for {
		read, more, lost := reader.Read(buffer)
		answer.Cursor, answer.Lost = reader.ID(), lost
		for _, n := range read {
			answer.Changes = append(answer.Changes, packChange(n.Change.Show()))
		}
		if lost || more == nil {
			return answer
		}
		select {
		case <-more:
		case <-ctx.Done():
			return answer
		}
	}
}

// follow is status.Dependencies.Follow; nil on one machine.
func (d *daemon) follow() func() (release func()) {
	f := d.front
	if f == nil {
		return nil
	}
	others := &following{
		clock: d.clock, publish: d.changes.Publish, others: f.others,
		ask: func(ctx context.Context, address, after string) (*pb.Changes, error) {
			ctx, cancel := context.WithTimeout(ctx, changesFor)
			defer cancel()
			a, err := f.peers.Ask(ctx, address, &pb.Ask{Question: &pb.Ask_FollowChanges{FollowChanges: &pb.FollowChanges{After: after}}})
			return a.GetChanges(), err
		},
	}
	d.cleanup.push("following", func() error { others.close(); return nil })
	return others.open
}

// others are the addresses of the members beside this one.
func (f *front) others() (addresses []string) {
	if f.member() == nil {
		return nil
	}
	for _, m := range f.node.View().Members {
		if !m.Self && m.Alive && m.Address != f.peers.Address() {
			addresses = append(addresses, m.Address)
		}
	}
	return addresses
}

// following has what changes at other members told by this member's stream, while somebody reads it. It asks each of them again
// and again, from where the answer before ended. Whenever changes may have been missed, the stream says so.
type following struct {
	clock   clock.Clock
	publish func(stream.Change)
	others  func() []string
	ask     func(ctx context.Context, address, after string) (*pb.Changes, error)

	mu      sync.Mutex // guards what follows
	readers int
	closed  bool
	stop    context.CancelFunc // nil while nobody is followed
	begun   chan struct{}      // closed once everybody is followed who was there at the beginning
	linger  clock.Timer        // nil unless the last reader has gone
	running sync.WaitGroup     // the goroutine of run
}

// open is for a reader that comes. It returns once all members are followed, or followPatience is over; release is for when the
// reader goes, and may be called twice.
func (f *following) open() (release func()) {
	f.mu.Lock()
	f.readers++
	if f.linger != nil {
		f.linger.Stop()
		f.linger = nil
	}
	if f.stop == nil && !f.closed {
		f.start()
	}
	begun := f.begun
	f.mu.Unlock()
	over := make(chan struct{})
	defer f.clock.AfterFunc(followPatience, func() { close(over) }).Stop()
	select {
	case <-begun:
	case <-over:
	}
	return sync.OnceFunc(f.release)
}

// start begins to follow. A reader that goes on where it was before nobody was followed is told that it missed something.
func (f *following) start() {
	f.publish(change{stream.Reset{}})
	ctx, cancel := context.WithCancel(context.Background())
	f.stop, f.begun = cancel, make(chan struct{})
	begun := f.begun
	f.running.Go(func() { f.run(ctx, begun) })
}

func (f *following) release() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.readers--; f.readers > 0 || f.stop == nil {
		return
	}
	f.linger = f.clock.AfterFunc(followOn, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.readers == 0 && f.stop != nil {
			f.stop()
			f.stop = nil
		}
	})
}

// close ends everything, and waits for it.
func (f *following) close() {
	f.mu.Lock()
	f.closed = true
	if f.stop != nil {
		f.stop()
		f.stop = nil
	}
	if f.begun == nil {
		f.begun = make(chan struct{})
		close(f.begun)
	}
	f.mu.Unlock()
	f.running.Wait()
}

// run has a goroutine for each other member that is there. It ends with ctx, after they have.
func (f *following) run(ctx context.Context, begun chan struct{}) {
	var members, first sync.WaitGroup
	defer members.Wait()
	followed := make(map[string]context.CancelFunc)
	for round := 0; ; round++ {
		others := f.others()
		for address, cancel := range followed {
			if !slices.Contains(others, address) {
				cancel()
				delete(followed, address)
				f.publish(change{stream.Reset{}}) // its last words may not have been heard
			}
		}
		for _, address := range others {
			if _, known := followed[address]; known {
				continue
			}
			one, cancel := context.WithCancel(ctx)
			followed[address] = cancel
			known := func() {}
			if round == 0 {
				first.Add(1)
				known = sync.OnceFunc(first.Done)
			}
			members.Go(func() {
				defer cancel()
				f.member(one, address, known)
			})
		}
		if round == 0 {
			members.Go(func() { first.Wait(); close(begun) })
		}
		if !pause(ctx, f.clock, lookForMembers) {
			return
		}
	}
}

// member follows one member until ctx ends. known is called once it is followed from a place that is known.
func (f *following) member(ctx context.Context, address string, known func()) {
	defer known()
	after := ""
	for {
		wait := changesPace
		changes, err := f.ask(ctx, address, after)
		switch {
		case errors.Is(err, peers.ErrNotSupported):
			known()
			wait = followOlder
		case err != nil:
			wait = followRetry
		default:
			if after == "" || changes.GetLost() {
				f.publish(change{stream.Reset{}})
			}
			for _, c := range changes.GetChanges() {
				if shown := unpackChange(c); shown != nil {
					f.publish(change{shown})
				}
			}
			after = changes.GetCursor()
			known()
		}
		if !pause(ctx, f.clock, wait) {
			return
		}
	}
}

// change is a stream.Change that shows itself.
type change struct{ shown any }

// Show is stream.Change.
func (c change) Show() any { return c.shown }

func packChange(shown any) *pb.Change {
	switch s := shown.(type) {
	case stream.Task:
		t := &pb.ChangedTask{
			Id: s.ID, Status: s.Status, Source: s.Source, Event: s.Event, Route: s.Route, Key: s.Key, Attempts: s.Attempts, At: s.At,
		}
		if s.Parent != nil {
			t.Parent = *s.Parent
		}
		return &pb.Change{What: &pb.Change_Task{Task: t}}
	case stream.Lane:
		return &pb.Change{What: &pb.Change_Lane{Lane: &pb.ChangedLane{Route: s.Route, Key: s.Key, Paused: s.Paused, At: s.At}}}
	case stream.Replay:
		return &pb.Change{What: &pb.Change_Replay{Replay: &pb.ChangedReplay{
			Id: s.ID, State: s.State, Total: s.Total, Replayed: s.Replayed, Refused: s.Refused, At: s.At,
		}}}
	default:
		return &pb.Change{}
	}
}

// unpackChange returns what is shown of a change; nil of one of a kind that is not known.
func unpackChange(c *pb.Change) any {
	switch what := c.GetWhat().(type) {
	case *pb.Change_Task:
		t := what.Task
		shown := stream.Task{
			ID: t.GetId(), Status: t.GetStatus(), Source: t.GetSource(), Event: t.GetEvent(), Route: t.GetRoute(), Key: t.GetKey(),
			Attempts: t.GetAttempts(), At: t.GetAt(),
		}
		if parent := t.GetParent(); parent != "" {
			shown.Parent = &parent
		}
		return shown
	case *pb.Change_Lane:
		l := what.Lane
		return stream.Lane{Route: l.GetRoute(), Key: l.GetKey(), Paused: l.GetPaused(), At: l.GetAt()}
	case *pb.Change_Replay:
		r := what.Replay
		return stream.Replay{
			ID: r.GetId(), State: r.GetState(), Total: r.GetTotal(), Replayed: r.GetReplayed(), Refused: r.GetRefused(), At: r.GetAt(),
		}
	default:
		return nil
	}
}
