package schedule

import "slices"

// Replace puts other routes in the place of those there are. What has the same name stays the same: a route with the tasks
// that wait and run in it, a Gate with what runs through it and what is used of its rate. A lane whose tasks now wait by
// another policy, or whose route is gone or there again, is emptied: displaced are the tasks that waited in it, in no
// order, and the caller adds each again, in the order in which they stood. What runs goes on running.
//
// A changed Quiet or MaxWait holds for tasks that arrive afterwards.
func (s *Scheduler) Replace(routes []Route, fallback Route, now int64) (displaced []uint32) {
	known := make(map[string]*route, len(routes))
	used := make(map[string]*Gate)
	for _, next := range routes {
		r := s.routes[next.Name]
		if r == nil {
			r = newRoute(next)
		}
		known[next.Name] = r
		next.Gates = s.keepGates(next.Gates, used, now)
		r.Route = next
	}
	fallback.Gates = s.keepGates(fallback.Gates, used, now)
	s.fallback.Route = fallback
	s.routes = known
	for name, g := range s.gates {
		if used[name] == nil && g.running == 0 {
			delete(s.gates, name)
		}
	}
	return s.displace()
}

// keepGates returns, for each gate, the one of its name that is there, with the limits of the new one, or the new one.
func (s *Scheduler) keepGates(gates []*Gate, used map[string]*Gate, now int64) []*Gate {
	kept := make([]*Gate, len(gates))
	for i, g := range gates {
		switch there := s.gates[g.name]; {
		case used[g.name] != nil:
			g = used[g.name]
		case there != nil && there != g:
			there.adopt(g.limits, now)
			g = there
		}
		kept[i], s.gates[g.name], used[g.name] = g, g, g
	}
	return kept
}

// displace moves every lane to the route and the policy that it has now. Those that change are emptied.
func (s *Scheduler) displace() (displaced []uint32) {
	moved := make(map[*lane]struct{})
	for _, l := range s.lanes {
		if r := s.route(l.name); r != l.route || l.policyOf(r) != l.policy {
			moved[l] = struct{}{}
		}
	}
	if len(moved) == 0 {
		return nil
	}
	for h := range s.members {
		if m := &s.members[h]; m.state != absent {
			if _, is := moved[m.lane]; is {
				displaced = append(displaced, uint32(h))
				s.leave(uint32(h))
			}
		}
	}
	for l := range moved {
		l.route.rotation.keep(func(other *lane) bool { _, is := moved[other]; return !is })
	}
	s.active = slices.DeleteFunc(s.active, func(r *route) bool {
		r.active = r.rotation.len() > 0
		return !r.active
	})
	s.cursor = 0
	for l := range moved {
		l.route.running -= l.running
		l.route.lengths[length(l.live)]--
		l.route = s.route(l.name)
		l.route.running += l.running
		l.route.lengths[length(l.live)]++
		l.policy = l.policyOf(l.route)
		l.waiting, l.burst, l.offered = queue[item]{}, 0, false
		s.close(l)
	}
	return displaced
}
