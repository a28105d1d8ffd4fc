package postgres

import (
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/hooktroupe/hooktroupe/cluster"
)

// The statements of a request, in their order. now() is one time for all of them: that of the transaction's beginning. It is
// after the request was sent, so that what it renews ends later than the member counts on.
const (
	// lockMembers locks the rows that the following may change, in one order. A time may lie in the future by as much as
	// transactions overlap; what lies further was written before the clock was set back.
	lockMembers = `
SELECT session FROM hooktroupe_members
WHERE session = $1 OR ($2 AND ends_at <= now()) OR ` + future + `
ORDER BY session FOR UPDATE`

	future = `ends_at > now() + $3::bigint * interval '1 microsecond' + interval '1 second'
OR seen_at > now() + interval '1 second' OR joined_at > now() + interval '1 second'`

	renewMember = `
UPDATE hooktroupe_members SET seen_at = now(), ends_at = now() + $2::bigint * interval '1 microsecond', leaving = $3
WHERE session = $1`

	joinMember = `
INSERT INTO hooktroupe_members (session, address, version, started_at, joined_at, seen_at, ends_at, leaving)
SELECT $1, $2, $3, $4::timestamptz, now(), now(), now() + $5::bigint * interval '1 microsecond', $6
WHERE (SELECT count(*) FROM hooktroupe_members) < $7::bigint`

	cutMembers = `
UPDATE hooktroupe_members SET joined_at = least(joined_at, now()), seen_at = least(seen_at, now()),
    ends_at = least(ends_at, now() + $1::bigint * interval '1 microsecond')
WHERE ends_at > now() + $1::bigint * interval '1 microsecond' + interval '1 second'
OR seen_at > now() + interval '1 second' OR joined_at > now() + interval '1 second'`

	expireMembers = `
DELETE FROM hooktroupe_members WHERE ends_at <= now() AND session <> $1
AND EXISTS (SELECT 1 FROM hooktroupe_members me WHERE me.session = $1)`

	lockShards = `SELECT shard FROM hooktroupe_shards WHERE shard = ANY($1::int[]) ORDER BY shard FOR UPDATE`

	releaseShards = `
UPDATE hooktroupe_shards s SET owner = ''
FROM unnest($2::int[], $3::bigint[]) AS c (shard, generation)
WHERE s.shard = c.shard AND s.generation = c.generation AND s.owner = $1
AND EXISTS (SELECT 1 FROM hooktroupe_members WHERE session = $1)`

	acquireShards = `
UPDATE hooktroupe_shards s SET owner = $1, generation = s.generation + 1, taken_at = now()
FROM unnest($2::int[], $3::bigint[]) AS c (shard, generation)
WHERE s.shard = c.shard AND s.generation = c.generation
AND EXISTS (SELECT 1 FROM hooktroupe_members WHERE session = $1)
AND (s.owner = $1 OR NOT EXISTS (SELECT 1 FROM hooktroupe_members m WHERE m.session = s.owner))`

	endMember = `DELETE FROM hooktroupe_members WHERE session = $1`

	readMembers = `
SELECT session, address, version, started_at, leaving,
    (extract(epoch FROM (now() - joined_at)) * 1000000)::bigint,
    (extract(epoch FROM (now() - seen_at)) * 1000000)::bigint,
    (extract(epoch FROM (ends_at - now())) * 1000000)::bigint
FROM hooktroupe_members`

	readShards = `
SELECT shard, generation, owner, (extract(epoch FROM (now() - taken_at)) * 1000000)::bigint
FROM hooktroupe_shards ORDER BY shard`
)

// queue makes the statements that change something. full tells of a session that found no room.
func queue(r cluster.Request, full *bool) *pgx.Batch {
	q := &pgx.Batch{}
	id, ttl, most := r.Session.ID, r.TTL.Microseconds(), cluster.MaxTTL.Microseconds()
	q.Queue(lockMembers, id, r.Expire, most)
	q.Queue(cutMembers, most)
	if r.Join {
		join := q.Queue(joinMember, id, r.Session.Address, r.Session.Version, r.Session.Started, ttl, r.Leaving, cluster.MaxMembers)
		join.Exec(func(done pgconn.CommandTag) error {
			*full = done.RowsAffected() == 0
			return nil
		})
	} else {
		q.Queue(renewMember, id, ttl, r.Leaving)
	}
	if r.Expire {
		q.Queue(expireMembers, id)
	}
	if len(r.Release)+len(r.Acquire) > 0 {
		shards, _ := columns(append(append([]cluster.Claim(nil), r.Release...), r.Acquire...))
		q.Queue(lockShards, shards)
	}
	if len(r.Release) > 0 {
		shards, generations := columns(r.Release)
		q.Queue(releaseShards, id, shards, generations)
	}
	if len(r.Acquire) > 0 {
		shards, generations := columns(r.Acquire)
		q.Queue(acquireShards, id, shards, generations)
	}
	if r.End {
		q.Queue(endMember, id)
	}
	return q
}

func columns(claims []cluster.Claim) (shards []int32, generations []int64) {
	for _, c := range claims {
		shards, generations = append(shards, int32(c.Shard)), append(generations, c.Generation)
	}
	return shards, generations
}
