// Package journal is the durable log of everything that happens to tasks: what an append promises, how records are read
// back, and what may be dropped. It knows bytes, not tasks. journal/wal keeps it in segments on disk (docs/FORMAT.md),
// journal/memory in memory for when persistence is off; journal/journaltest is the suite that every implementation
// passes.
//
// The one invariant: what Append confirmed as synced is there after any crash, whole and in order; what it did not
// confirm is there whole or not at all.
package journal

import (
	"errors"
	"fmt"
	"io"
)

// MaxRecordBytes bounds the data of one record: a body of 25 MiB and all that goes with it.
const MaxRecordBytes = 64 << 20

// MaxGroupBytes bounds the data of all records of one group together.
const MaxGroupBytes = 1 << 30

// The errors a caller branches on; implementations wrap them with what and where.
var (
	// ErrFull means that nothing was written because there is no room, on the disk or in the budget. The journal is
	// sound, and a later Append may succeed.
	ErrFull = errors.New("journal: no room")
	// ErrBudget is an ErrFull for want of budget, though there may be disk.
	ErrBudget = fmt.Errorf("%w in the budget", ErrFull)
	// ErrTooLarge means that nothing was written because a record is above MaxRecordBytes or the group above
	// MaxGroupBytes.
	ErrTooLarge = errors.New("journal: record too large")
	// ErrInvalid means that nothing was written because a record has type zero.
	ErrInvalid = errors.New("journal: invalid record")
	// ErrClosed means that the journal was closed by its owner.
	ErrClosed = errors.New("journal: closed")
	// ErrFailed means that a write or a sync failed and the state of the file is unknown. Every later Append returns it
	// until the journal is opened again: a failed sync is never retried, for the page cache may have dropped the data.
	ErrFailed = errors.New("journal: failed")
	// ErrCorrupt means that a record before the tail is damaged; a *CorruptError says where.
	ErrCorrupt = errors.New("journal: corrupt")
	// ErrNotFound means that no record is at a position, for it was compacted away or never written.
	ErrNotFound = errors.New("journal: no such record")
	// ErrLocked means that another process has the journal open.
	ErrLocked = errors.New("journal: in use by another process")
	// ErrFenced means that nothing was written because the writer's generation is not the newest: another owner has taken
	// the journal over. It stays so: whoever gets it stops acting for what the journal holds.
	ErrFenced = errors.New("journal: fenced by a newer generation")
	// ErrNoSnapshot means that none was saved yet.
	ErrNoSnapshot = errors.New("journal: no snapshot")
)

// Position is where a record is. It never changes while the record lives, and orders records by Compare. It is made and
// understood by one journal only; the zero Position is before every record.
type Position struct {
	// Segment counts from 1.
	Segment uint32
	// Offset is in bytes from the start of the segment.
	Offset uint32
	// Length is that of the record's data, in bytes. It takes no part in Compare.
	Length uint32
}

// Compare is negative when p is before q, zero when they are the same place, positive when p is after q.
func (p Position) Compare(q Position) int {
	switch {
	case p.Segment != q.Segment && p.Segment < q.Segment, p.Segment == q.Segment && p.Offset < q.Offset:
		return -1
	case p.Segment == q.Segment && p.Offset == q.Offset:
		return 0
	default:
		return 1
	}
}

// IsZero says whether p is before every record.
func (p Position) IsZero() bool { return p.Segment == 0 && p.Offset == 0 }

// Entry is a record to be appended.
type Entry struct {
	// Type is the caller's; zero is invalid.
	Type uint8
	// Data is the caller's and is not kept after Append returns.
	Data []byte
}

// Record is a record as it is read back.
type Record struct {
	// Position is where it is.
	Position Position
	// Type is as it was appended.
	Type uint8
	// Data is valid until the callback that got it returns, or, from Read, the caller's own.
	Data []byte
}

