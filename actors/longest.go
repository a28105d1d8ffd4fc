package actors

import (
	"cmp"
	"context"
	"slices"

	"github.com/hooktroupe/hooktroupe/messages"
	"github.com/hooktroupe/hooktroupe/task"
)

// longestLanes answers which lanes are the longest, and how many there are. There may be as many lanes as tasks, so they are
// counted on the caller's goroutine, in a picture of all tasks, and the registry is asked only for those that are shown.
func (t *Troupe) longestLanes(ctx context.Context, q *messages.GetLanes) (*messages.GetLanesReply, error) {
	answer, err := t.ask(ctx, getView{})
	if err != nil {
		return nil, err
	}
	places, total := answer.(view).longest(int(min(q.GetLimit(), maxLanesListed)), q.GetRoute())
	if answer, err = t.ask(ctx, &getLanesAt{places: places}); err != nil {
		return nil, err
	}
	reply := answer.(*messages.GetLanesReply)
	reply.Total = uint64(total)
	return reply, nil
}

// length is how many tasks wait in a lane.
type length struct {
	place   uint32
	waiting uint32
}

// longest returns the places in which the most tasks wait, of one route or of all, and how many have tasks that are not
// final or are paused.
func (v view) longest(limit int, route string) (places []place, total int) {
	waiting, alive := make([]uint32, len(v.places)), make([]bool, len(v.places))
	for _, number := range v.paused {
		alive[number] = true
	}
	for _, c := range v.chunks {
		for i := range c.entries {
			e := &c.entries[i]
			if !e.used || e.role == split || e.Status.Final() {
				continue
			}
			alive[e.place] = true
			if e.Status != task.Processing {
				waiting[e.place]++
			}
		}
	}
	best := make([]length, 0, 2*limit+1)
	trim := func() {
		slices.SortFunc(best, func(a, b length) int {
			return cmp.Or(cmp.Compare(b.waiting, a.waiting), cmp.Compare(a.place, b.place))
		})
		best = best[:min(limit, len(best))]
	}
	for number, is := range alive {
		if !is || route != "" && v.places[number].value.route != route {
			continue
		}
		total++
		if best = append(best, length{uint32(number), waiting[number]}); len(best) > 2*limit {
			trim()
		}
	}
	trim()
	for _, l := range best {
		places = append(places, v.places[l.place].value)
	}
	return places, total
}
