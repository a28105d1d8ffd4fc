package health

import (
	"net/http"
	"slices"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/hooktroupe/hooktroupe/internal/logfield"
	"github.com/hooktroupe/hooktroupe/metrics"
	"github.com/hooktroupe/hooktroupe/source"
)

// verdict is what one answer means to its sender.
type verdict uint8

const (
	none    verdict = iota // nothing that the sender can have been told
	success                // a 2xx in time
	failure                // an answer that is no 2xx
	slow                   // an answer after the sender had hung up
	refused                // 401: a stranger, or a sender with another secret
)

// judge says what an answer means. Slowness comes before the status: the sender never read that.
func judge(a Answer, now time.Time, p source.Patience) verdict {
	ours := a.Code >= http.StatusInternalServerError
	switch {
	case !a.Verified && a.Code == http.StatusUnauthorized:
		return refused
	case !a.Verified && !ours:
		return none
	case p.AckWithin > 0 && !a.ReceivedAt.IsZero() && now.Sub(a.ReceivedAt) > p.AckWithin:
		return slow
	case a.Code >= http.StatusOK && a.Code < http.StatusMultipleChoices:
		return success
	default:
		return failure
	}
}

// apply changes the record and its metrics, and returns the state before and after. Metrics are set under the lock, so
// that the gauge shows the last failure and not the one before.
func (r *record) apply(v verdict, code int, now time.Time, m *metrics.Sources) (was, is State, failures int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	was = r.state
	switch v {
	case refused:
		r.refused++
		return was, was, r.consecutive
	case success:
		r.lastAcceptedAt, r.consecutive, r.state = now, 0, Healthy
		m.LastAccepted.With(r.source.Name).Set(float64(now.UnixMilli()) / 1000)
	default:
		if v == slow {
			r.slow++
			m.SlowAcks.With(r.source.Name).Inc()
		}
		r.consecutive++
		r.state = worse(r.state, stateAfter(r.source.Patience, r.consecutive, v == failure, code))
	}
	m.ConsecutiveFailures.With(r.source.Name).Set(float64(r.consecutive))
	m.State.With(r.source.Name).Set(float64(slices.Index(states[:], r.state)))
	return was, r.state, r.consecutive
}

// stateAfter is the state that a number of failures in a row amounts to, the last of which was answered with this code
// if it was answered in time.
func stateAfter(p source.Patience, failures int, inTime bool, code int) State {
	switch {
	case p.Failures == 0:
		return Healthy
	case failures >= p.Failures, inTime && p.Transient != nil && !slices.Contains(p.Transient, code):
		return SuspendedLikely
	case failures >= (p.Failures+1)/2:
		return Warning
	default:
		return Healthy
	}
}

// worse keeps a source that was suspended by one failure suspended after the next, lesser one.
func worse(a, b State) State {
	return states[max(slices.Index(states[:], a), slices.Index(states[:], b))]
}

// states are those there are, the worse ones later.
var states = [...]State{Healthy, Warning, SuspendedLikely}

// The fields of an entry about a change of state, beside those that every package knows.
const (
	fieldType     = "source.type"
	fieldState    = "source.state"
	fieldFailures = "consecutive_failures"
	fieldLimit    = "limit"
)

// tell logs that a source changed its state. The entry carries what the sender does next, for whoever reads it at night.
func (b *Board) tell(s Source, is State, failures, code int) {
	log := b.deps.Log.WithFields(logrus.Fields{
		logfield.Source: s.Name, fieldType: s.Type, fieldState: string(is),
		fieldFailures: failures, fieldLimit: s.Patience.Failures, logfield.HTTPStatus: code,
	})
	switch is {
	case Warning:
		log.Warn("a source is halfway to the failures at which its sender gives up. " + s.Patience.Then)
	case SuspendedLikely:
		log.Warn("a source has reached the failures at which its sender gives up. " + s.Patience.Then)
	default:
		log.Info("a source is healthy again")
	}
}
