package schedule

// GateState is how a Gate stands: how many Runs are within it, and why no more may start; empty where one may.
type GateState struct {
	Name    string
	Running int
	Why     string
}

// RouteState is how a route stands, with its gates in the order of the Route.
type RouteState struct {
	Name             string
	Waiting, Running int
	Gates            []GateState
}

// Routes tells how each known route stands, in no order, and the fallback, last.
func (s *Scheduler) Routes(now int64) []RouteState {
	states := make([]RouteState, 0, len(s.routes)+1)
	for _, r := range s.routes {
		states = append(states, r.state(now))
	}
	return append(states, s.fallback.state(now))
}

func (r *route) state(now int64) RouteState {
	state := RouteState{Name: r.Name, Waiting: r.waiting, Running: r.running, Gates: make([]GateState, len(r.Gates))}
	for i, g := range r.Gates {
		state.Gates[i] = GateState{Name: g.name, Running: g.running, Why: g.why(now)}
	}
	return state
}
