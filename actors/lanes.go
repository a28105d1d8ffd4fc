package actors

import (
	"cmp"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/hooktroupe/hooktroupe/messages"
	"github.com/hooktroupe/hooktroupe/messages/journalv1"
	"github.com/hooktroupe/hooktroupe/schedule"
	"github.com/hooktroupe/hooktroupe/task"
)

const (
	// maxLaneShown bounds the waiting tasks that one lane shows.
	maxLaneShown = 100
	// maxLanesListed bounds the list of the longest lanes.
	maxLanesListed = 1000
	// maxPausedLanes bounds the lanes that are paused at one time: each is remembered until it goes on.
	maxPausedLanes = 10_000
)

// moveTask gives a waiting task another place in its lane. In front, it is due at once.
func (r *registry) moveTask(ctx actor.Context, m *messages.MoveTask) {
	s, ok := r.lookup(ctx, m.GetWebhookId())
	if !ok {
		return
	}
	e := r.tasks.get(s)
	if !r.schedule.Waits(uint32(s)) {
		detail := "a task that is " + e.Status.String() + " cannot be moved"
		if e.role == split {
			detail = "the delivery was split into parts: move one of them"
		}
		ctx.Respond(&messages.TaskRefused{Detail: detail})
		return
	}
	now := r.now()
	ev, err := e.Move(now)
	if err != nil {
		ctx.Respond(&messages.TaskRefused{Detail: err.Error()})
		return
	}
	order := now
	if m.GetFront() {
		order = r.tasks.order(s)
		if head := r.schedule.Lane(r.lane(e.place), now, 1).Waiting; len(head) > 0 {
			order = min(order, r.tasks.order(slot(head[0].Handle))) - 1
		}
	}
	due := e.DueAt
	r.commit(ctx, s, change{id: e.ID, event: ev, order: order}, nil, nil)
	r.schedule.Move(uint32(s), m.GetFront(), due)
	r.confirm(ctx, e.ID, &messages.TaskChanged{Task: r.tasks.message(s)})
	r.dispatch(ctx)
}

// pauseLane keeps lanes from starting tasks, or lets them go on, also after a restart.
func (r *registry) pauseLane(ctx actor.Context, m *messages.PauseLane) {
	if r.shards != nil && !r.ownsShard(r.shardOfKey(m.GetKey())) {
		ctx.Respond(away)
		return
	}
	reply := &messages.LanesChanged{}
	for _, number := range r.lanesOf(m.GetKey(), m.GetRoute()) {
		p := r.tasks.places.get(number)
		if _, paused := r.tasks.paused[number]; paused != m.GetPaused() && len(r.tasks.paused) < maxPausedLanes {
			lane := r.lane(number)
			r.tasks.pause(p, m.GetPaused())
			r.schedule.Pause(lane, m.GetPaused())
			r.write(ctx, r.shardOfKey(p.key), &store{
				kind:   journalv1.RecordType_RECORD_TYPE_LANE_PAUSED,
				record: &journalv1.LanePaused{Route: p.route, Key: p.key, Paused: m.GetPaused(), At: r.now()},
			})
			ctx.ActorSystem().EventStream.Publish(
				&LanePaused{Route: p.route, Key: p.key, Paused: m.GetPaused(), At: r.now()})
		}
		if current, known := r.tasks.places.find(p); known {
			reply.Lanes = append(reply.Lanes, r.showLane(current))
		}
	}
	if r.shards != nil {
		r.write(ctx, r.shardOfKey(m.GetKey()), &store{answer: reply, replyTo: ctx.Sender()}) // as confirm
	} else {
		ctx.Respond(reply)
	}
	r.dispatch(ctx)
}

// lanesOf returns the places of a key, on one route or on all that have it, by the name of the route.
func (r *registry) lanesOf(key, route string) []uint32 {
	var numbers []uint32
	add := func(name string) {
		if number, known := r.tasks.places.find(place{name, key}); known && (route == "" || route == name) {
			numbers = append(numbers, number)
		}
	}
	names := make([]string, 0, len(r.routes)+1)
	for name := range r.routes {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range append([]string{""}, names...) {
		add(name)
	}
	if _, configured := r.routes[route]; route != "" && !configured {
		add(route) // tasks of a route that is not configured any more
	}
	return numbers
}

// getLanes answers why something waits.
func (r *registry) getLanes(ctx actor.Context, m *messages.GetLanes) {
	reply := &messages.GetLanesReply{}
	for _, number := range r.lanesOf(m.GetKey(), m.GetRoute()) {
		reply.Lanes = append(reply.Lanes, r.showLane(number))
	}
	reply.Total = uint64(len(reply.Lanes))
	ctx.Respond(reply)
}

// getLanesAt answers how lanes stand, without their tasks. Those that are gone meanwhile are left out.
func (r *registry) getLanesAt(ctx actor.Context, m *getLanesAt) {
	reply := &messages.GetLanesReply{}
	for _, p := range m.places {
		number, known := r.tasks.places.find(p)
		if !known {
			continue
		}
		state := r.schedule.Lane(r.lane(number), r.now(), 1)
		reply.Lanes = append(reply.Lanes, &messages.Lane{
			Route: p.route, Key: p.key, Policy: state.Policy.String(), Paused: state.Paused, WaitingTotal: uint64(state.Total),
		})
	}
	ctx.Respond(reply)
}

// showLane is a lane with what runs and waits in it, and why its head does not run.
func (r *registry) showLane(number uint32) *messages.Lane {
	p := r.tasks.places.get(number)
	state := r.schedule.Lane(r.lane(number), r.now(), maxLaneShown)
	if state.Policy == schedule.Parallel {
		state.Waiting = append(state.Waiting, r.schedule.Timed(r.lane(number), maxLaneShown-len(state.Waiting))...)
	}
	lane := &messages.Lane{
		Route: p.route, Key: p.key, Policy: state.Policy.String(), Paused: state.Paused, WaitingTotal: uint64(state.Total),
	}
	for _, a := range r.running {
		if s, known := r.tasks.find(a.id); known && a.place == number {
			lane.Running = append(lane.Running, r.shown(s))
		}
	}
	slices.SortFunc(lane.Running, func(a, b *messages.Task) int { return cmp.Compare(a.GetWebhookId(), b.GetWebhookId()) })
	for _, w := range state.Waiting {
		lane.Waiting = append(lane.Waiting, r.shown(slot(w.Handle)))
	}
	switch {
	case state.Paused:
		lane.Why = "the lane is paused"
	case len(state.Waiting) == 0:
	case len(lane.Running) > 0 && state.Policy.OneAtATime():
		lane.Why = "task " + lane.Running[0].GetWebhookId() + " runs"
	case state.Waiting[0].Timed && r.tasks.get(slot(state.Waiting[0].Handle)).Status == task.Retrying:
		due := time.Unix(0, r.tasks.get(slot(state.Waiting[0].Handle)).DueAt).UTC().Format(time.RFC3339)
		lane.Why = "task " + lane.Waiting[0].GetWebhookId() + " waits for its next attempt at " + due
	case state.Waiting[0].Timed:
		lane.Why = "task " + lane.Waiting[0].GetWebhookId() + " waits for a quiet period"
	case state.Blocked != "":
		lane.Why = state.Blocked
	case len(r.idle) == 0:
		lane.Why = "all workers are busy"
	}
	return lane
}

// shown is a task as a lane shows it, without its attempt log.
func (r *registry) shown(s slot) *messages.Task {
	m := r.tasks.message(s)
	m.AttemptLog, m.Result = nil, nil
	return m
}
