package actors

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/hooktroupe/hooktroupe/journal"
	"github.com/hooktroupe/hooktroupe/task"
)

// MaxShards bounds the shards of a cluster: a task's ID has room for ten bits of them.
const MaxShards = 1024

// ShardLog is the log of every shard of a cluster, in a store that all members share. Deliveries are appended by any
// member, everything else by the shard's owner alone. Its methods block, and may be called from several goroutines.
//
// The records of a shard's log are numbered without gaps as long as their segment is the same: a record's Offset is one more than
// that of the record before it.
//
// An error that is not one of package journal's means that the store did not answer: what was to be written may have been
// or not. It is then written again, which does no harm: a delivery is known by its task's ID, and recovery passes over the
// repetition of a change.
type ShardLog interface {
	// Deliver appends deliveries, in order, each to the log of its shard, all or none. One whose claim is taken is not
	// written, and the answer names the task that has it. The answers are in the order of the deliveries.
	Deliver(deliveries []ShardDelivery) ([]ShardAnswer, error)
	// Append appends the changes of several shards; the answers are in the order of the batches, and a batch is written
	// whole or not at all. journal.ErrFenced is that of a generation which is not the shard's newest.
	Append(batches []ShardBatch) ([]ShardSpan, []error)
	// Tail reads what follows the cursors, in order, as much at once as the store likes to give. Of a delivery it reads the
	// head alone. Without kinds it reads records of every kind.
	Tail(cursors []ShardCursor, kinds ...uint8) ([]ShardNews, error)
	// Read returns a record whole: a delivery with its body.
	Read(at journal.Position) (journal.Record, error)
	// Storage is where the snapshots of a shard lie, under one generation: those of an older one are refused with
	// journal.ErrFenced.
	Storage(shard int, generation int64) ShardStorage
}

// ShardStorage keeps a shard's snapshots. The position that one covers is that up to which its log was followed, that record
// included.
type ShardStorage interface {
	journal.Snapshots
	// Compact is journal.Journal's.
	Compact(before journal.Position, live []journal.Position) error
}

// ShardDelivery is a verified delivery on its way to the log of its shard.
type ShardDelivery struct {
	Shard int
	Task  task.ID
	// Claim tells duplicates; zero for one of which nobody can say whether it is one.
	Claim [16]byte
	// Head is the encoded TaskAccepted without headers and body, Body one with nothing else: behind each other they are the
	// record.
	Head, Body []byte
}

// ShardAnswer says what became of a ShardDelivery.
type ShardAnswer struct {
	// First is the task that has the claim: the delivery's own, unless it is a duplicate.
	First task.ID
	// At is where the delivery's record lies; zero where that is not known, and for a duplicate.
	At journal.Position
}

// ShardSpan is where a batch lies: its first and its last record. It is zero for one without records, and after an error.
type ShardSpan struct{ First, Last journal.Position }

// ShardBatch is what the owner of a shard has decided, in order.
type ShardBatch struct {
	Shard      int
	Generation int64
	Entries    []journal.Entry
}

// ShardCursor is how far a shard's log was read; the zero position is before its first record.
type ShardCursor struct {
	Shard int
	After journal.Position
}

// ShardNews is what follows a cursor.
type ShardNews struct {
	Shard   int
	Records []journal.Record
	// Through is the last record that was looked at, whether it was of a kind asked for or not: the next cursor.
	Through journal.Position
	// More says that there may be more at once.
	More bool
}

// Membership is what the troupe of a cluster's member works with in place of a journal.
type Membership struct {
	// Log is the store's; Shards how many shards it has.
	Log    ShardLog
	Shards int
	// Valid says whether this member may act for a shard under a generation at this moment. It may say no, and yes again,
	// where a lease was renewed at the last moment; where it is lost, the Troupe is told to leave the shard. It is called
	// from any goroutine, and must be quick.
	Valid func(shard int, generation int64) bool
	// Fenced is told of a shard that another member has taken meanwhile.
	Fenced func(shard int, generation int64)
	// Stored is told the shards, without repetition, for which this member stored deliveries: their owners are to look at
	// their logs. It must be quick, and may lose some: owners look by themselves, too.
	Stored func(shards []int)
}

// ShardOf is the shard of an ordering key.
func ShardOf(key string, shards int) int {
	sum := sha256.Sum256([]byte(key))
	return int(binary.BigEndian.Uint64(sum[:8]) % uint64(shards))
}

// ShardOfTask reads the shard from a task's ID: the ten bits behind the variant of its UUID.
func ShardOfTask(id task.ID) int { return int(id[8]&0x3f)<<4 | int(id[9]>>4) }

// inShard is an ID with these ten bits.
func inShard(id task.ID, shard int) task.ID {
	id[8] = id[8]&0xc0 | byte(shard>>4)
	id[9] = id[9]&0x0f | byte(shard<<4)
	return id
}

// of is the shard of a delivery and all its parts: that of the key it is worked under. Without a key it is any, but the same
// for a duplicate.
func (m *Membership) of(a *accept) int {
	key := a.GetDelivery().GetKey()
	if assignments := a.GetDelivery().GetAssignments(); len(assignments) > 0 {
		key = assignments[0].GetKey()
	}
	if key == "" {
		key = string(a.hash[:])
	}
	return ShardOf(key, m.Shards)
}
