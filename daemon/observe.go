package daemon

import (
	"context"

	"github.com/sirupsen/logrus"

	"github.com/hooktroupe/hooktroupe/actors"
	"github.com/hooktroupe/hooktroupe/internal/logging"
	"github.com/hooktroupe/hooktroupe/journal"
)

// observer writes the actors' events to the log.
func observer(log *logrus.Logger) func(actors.Event) {
	logger := logging.Bridge(log, "actors")
	return func(e actors.Event) {
		level, message, attrs := e.Log()
		logger.LogAttrs(context.Background(), level, message, attrs...)
	}
}

// Recovery is how far recovery is.
type Recovery struct {
	// Done is how many tasks or records were taken in so far.
	Done int
	// Bytes of the journal were read so far, out of about Total.
	Bytes, Total int64
}

// progress returns what recovery calls, and what /readyz shows of it.
func (d *daemon) progress(s *storage, total int64) actors.Progress {
	segments := max(int64(s.journal.Stats().Segments), 1)
	first := uint32(0)
	return func(done int, at journal.Position) {
		if first == 0 {
			first = at.Segment
		}
		read := int64(at.Segment-first)*(total/segments) + int64(at.Offset)
		d.readiness.explain("recovering", map[string]any{"done": done, "bytes": read, "total_bytes": total})
		if d.options.Progress != nil {
			d.options.Progress(Recovery{Done: done, Bytes: read, Total: total})
		}
	}
}
