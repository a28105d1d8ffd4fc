package postgres_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/hooktroupe/hooktroupe/cluster"
	"github.com/hooktroupe/hooktroupe/cluster/postgres"
)

// BenchmarkSync is one renewal, with its view, by the size of the cluster.
func BenchmarkSync(b *testing.B) {
	for _, size := range []struct{ members, shards int }{{3, 64}, {100, 1024}} {
		b.Run(fmt.Sprintf("%d members, %d shards", size.members, size.shards), func(b *testing.B) {
			url, _ := migrated(b, size.shards)
			store := open(b, url)
			sessions := make([]cluster.Session, size.members)
			for i := range sessions {
				sessions[i] = cluster.Session{ID: fmt.Sprintf("member-%d/0123456789abcdef/1", i), Address: fmt.Sprintf("10.0.0.%d:7000", i)}
				r := cluster.Request{Session: sessions[i], TTL: time.Minute, Join: true}
				for s := i; s < size.shards; s += size.members {
					r.Acquire = append(r.Acquire, cluster.Claim{Shard: s})
				}
				sync(b, store, r)
			}
			n := 0
			for b.Loop() {
				n++
				sync(b, store, cluster.Request{Session: sessions[n%len(sessions)], TTL: time.Minute})
			}
		})
	}
}

func sync(tb testing.TB, s *postgres.Store, r cluster.Request) cluster.Answer {
	tb.Helper()
	a, err := s.Sync(context.Background(), r)
	if err != nil {
		tb.Fatal(err)
	}
	return a
}
