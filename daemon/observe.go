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

// progress returns what recovery calls, and what /readyz shows of it. Once the snapshot has been read, the total is what the
// records from there to the end take.
func (d *daemon) progress(s *storage, total int64) actors.Progress {
	segment := total / max(int64(s.journal.Stats().Segments), 1)
	first, end := uint32(0), s.journal.End()
	return func(done int, at journal.Position) {
		read := int64(0)
		if at.Segment != 0 {
			if first == 0 {
				first = at.Segment
				total = int64(end.Segment-first)*segment + int64(end.Offset)
			}
			read = int64(at.Segment-first)*segment + int64(at.Offset)
		}
		d.readiness.explain("recovering", map[string]any{"done": done, "bytes": read, "total_bytes": total})
		if d.options.Progress != nil {
			d.options.Progress(Recovery{Done: done, Bytes: read, Total: total})
		}
	}
}
