package ingress

import (
	"sync/atomic"

	"github.com/hooktroupe/hooktroupe/metrics"
)

// room bounds what is in flight: requests, and the memory of their bodies. Nobody waits for room; who finds none is
// refused.
type room struct {
	maxRequests, maxBytes atomic.Int64
	requests, bytes       atomic.Int64
	gauges                *metrics.Ingress
}

func newRoom(cfg Config, gauges *metrics.Ingress) *room {
	r := &room{gauges: gauges}
	r.resize(cfg)
	return r
}

// resize sets other bounds. What is in flight stays.
func (r *room) resize(cfg Config) {
	r.maxRequests.Store(int64(cfg.MaxInflightRequests))
	r.maxBytes.Store(int64(cfg.MaxInflightBytes))
}

// enter takes the place of one request, to be given back by leave, or says that there is none.
func (r *room) enter() bool {
	if r.requests.Add(1) > r.maxRequests.Load() {
		r.requests.Add(-1)
		return false
	}
	r.gauges.InflightRequests.Inc()
	return true
}

func (r *room) leave() {
	r.requests.Add(-1)
	r.gauges.InflightRequests.Dec()
}

// fits says whether so many more bytes would find room now. It takes nothing.
func (r *room) fits(n int) bool { return r.bytes.Load()+int64(n) <= r.maxBytes.Load() }

// grant begins the account of one body.
func (r *room) grant() grant { return grant{room: r} }

// grant is the memory that one body has taken. It belongs to one goroutine.
type grant struct {
	room  *room
	bytes int64
}

// extend takes n more bytes, or says that there is no room for them.
func (g *grant) extend(n int) bool {
	if g.room.bytes.Add(int64(n)) > g.room.maxBytes.Load() {
		g.room.bytes.Add(-int64(n))
		return false
	}
	g.bytes += int64(n)
	g.room.gauges.InflightBytes.Add(float64(n))
	return true
}

// release gives everything back. It is safe to call twice.
func (g *grant) release() {
	if g.bytes == 0 {
		return
	}
	g.room.bytes.Add(-g.bytes)
	g.room.gauges.InflightBytes.Sub(float64(g.bytes))
	g.bytes = 0
}
