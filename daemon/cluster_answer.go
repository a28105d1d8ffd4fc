package daemon

import (
	"context"
	"errors"

	"google.golang.org/protobuf/proto"

	"github.com/hooktroupe/hooktroupe/actors"
	"github.com/hooktroupe/hooktroupe/messages"
	pb "github.com/hooktroupe/hooktroupe/messages/clusterv1"
	"github.com/hooktroupe/hooktroupe/task"
)

// maxListBytes bounds the tasks of one member's page: it goes over the wire in one piece.
const maxListBytes = 8 << 20

// failed is an answer that says why there is none.
func failed(err error) *pb.Answer {
	return &pb.Answer{Answer: &pb.Answer_Failed{Failed: &pb.Failed{
		Away: errors.Is(err, actors.ErrAway) || errors.Is(err, errStarting), Detail: err.Error(),
	}}}
}

// answer answers a question of another member, or of this one, for the tasks that this member owns.
func (f *front) answer(ctx context.Context, q *pb.Ask) *pb.Answer {
	t := f.troupe.Load()
	if t == nil {
		return failed(errStarting)
	}
	switch m := q.GetQuestion().(type) {
	case *pb.Ask_GetTask:
		return answerTask(ctx, t, m.GetTask)
	case *pb.Ask_GetCounts:
		counts, err := t.Counts(ctx)
		return orFailed(err, func() *pb.Answer { return &pb.Answer{Answer: &pb.Answer_Counts{Counts: counts}} })
	case *pb.Ask_ListTasks:
		return answerList(ctx, t, m.ListTasks)
	case *pb.Ask_CancelTask:
		return answerChange(t.Cancel(ctx, m.CancelTask.GetWebhookId(), m.CancelTask.GetReason()))
	case *pb.Ask_RetryTask:
		return answerChange(t.Retry(ctx, m.RetryTask.GetWebhookId()))
	case *pb.Ask_MoveTask:
		return answerChange(t.Move(ctx, m.MoveTask.GetWebhookId(), m.MoveTask.GetFront()))
	case *pb.Ask_GetLanes:
		lanes, err := t.Lanes(ctx, m.GetLanes)
		return orFailed(err, func() *pb.Answer { return &pb.Answer{Answer: &pb.Answer_Lanes{Lanes: lanes}} })
	case *pb.Ask_PauseLane:
		changed, err := t.PauseLane(ctx, m.PauseLane)
		return orFailed(err, func() *pb.Answer { return &pb.Answer{Answer: &pb.Answer_LanesChanged{LanesChanged: changed}} })
	case *pb.Ask_Redelivered:
		return answerRedelivered(ctx, t, m.Redelivered.GetWebhookId())
	default:
		return answerReplays(ctx, t, q)
	}
}

// answerReplays answers what concerns tasks that run again in bulk.
func answerReplays(ctx context.Context, t *actors.Troupe, q *pb.Ask) *pb.Answer {
	switch m := q.GetQuestion().(type) {
	case *pb.Ask_StartReplay:
		return answerReplay(t.StartSharedReplay(ctx, m.StartReplay.GetId(), m.StartReplay.GetFilter(), m.StartReplay.GetRate()))
	case *pb.Ask_CancelReplay:
		return answerReplay(t.CancelReplay(ctx, m.CancelReplay.GetId()))
	case *pb.Ask_GetReplays:
		replays, err := t.Replays(ctx)
		return orFailed(err, func() *pb.Answer {
			return &pb.Answer{Answer: &pb.Answer_Replays{Replays: &messages.GetReplaysReply{Replays: replays}}}
		})
	case *pb.Ask_CountReplayable:
		count, err := t.CountReplayable(ctx, m.CountReplayable.GetFilter())
		return orFailed(err, func() *pb.Answer { return &pb.Answer{Answer: &pb.Answer_Count{Count: uint64(count)}} })
	default:
		return &pb.Answer{} // of a newer version
	}
}

// orFailed is the answer unless there is an error.
func orFailed(err error, answer func() *pb.Answer) *pb.Answer {
	if err != nil {
		return failed(err)
	}
	return answer()
}

func answerTask(ctx context.Context, t *actors.Troupe, m *messages.GetTask) *pb.Answer {
	found, at, err := t.Find(ctx, m.GetWebhookId())
	return orFailed(err, func() *pb.Answer {
		return &pb.Answer{Answer: &pb.Answer_FoundTask{FoundTask: &pb.FoundTask{
			Task: found, Segment: at.Segment, Offset: at.Offset, Length: at.Length,
		}}}
	})
}

func answerChange(changed *messages.Task, refused *messages.TaskRefused, err error) *pb.Answer {
	switch {
	case err != nil:
		return failed(err)
	case refused.GetAway():
		return failed(actors.ErrAway)
	case refused != nil:
		return &pb.Answer{Answer: &pb.Answer_TaskRefused{TaskRefused: refused}}
	default:
		return &pb.Answer{Answer: &pb.Answer_TaskChanged{TaskChanged: &messages.TaskChanged{Task: changed}}}
	}
}

func answerReplay(changed *messages.Replay, refused *messages.ReplayRefused, err error) *pb.Answer {
	switch {
	case err != nil:
		return failed(err)
	case refused != nil:
		return &pb.Answer{Answer: &pb.Answer_ReplayRefused{ReplayRefused: refused}}
	default:
		return &pb.Answer{Answer: &pb.Answer_ReplayChanged{ReplayChanged: &messages.ReplayChanged{Replay: changed}}}
	}
}

func answerRedelivered(ctx context.Context, t *actors.Troupe, id string) *pb.Answer {
	accepted, refused, err := t.Redelivered(ctx, id)
	switch {
	case err != nil:
		return failed(err)
	case refused != nil:
		return &pb.Answer{Answer: &pb.Answer_Refused{Refused: refused}}
	default:
		return &pb.Answer{Answer: &pb.Answer_Accepted{Accepted: accepted}}
	}
}

func answerList(ctx context.Context, t *actors.Troupe, m *pb.ListTasks) *pb.Answer {
	q := actors.NewQuery(m.GetFilter())
	q.Words, q.Routes, q.Limit = m.GetWords(), m.GetRoutes(), int(m.GetLimit())
	if len(m.GetAfter()) == len(q.After) {
		q.After = task.ID(m.GetAfter())
	}
	tasks, next, shards, err := t.ListServed(ctx, q)
	if err != nil {
		return failed(err)
	}
	list := &pb.ListedTasks{More: next != task.ID{}}
	for _, s := range shards {
		list.Shards = append(list.Shards, uint32(s))
	}
	size := 0
	for _, shown := range tasks {
		if size += proto.Size(shown); size > maxListBytes && len(list.GetTasks()) > 0 {
			list.More = true
			break
		}
		list.Tasks = append(list.Tasks, shown)
	}
	return &pb.Answer{Answer: &pb.Answer_ListedTasks{ListedTasks: list}}
}
