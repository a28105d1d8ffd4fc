package postgres

import (
	"context"
	"crypto/rand"
	"fmt"
	"hash/crc32"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/hooktroupe/hooktroupe/journal"
)

// typeDelivery is the record type of a delivery.
const typeDelivery = 1

// Delivery is one to be written by any member.
type Delivery struct {
	// Shard is whose log gets it.
	Shard int
	// Claim is a hash of the source and the sender's ID, if HasClaim. A delivery without one is a duplicate only of itself.
	Claim    [32]byte
	HasClaim bool
	// TaskID is that of the task it becomes.
	TaskID [16]byte
	// Head and Body are the record, in two parts: Tail returns the head alone, Read both behind each other. They are the
	// caller's.
	Head, Body []byte
}

// Delivered is what became of a delivery.
type Delivered struct {
	// Position is the record's; that of a duplicate is zero.
	Position journal.Position
	// Duplicate says that another delivery had the claim, and that nothing was written.
	Duplicate bool
	// FirstID is the task that has the claim.
	FirstID [16]byte
}

// addition is a record that any member appends, with what makes it one of a kind.
type addition struct {
	shard      int
	kind       uint8
	claim      []byte
	task       [16]byte
	head, body []byte
}

func (a *addition) size() int { return len(a.head) + len(a.body) }

// Deliver writes deliveries of any shards, with their claims, in one round trip. Either all that are no duplicates are
// written, in the order in which they are given, or nothing is. After ErrUnavailable the outcome is unknown, and the same
// batch may be given again, alone or with others: a delivery that was written is not written again, and is no duplicate.
// journal.ErrBudget means that the budget is used up to the high-water mark, journal.ErrTooLarge that the batch has more than
// MaxBatchBytes or a record more than journal.MaxRecordBytes.
func (s *Store) Deliver(ctx context.Context, batch []Delivery) ([]Delivered, error) {
	results := make([]Delivered, len(batch))
	group := make([]addition, 0, len(batch))
	from := make([]int, 0, len(batch)) // the delivery of each addition
	first := make(map[[32]byte]int, len(batch))
	same := map[int]int{} // the delivery that is the first with the claim of another
	for i, d := range batch {
		a := addition{shard: d.Shard, kind: typeDelivery, claim: d.TaskID[:], task: d.TaskID, head: d.Head, body: d.Body}
		if d.HasClaim {
			if k, claimed := first[d.Claim]; claimed {
				same[i] = k
				continue
			}
			first[d.Claim] = i
			a.claim = d.Claim[:]
		}
		group, from = append(group, a), append(from, i)
	}
	added, err := s.add(ctx, group)
	if err != nil {
		return nil, err
	}
	for k, r := range added {
		results[from[k]] = r
	}
	for i, k := range same {
		if results[i] = results[k]; batch[i].TaskID != results[k].FirstID {
			results[i].Duplicate, results[i].Position = true, journal.Position{}
		}
	}
	return results, nil
}

// Note appends a record of any type to a shard's log, whoever owns it, and returns where.
func (s *Store) Note(ctx context.Context, shard int, e Entry) (journal.Position, error) {
	if e.Type == 0 {
		return journal.Position{}, fmt.Errorf("%w: type 0", journal.ErrInvalid)
	}
	a := addition{shard: shard, kind: e.Type, head: e.Data}
	if _, err := rand.Read(a.task[:]); err != nil {
		return journal.Position{}, err
	}
	a.claim = a.task[:]
	added, err := s.add(ctx, []addition{a})
	if err != nil {
		return journal.Position{}, err
	}
	return added[0].Position, nil
}

// add writes additions of which no two have one claim.
func (s *Store) add(ctx context.Context, group []addition) ([]Delivered, error) {
	if len(group) == 0 {
		return nil, nil
	}
	if err := s.check(group); err != nil {
		return nil, err
	}
	args := arguments(group)
	results := make([]Delivered, len(group))
	err := s.run(ctx, func(ctx context.Context) error {
		clear(results)
		c := s.catalog.Load()
		lost, err := s.addOnce(ctx, c, c.deliver, args, group, results)
		if code(err) == codeUniqueViolation {
			lost, err = s.addOnce(ctx, c, c.deliverPatient, args, group, results)
		}
		if err != nil || len(lost) == 0 {
			return err
		}
		return s.findClaims(ctx, group, lost, results)
	})
	if err != nil {
		return nil, err
	}
	return results, nil
}

// check refuses what must not be sent.
func (s *Store) check(group []addition) error {
	size := int64(0)
	for i, a := range group {
		if err := s.checkRecord(a.shard, i, a.size()); err != nil {
			return err
		}
		size += recordBytes(a.size())
	}
	if size > MaxBatchBytes {
		return fmt.Errorf("%w: the batch has %d bytes", journal.ErrTooLarge, size)
	}
	if s.overBudget(size, false) {
		return fmt.Errorf("%w: %d bytes more than %d", journal.ErrBudget, size, s.usage.total())
	}
	return nil
}