// Options say how a group is appended.
type Options struct {
	// Sync makes Append return only when the group is on stable storage. Without it the group has been handed to the
	// operating system, survives the death of the process, and reaches stable storage with the next synced group.
	Sync bool
	// Reserve lets the group use the room that is kept back beyond the high-water mark, for the state changes of work
	// that is already stored. New deliveries are appended without it.
	Reserve bool
}

// Journal is an append-only log of records in groups. Append, Compact and Close are for one goroutine each; Read, Stats
// and Compact may run beside Append. After Close every method but Close returns an error.
type Journal interface {
	// Append writes the entries, in order, as one group and appends the position of each to dst. A nil error means what
	// opts promise. ErrFull, ErrTooLarge, ErrInvalid and ErrClosed mean that nothing was written. After any other error,
	// which wraps ErrFailed, the group may exist or not, but never in part, and every later Append returns ErrFailed. An
	// empty group with opts.Sync syncs what earlier groups left unsynced, and does nothing if there is none.
	Append(dst []Position, group []Entry, opts Options) ([]Position, error)

	// Read returns the record at a position that Append or Replay gave. It verifies the record's checksum: damage is
	// ErrCorrupt, a compacted record ErrNotFound.
	Read(at Position) (Record, error)

	// Replay calls fn for every record at or after from, in order, and stops with fn's error. It is called before the
	// first Append. Damage before the tail is ErrCorrupt; a torn tail was cut when the journal was opened. Records that
	// Compact dropped are passed over in silence.
	Replay(from Position, fn func(Record) error) error

	// End is the position that the next record would get at the earliest: every record so far is before it.
	End() Position

	// Compact gives back the room of the records before a position that are not live; it may keep as much of it for records
	// to come as is used between two calls, and gives that back after a few calls without use. live holds, in order, the
	// positions of the records before it that are still needed; their positions do not change. It may run beside Append
	// and Read, must not delay either for more than a few milliseconds, and is safe to interrupt by a crash at any point.
	Compact(before Position, live []Position) error

	// Stats is a snapshot of the journal's size and doings.
	Stats() Stats

	// Close syncs, releases the lock and closes the files. It is safe to call twice.
	Close() error
}

// Stats is what a journal tells of itself. Counters grow from the opening of the journal.
type Stats struct {
	// Segments and Bytes are what lies on disk now, spare segments included.
	Segments int
	Bytes    int64
	// BudgetBytes bounds Bytes; zero means no bound but the disk's.
	BudgetBytes int64
	// Full says that the next Append without Reserve would return ErrFull.
	Full bool
	// Groups, Records and Syncs count what was appended.
	Groups, Records, Syncs uint64
	// WrittenBytes counts all that was given to the operating system: groups, zero filling, compaction, snapshots.
	WrittenBytes uint64
	// Recycled, Rewritten and Removed count segments by what compaction did with them.
	Recycled, Rewritten, Removed uint64
}

// Snapshots keeps the newest snapshot of whatever state the journal's records lead to. Save and Load are for one
// goroutine.
type Snapshots interface {
	// Save calls write to produce a snapshot of the state up to (and without) the record at position covered, which the
	// caller has synced: what a crash took back below it would be written again where recovery does not look. It makes it
	// the newest once it is whole on stable storage: temporary file, sync, rename, sync of the folder. After an error
	// the previous one is still the newest.
	Save(covered Position, write func(io.Writer) error) error
	// Load opens the newest snapshot. The reader returns ErrCorrupt in place of io.EOF when the bytes are not those
	// that were saved. ErrNoSnapshot means that there is none.
	Load() (covered Position, r io.ReadCloser, err error)
}

// CorruptError says where a journal is damaged. It is an ErrCorrupt.
type CorruptError struct {
	// File is the damaged file's name.
	File string
	// Offset is where in it, in bytes.
	Offset int64
	// Reason says what is wrong there.
	Reason string
}

// Error names file, offset and reason.
func (e *CorruptError) Error() string {
	return fmt.Sprintf("journal: corrupt: %s at offset %d: %s", e.File, e.Offset, e.Reason)
}

// Is makes a CorruptError an ErrCorrupt.
func (e *CorruptError) Is(target error) bool { return target == ErrCorrupt }
