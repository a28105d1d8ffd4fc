package daemon

import (
	"cmp"
	"context"
	"slices"

	"github.com/hooktroupe/hooktroupe/messages"
	pb "github.com/hooktroupe/hooktroupe/messages/clusterv1"
)

// A replay in a cluster is one of the same ID on every member: each makes the tasks that it owns run again, at its share of the
// rate. What the API shows is their sum. A member that dies takes its share with it, as a restart does on one machine: the same
// filter selects again what was left.

// StartReplay is status.Replays.
func (f *front) StartReplay(
	ctx context.Context, filter *messages.Filter, rate float64,
) (*messages.Replay, *messages.ReplayRefused, error) {
	if f.member() == nil {
		return nil, nil, errStarting
	}
	members := 0
	for _, m := range f.node.View().Members {
		if m.Alive {
			members++
		}
	}
	start := &messages.StartReplay{
		Id: uint64(f.clock.Now().UnixMicro()), Filter: filter, Rate: rate / float64(max(1, members)),
	}
	return f.allReplays(ctx, func() *pb.Ask { return &pb.Ask{Question: &pb.Ask_StartReplay{StartReplay: start}} })
}

// CancelReplay is status.Replays.
func (f *front) CancelReplay(ctx context.Context, id uint64) (*messages.Replay, *messages.ReplayRefused, error) {
	return f.allReplays(ctx, func() *pb.Ask {
		return &pb.Ask{Question: &pb.Ask_CancelReplay{CancelReplay: &messages.CancelReplay{Id: id}}}
	})
}

// allReplays sends a command about a replay to every member; a refusal counts where no member did otherwise.
func (f *front) allReplays(ctx context.Context, q func() *pb.Ask) (*messages.Replay, *messages.ReplayRefused, error) {
	answers, err := f.askAll(ctx, q)
	if err != nil {
		return nil, nil, err
	}
	var parts []*messages.Replay
	var refused *messages.ReplayRefused
	for _, a := range answers {
		if r := a.GetReplayRefused(); r != nil && (refused == nil || !r.GetNotFound()) {
			refused = r
		}
		if r := a.GetReplayChanged().GetReplay(); r != nil {
			parts = append(parts, r)
		}
	}
	if sums := sumReplays(parts); len(sums) > 0 {
		return sums[0], nil, nil
	}
	return nil, refused, nil
}

// Replays is status.Replays.
func (f *front) Replays(ctx context.Context) ([]*messages.Replay, error) {
	answers, err := f.askAll(ctx, func() *pb.Ask {
		return &pb.Ask{Question: &pb.Ask_GetReplays{GetReplays: &messages.GetReplays{}}}
	})
	if err != nil {
		return nil, err
	}
	var parts []*messages.Replay
	for _, a := range answers {
		parts = append(parts, a.GetReplays().GetReplays()...)
	}
	return sumReplays(parts), nil
}

// sumReplays adds up the members' parts of each replay, the newest first. One runs while a part of it does.
func sumReplays(parts []*messages.Replay) []*messages.Replay {
	byID := make(map[uint64]*messages.Replay)
	var sums []*messages.Replay
	for _, p := range parts {
		s, known := byID[p.GetId()]
		if !known {
			byID[p.GetId()] = p
			sums = append(sums, p)
			continue
		}
		s.Total += p.GetTotal()
		s.Replayed += p.GetReplayed()
		s.Refused += p.GetRefused()
		s.Rate += p.GetRate()
		s.StartedAt, s.EndedAt = min(s.GetStartedAt(), p.GetStartedAt()), max(s.GetEndedAt(), p.GetEndedAt())
		if worse := p.GetState(); worse == messages.ReplayState_REPLAY_STATE_RUNNING ||
			worse == messages.ReplayState_REPLAY_STATE_CANCELLED && s.GetState() != messages.ReplayState_REPLAY_STATE_RUNNING {
			s.State = worse
		}
	}
	for _, s := range sums {
		if s.GetState() == messages.ReplayState_REPLAY_STATE_RUNNING {
			s.EndedAt = 0
		}
	}
	slices.SortFunc(sums, func(a, b *messages.Replay) int { return cmp.Compare(b.GetId(), a.GetId()) })
	return sums
}

// CountReplayable is status.Replays.
func (f *front) CountReplayable(ctx context.Context, filter *messages.Filter) (int, error) {
	answers, err := f.askAll(ctx, func() *pb.Ask {
		return &pb.Ask{Question: &pb.Ask_CountReplayable{CountReplayable: &pb.CountReplayable{Filter: filter}}}
	})
	total := 0
	for _, a := range answers {
		total += int(a.GetCount())
	}
	return total, err
}
