package cluster

import (
	"context"
	"fmt"

	"github.com/sirupsen/logrus"

	"github.com/hooktroupe/hooktroupe/internal/logfield"
)

// wake wakes whoever reads c, unless it is going to be awake anyway.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// run is the loop: one event after another, until the member has left. Stop ends it; a request that is under way then was
// answered or has timed out before.
func (n *Node) run() {
	defer close(n.finished)
	defer n.state.Store(nodeDone)
	commands := n.keeper.Tick(n.now())
	for n.obey(commands) {
		select {
		case <-n.ticks:
			if n.looking.Swap(false) {
				commands = n.keeper.Look(n.now())
			} else {
				commands = n.keeper.Tick(n.now())
			}
		case o := <-n.answers:
			commands = n.over(o)
		case <-n.drained:
			commands = n.keeper.Drained(n.now(), n.collect()...)
		case by := <-n.leave:
			n.log.Info("leaving the cluster")
			commands = n.keeper.Leave(n.now(), by)
		case <-n.abandon:
			n.log.Warn("leaving the cluster with work under way")
			commands = n.keeper.Abandon(n.now())
		}
	}
}

// over tells the Keeper how a request ended, and logs what has changed by it.
func (n *Node) over(o outcome) Commands {
	before := n.keeper.book()
	var commands Commands
	if o.err != nil {
		commands = n.keeper.Failed(n.now(), o.request, o.err)
	} else {
		commands = n.keeper.Answered(n.now(), o.request, o.answer)
	}
	after := n.keeper.book()
	switch {
	case after.failure != nil && !n.failing:
		n.log.WithField(logfield.Error, after.failure.Error()).Warn("the cluster's store does not answer as it should")
	case after.failure == nil && n.failing:
		n.log.Info("the cluster's store answers again")
	}
	n.failing = after.failure != nil
	switch {
	case after.joined && !before.joined:
		n.log.WithField("members", len(after.world.members)).Info("joined the cluster")
	case !after.joined && before.joined:
		n.log.Warn("this member was taken for dead: its leases are lost, and it joins again")
	}
	if after.superseded && !before.superseded {
		n.log.Error("another member has this name, and takes over what was this one's")
	}
	return commands
}

// obey does what the Keeper wants, in order, and says whether the member is still in.
func (n *Node) obey(c Commands) bool {
	n.book.Store(n.keeper.book())
	for _, d := range c.Drop {
		r := n.reports[d.Claim]
		if r == nil {
			r = &report{}
			n.reports[d.Claim] = r
		}
		n.owner.Drop(d.Shard, d.Generation, d.Reason, func() {
			r.done.Store(true)
			wake(n.drained)
		})
	}
	for _, lease := range c.Take {
		n.owner.Take(lease)
	}
	for _, address := range c.Tell {
		n.inform(address)
	}
	n.note(c)
	if c.Request != nil {
		go n.ask(*c.Request)
	}
	if n.timer != nil {
		n.timer.Stop()
	}
	if !c.Left {
		n.timer = n.clock.AfterFunc(c.WakeAt-n.now(), func() { wake(n.ticks) })
	}
	return !c.Left
}

// note logs what shards came and went, one entry a kind.
func (n *Node) note(c Commands) {
	dropped := [Stopped + 1]int{}
	for _, d := range c.Drop {
		dropped[d.Reason]++
	}
	for reason, count := range dropped {
		if count > 0 {
			n.log.WithFields(logrus.Fields{logfield.Reason: Reason(reason).String(), "shards": count}).Info("giving back shards")
		}
	}
	if len(c.Take) > 0 {
		n.log.WithField("shards", len(c.Take)).Info("took shards")
	}
}

// collect returns what has been drained since it was last asked.
func (n *Node) collect() (claims []Claim) {
	for claim, r := range n.reports {
		if r.done.Load() {
			delete(n.reports, claim)
			claims = append(claims, claim)
		}
	}
	return claims
}

// ask is the goroutine of one request. It ends with the answer, or soon after the time for it is over, and hands the outcome
// to the loop, which has room for it: there is one request at a time.
func (n *Node) ask(r Request) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	defer n.clock.AfterFunc(n.config.timeout(), cancel).Stop()
	answer, err := n.store.Sync(ctx, r)
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("no answer within %v: %w", n.config.timeout(), err)
	}
	n.answers <- outcome{r, answer, err}
}