func (s *Store) checkRecord(shard, i, size int) error {
	if shard < 0 || shard >= s.shards {
		return fmt.Errorf("%w: shard %d of %d", journal.ErrInvalid, shard, s.shards)
	}
	if size > journal.MaxRecordBytes {
		return fmt.Errorf("%w: record %d has %d bytes", journal.ErrTooLarge, i, size)
	}
	return nil
}

// frameBytes is what a record takes beside its data: its row's other columns, and its place in the index.
const frameBytes = 64

func recordBytes(data int) int64 { return int64(data) + frameBytes }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum is CRC-32C over a record's type and one of its parts.
func checksum(kind uint8, part []byte) int64 {
	return int64(crc32.Update(crc32.Update(0, castagnoli, []byte{kind}), castagnoli, part))
}

// arguments are a group's columns: shard, claim, task, type, checksums, and where head and body lie in the last argument, which is
// all of them behind each other: the server cuts them out of it, which takes fewer copies than an array of them, here and there.
func arguments(group []addition) []any {
	shards, claims, tasks := make([]int32, len(group)), make([][]byte, len(group)), make([][16]byte, len(group))
	kinds, headSums, bodySums := make([]int16, len(group)), make([]int64, len(group)), make([]int64, len(group))
	starts, heads, bodies := make([]int32, len(group)), make([]int32, len(group)), make([]int32, len(group))
	size := 0
	for _, a := range group {
		size += a.size()
	}
	data := make([]byte, 0, size)
	for i, a := range group {
		shards[i], claims[i], tasks[i] = int32(a.shard), a.claim, a.task
		kinds[i], headSums[i], bodySums[i] = int16(a.kind), checksum(a.kind, a.head), checksum(a.kind, a.body)
		starts[i], heads[i], bodies[i] = int32(len(data))+1, int32(len(a.head)), int32(len(a.body)) // SQL counts from 1
		data = append(append(data, a.head...), a.body...)
	}
	return []any{shards, claims, tasks, kinds, headSums, bodySums, starts, heads, bodies, data}
}

// deliverSQL writes deliveries into a segment, if it is open for all of their shards. In this order:
//
//	locked   takes the rows of the shards, in order, so that no two statements wait for each other
//	known    finds the claims that are there, as of the start of the statement
//	claimed  adds the others, in order, once every row is locked. A claim that another added meanwhile fails the statement, or, if
//	         it is patient, is not added: that costs the server a lock and a record of its log for each, and is hardly ever needed
//	placed   gives positions to those whose claim was added
//	written, moved   add their records, and move the ends of the logs
//
// Claims are only ever added to the newest table, and no statement for a newer segment begins before the last one for an
// older segment has committed: so the older tables are all that known must look at in one snapshot.
//
// A prepared statement is planned while its tables are small, and the plan kept while they grow: LATERAL and LIMIT leave
// the planner nothing but the index.
func deliverSQL(open int32, claims []int32, patient bool) string {
	known := make([]string, len(claims))
	for i, n := range claims {
		known[i] = "SELECT i.ord, c.task FROM input i CROSS JOIN LATERAL (SELECT task FROM " + claimsTable(n) +
			" WHERE claim = i.claim LIMIT 1) c"
	}
	conflict := ""
	if patient {
		conflict = "ON CONFLICT (claim) DO NOTHING"
	}
	return fmt.Sprintf(`
WITH input AS (
    SELECT * FROM unnest($1::int[], $2::bytea[], $3::uuid[], $4::smallint[], $5::bigint[], $6::bigint[], $7::int[], $8::int[],
        $9::int[]) WITH ORDINALITY AS t (shard, claim, task, type, head_crc, body_crc, start, head, body, ord)
), locked AS (
    SELECT shard, segment, next, bytes FROM hooktroupe_shards WHERE shard = ANY($1::int[]) ORDER BY shard FOR UPDATE
), open AS (
    SELECT count(*) = $11::int AS yes FROM locked WHERE segment = %[1]d
), known AS (
    %[4]s
), claimed AS (
    INSERT INTO %[3]s (claim, task, segment)
    SELECT i.claim, i.task, %[1]d FROM input i
    WHERE (SELECT yes FROM open) AND NOT EXISTS (SELECT 1 FROM known k WHERE k.ord = i.ord)
    ORDER BY i.claim
    %[6]s
    RETURNING claim
), placed AS (
    SELECT i.ord, i.shard, i.type, i.task, i.head_crc, i.body_crc, i.start, i.head, i.body,
        l.next + row_number() OVER (PARTITION BY i.shard ORDER BY i.ord) - 1 AS idx
    FROM input i JOIN claimed c ON c.claim = i.claim JOIN locked l ON l.shard = i.shard
), written AS (
    INSERT INTO %[2]s (shard, idx, type, task, head_crc, body_crc, head, body)
    SELECT p.shard, p.idx, p.type, p.task, p.head_crc, p.body_crc,
        substring($10::bytea from p.start for p.head), substring($10::bytea from p.start + p.head for p.body)
    FROM placed p
), moved AS (
    UPDATE hooktroupe_shards s SET next = s.next + w.records, bytes = s.bytes + w.bytes
    FROM (SELECT shard, count(*) AS records, sum(head + body + %[5]d) AS bytes FROM placed GROUP BY shard) w
    WHERE s.shard = w.shard
    RETURNING s.shard, s.bytes
)
SELECT (SELECT yes FROM open), i.ord, p.idx, k.task, m.bytes
FROM input i LEFT JOIN placed p ON p.ord = i.ord LEFT JOIN known k ON k.ord = i.ord LEFT JOIN moved m ON m.shard = i.shard`,
		open, recordsTable(open), claimsTable(claims[len(claims)-1]), strings.Join(known, "\n    UNION ALL\n    "), frameBytes, conflict)
}

