package daemon

import (
	"strconv"
	"strings"
	"time"

	"github.com/hooktroupe/hooktroupe/actors"
	"github.com/hooktroupe/hooktroupe/http/answer"
	"github.com/hooktroupe/hooktroupe/http/stream"
	"github.com/hooktroupe/hooktroupe/messages"
	"github.com/hooktroupe/hooktroupe/task"
)

// watcher hands the actors' changes to feeds, for the streams of the status API and for other members. What they look like
// there is made when somebody reads them.
func watcher(feeds ...*stream.Feed) func(actors.Change) {
	return func(c actors.Change) {
		for _, feed := range feeds {
			switch c := c.(type) {
			case *actors.TaskChanged:
				feed.Publish((*taskChange)(c))
			case *actors.LanePaused:
				feed.Publish((*laneChange)(c))
			case *actors.ReplayTurned:
				feed.Publish((*replayChange)(c))
			}
		}
	}
}

// Changes as stream.Change.
type (
	taskChange   actors.TaskChanged
	laneChange   actors.LanePaused
	replayChange actors.ReplayTurned
)

// Show is stream.Change.
func (c *taskChange) Show() any {
	shown := stream.Task{
		ID: c.ID.String(), Status: answer.StatusWord(messages.Status(c.Status)), Source: c.Source, Event: c.EventType,
		Route: c.Route, Key: c.Key, Attempts: c.Attempts, At: rfc3339(c.At),
	}
	if c.Parent != (task.ID{}) {
		parent := c.Parent.String()
		shown.Parent = &parent
	}
	return shown
}

// Show is stream.Change.
func (c *laneChange) Show() any {
	return stream.Lane{Route: c.Route, Key: c.Key, Paused: c.Paused, At: rfc3339(c.At)}
}

// Show is stream.Change.
func (c *replayChange) Show() any {
	r := c.Replay
	return stream.Replay{
		ID: strconv.FormatUint(r.GetId(), 10), State: strings.ToLower(strings.TrimPrefix(r.GetState().String(), "REPLAY_STATE_")),
		Total: r.GetTotal(), Replayed: r.GetReplayed(), Refused: r.GetRefused(), At: rfc3339(c.At),
	}
}

func rfc3339(nanos int64) string { return time.Unix(0, nanos).UTC().Format(time.RFC3339Nano) }
