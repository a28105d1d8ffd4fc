package schedule

// Timed returns the tasks of a lane that wait for a time, the first due first, at most so many. For a Parallel lane it is
// what Lane leaves out. It looks at everything that is timed, of whatever lane, so it is for people who ask and not for the
// work.
func (s *Scheduler) Timed(in Lane, most int) []Waiting {
	l, known := s.lanes[in.ID]
	if !known || most <= 0 {
		return nil
	}
	var first []dueItem
	for _, it := range s.due {
		if !s.current(it.item) || s.members[it.handle].lane != l || s.members[it.handle].state != timed {
			continue
		}
		switch {
		case len(first) < most:
			first = append(first, it)
		case it.at < first[most-1].at:
			first[most-1] = it
		default:
			continue
		}
		for i := len(first) - 1; i > 0 && first[i].at < first[i-1].at; i-- {
			first[i], first[i-1] = first[i-1], first[i]
		}
	}
	waiting := make([]Waiting, len(first))
	for i, it := range first {
		waiting[i] = Waiting{Handle: it.handle, Timed: true}
	}
	return waiting
}