// addOnce sends a group once. It returns those of which it only knows that the claim was there.
func (s *Store) addOnce(
	ctx context.Context, c *catalog, sql string, args []any, group []addition, results []Delivered,
) (lost []int, err error) {
	distinct := map[int]bool{}
	for _, a := range group {
		distinct[a.shard] = true
	}
	rows, err := s.pool.Query(ctx, sql, append(args[:len(args):len(args)], len(distinct))...)
	if err != nil {
		return nil, err
	}
	var (
		open       bool
		ord        int64
		idx, bytes *int64
		known      *[16]byte
	)
	_, err = pgx.ForEachRow(rows, []any{&open, &ord, &idx, &known, &bytes}, func() error {
		i := int(ord - 1)
		switch {
		case !open:
			return errStale
		case idx != nil:
			results[i] = Delivered{
				Position: position(c.open, group[i].shard, *idx, group[i].size()), FirstID: group[i].task,
			}
		case known != nil && *known != group[i].task:
			results[i] = Delivered{Duplicate: true, FirstID: *known}
		default:
			lost = append(lost, i)
		}
		if bytes != nil {
			s.usage.sawOpen(group[i].shard, *bytes)
		}
		return nil
	})
	return lost, err
}

// findClaimsSQL finds who has claims, and in which segment.
func findClaimsSQL(claims []int32) string {
	parts := make([]string, len(claims))
	for i, n := range claims {
		parts[i] = "SELECT claim, task, segment FROM " + claimsTable(n) + " WHERE claim = ANY($1::bytea[])"
	}
	return strings.Join(parts, " UNION ALL ")
}

// findClaims completes the results of additions whose claim was there, when it was added by another while the statement
// waited, or by an earlier attempt of this one.
func (s *Store) findClaims(ctx context.Context, group []addition, lost []int, results []Delivered) error {
	claims := make([][]byte, len(lost))
	at := make(map[string]int, len(lost))
	for n, i := range lost {
		claims[n], at[string(group[i].claim)] = group[i].claim, i
	}
	rows, err := s.pool.Query(ctx, s.catalog.Load().findClaims, claims)
	if err != nil {
		return err
	}
	mine := map[int32][]int{} // additions that are written already, by segment
	found := 0
	var (
		claim   []byte
		first   [16]byte
		segment int32
	)
	_, err = pgx.ForEachRow(rows, []any{&claim, &first, &segment}, func() error {
		i := at[string(claim)]
		found++
		if results[i] = (Delivered{FirstID: first, Duplicate: first != group[i].task}); !results[i].Duplicate {
			mine[segment] = append(mine[segment], i)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if found < len(lost) {
		return errStale // one was freed in between; the next attempt may have it
	}
	for segment, which := range mine {
		if err := s.findPositions(ctx, segment, group, which, results); err != nil {
			return err
		}
	}
	return nil
}

// findPositions completes the results of additions that an earlier attempt wrote into a segment. It reads all that the
// segment has of their shards: this is for retries only. A record that is gone has no position.
func (s *Store) findPositions(
	ctx context.Context, segment int32, group []addition, which []int, results []Delivered,
) error {
	shards, tasks := make([]int32, len(which)), make([][16]byte, len(which))
	at := make(map[[16]byte]int, len(which))
	for n, i := range which {
		shards[n], tasks[n], at[group[i].task] = int32(group[i].shard), group[i].task, i
	}
	sql := "SELECT task, shard, idx, octet_length(head) + octet_length(body) FROM hooktroupe_kept WHERE segment = $3 AND shard = ANY($1) AND task = ANY($2)"
	if s.catalog.Load().has(segment) {
		sql += " UNION ALL SELECT task, shard, idx, octet_length(head) + octet_length(body) FROM " + recordsTable(segment) +
			" WHERE $3::int > 0 AND shard = ANY($1) AND task = ANY($2)"
	}
	rows, err := s.pool.Query(ctx, sql, shards, tasks, segment)
	if err != nil {
		return err
	}
	var (
		task        [16]byte
		shard, size int32
		idx         int64
	)
	_, err = pgx.ForEachRow(rows, []any{&task, &shard, &idx, &size}, func() error {
		results[at[task]].Position = position(segment, int(shard), idx, int(size))
		return nil
	})
	return err
}
