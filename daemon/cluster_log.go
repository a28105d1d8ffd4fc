package daemon

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/hooktroupe/hooktroupe/actors"
	"github.com/hooktroupe/hooktroupe/journal"
	"github.com/hooktroupe/hooktroupe/journal/postgres"
	"github.com/hooktroupe/hooktroupe/messages/journalv1"
	"github.com/hooktroupe/hooktroupe/task"
)

// What one look at the logs reads at most.
const (
	tailRecords = 4096
	tailBytes   = 16 << 20
)

// shardLog is actors.ShardLog over the store. The store bounds the time of each call itself.
type shardLog struct{ store *postgres.Store }

// Deliver is actors.ShardLog.
func (l shardLog) Deliver(deliveries []actors.ShardDelivery) ([]actors.ShardAnswer, error) {
	group := make([]postgres.Delivery, len(deliveries))
	for i, d := range deliveries {
		group[i] = postgres.Delivery{Shard: d.Shard, TaskID: d.Task, Head: d.Head, Body: d.Body}
		if d.Claim != [16]byte{} {
			group[i].HasClaim = true
			copy(group[i].Claim[:], d.Claim[:])
		}
	}
	delivered, err := l.store.Deliver(context.Background(), group)
	if err != nil {
		return nil, err
	}
	answers := make([]actors.ShardAnswer, len(delivered))
	for i, d := range delivered {
		answers[i].First, answers[i].At = deliveries[i].Task, d.Position
		if d.Duplicate {
			answers[i] = actors.ShardAnswer{First: d.FirstID}
		}
	}
	return answers, nil
}

// Append is actors.ShardLog.
func (l shardLog) Append(batches []actors.ShardBatch) ([]actors.ShardSpan, []error) {
	group := make([]postgres.Batch, len(batches))
	for i, b := range batches {
		group[i] = postgres.Batch{Shard: b.Shard, Generation: b.Generation}
		for _, e := range b.Entries {
			group[i].Entries = append(group[i].Entries, postgres.Entry{Type: e.Type, Data: e.Data})
		}
	}
	positions, errs := l.store.Append(context.Background(), group)
	spans := make([]actors.ShardSpan, len(batches))
	for i, p := range positions {
		if len(p) > 0 && errs[i] == nil {
			spans[i] = actors.ShardSpan{First: p[0], Last: p[len(p)-1]}
		}
	}
	return spans, errs
}

// Tail is actors.ShardLog.
func (l shardLog) Tail(cursors []actors.ShardCursor, kinds ...uint8) ([]actors.ShardNews, error) {
	at := make([]postgres.Cursor, len(cursors))
	for i, c := range cursors {
		at[i] = postgres.Cursor{Shard: c.Shard, After: c.After}
	}
	news, err := l.store.Tail(context.Background(), at, kinds, tailRecords, tailBytes)
	if err != nil {
		return nil, err
	}
	found := make([]actors.ShardNews, len(news))
	for i, n := range news {
		found[i] = actors.ShardNews{Shard: n.Shard, Records: n.Records, Through: n.Through, More: n.More}
	}
	return found, nil
}

// Read is actors.ShardLog.
func (l shardLog) Read(at journal.Position) (journal.Record, error) {
	return l.store.Read(context.Background(), at)
}

// Storage is actors.ShardLog.
func (l shardLog) Storage(shard int, generation int64) actors.ShardStorage {
	return l.store.Shard(shard, generation)
}

// note tells the owner of a task, whoever will be it, that its sender sent it again.
func (l shardLog) note(ctx context.Context, id task.ID, at int64) error {
	data, err := proto.Marshal(&journalv1.TaskRedelivered{TaskId: id[:], At: at})
	if err != nil {
		return err
	}
	_, err = l.store.Note(ctx, actors.ShardOfTask(id), postgres.Entry{
		Type: uint8(journalv1.RecordType_RECORD_TYPE_TASK_REDELIVERED), Data: data,
	})
	if err != nil {
		return fmt.Errorf("note a redelivery: %w", err)
	}
	return nil
}
