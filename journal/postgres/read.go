package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/hooktroupe/hooktroupe/journal"
)

// Read returns the record at a position, a delivery with its body. journal.ErrNotFound means that none is there, or none any more;
// journal.ErrCorrupt that it is damaged.
func (s *Store) Read(ctx context.Context, at journal.Position) (journal.Record, error) {
	segment, shard, idx := place(at)
	if segment < 1 || shard >= s.shards {
		return journal.Record{}, notFound(at)
	}
	var record journal.Record
	err := s.run(ctx, func(ctx context.Context) error {
		sql, args := "SELECT type, head_crc, body_crc, head, body FROM hooktroupe_kept WHERE shard = $1 AND idx = $2 AND segment = $3",
			[]any{shard, idx, segment}
		if c := s.catalog.Load(); c.has(segment) || segment > c.open {
			sql, args = "SELECT type, head_crc, body_crc, head, body FROM "+recordsTable(segment)+" WHERE shard = $1 AND idx = $2", args[:2]
		}
		var (
			kind             int16
			headSum, bodySum int64
			head, body       []byte
		)
		err := s.pool.QueryRow(ctx, sql, args...).Scan(&kind, &headSum, &bodySum, &head, &body)
		if errors.Is(err, pgx.ErrNoRows) || code(err) == codeUndefinedTable && segment > s.catalog.Load().open {
			return notFound(at)
		}
		if err == nil {
			at.Length = uint32(len(head) + len(body))
			record = journal.Record{Position: at, Type: uint8(kind), Data: append(head, body...)}
			err = errors.Join(verify(at, kind, headSum, head), verify(at, kind, bodySum, body))
		}
		return err
	})
	return record, err
}

func notFound(at journal.Position) error {
	return fmt.Errorf("%w: segment %d offset %d", journal.ErrNotFound, at.Segment, at.Offset)
}
