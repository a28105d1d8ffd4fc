package clustertest_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/hooktroupe/hooktroupe/cluster"
	"github.com/hooktroupe/hooktroupe/cluster/clustertest"
)

func TestMemory(t *testing.T) {
	clustertest.Run(t, func(_ *testing.T, shards int) clustertest.Subject {
		var now atomic.Int64
		m := clustertest.NewMemory(shards, func() time.Duration { return time.Duration(now.Load()) })
		return clustertest.Subject{
			Open: func() cluster.Store { return m },
			Advance: func(d time.Duration) {
				if d < 0 {
					m.Step(d)
					return
				}
				now.Add(int64(d))
			},
		}
	})
}
