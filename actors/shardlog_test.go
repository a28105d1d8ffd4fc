package actors_test

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"sync"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/hooktroupe/hooktroupe/actors"
	"github.com/hooktroupe/hooktroupe/journal"
	"github.com/hooktroupe/hooktroupe/messages/journalv1"
	"github.com/hooktroupe/hooktroupe/task"
)

// errStore is what a store answers that is away.
var errStore = errors.New("the store is away")

// memoryLog is a cluster's store in memory: its logs, claims, snapshots and generations. It may be away, and lose answers.
type memoryLog struct {
	mu          sync.Mutex // guards all
	logs        map[int][]storedRecord
	claims      map[[16]byte]task.ID
	snapshots   map[int]memorySnapshot
	generations map[int]int64
	away        bool
	loseAnswers int    // of so many appends the answer is lost once they are written
	reading     func() // called by each Read before it begins; nil for nothing
	written     []writtenBatch
	found       int // how many records of some kinds were looked for and found
}

type storedRecord struct {
	kind       uint8
	head, body []byte
}

// kinds are those of the records that a record consists of.
func (r storedRecord) kinds(t *testing.T) (kinds []journalv1.RecordType) {
	t.Helper()
	if journalv1.RecordType(r.kind) != journalv1.RecordType_RECORD_TYPE_CHANGES {
		return []journalv1.RecordType{journalv1.RecordType(r.kind)}
	}
	var changes journalv1.Changes
	if err := proto.Unmarshal(r.head, &changes); err != nil {
		t.Fatal(err)
	}
	for _, c := range changes.GetChanges() {
		kinds = append(kinds, c.GetType())
	}
	return kinds
}

type memorySnapshot struct {
	covered journal.Position
	data    []byte
}

// writtenBatch is what an owner wrote, in order over all owners.
type writtenBatch struct {
	shard      int
	generation int64
}

func newMemoryLog() *memoryLog {
	return &memoryLog{
		logs: make(map[int][]storedRecord), claims: make(map[[16]byte]task.ID), snapshots: make(map[int]memorySnapshot),
		generations: make(map[int]int64),
	}
}

func (l *memoryLog) position(shard, index int) journal.Position {
	return journal.Position{Segment: uint32(1<<10 | shard), Offset: uint32(index + 1), Length: 1}
}

func (l *memoryLog) Deliver(deliveries []actors.ShardDelivery) ([]actors.ShardAnswer, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.away {
		return nil, errStore
	}
	answers := make([]actors.ShardAnswer, len(deliveries))
	for i, d := range deliveries {
		answers[i].First = d.Task
		if d.Claim != [16]byte{} {
			if first, taken := l.claims[d.Claim]; taken {
				answers[i].First = first
				continue
			}
			l.claims[d.Claim] = d.Task
		}
		answers[i].At = l.position(d.Shard, len(l.logs[d.Shard]))
		l.logs[d.Shard] = append(l.logs[d.Shard], storedRecord{1, bytes.Clone(d.Head), bytes.Clone(d.Body)})
	}
	return answers, nil
}

func (l *memoryLog) Append(batches []actors.ShardBatch) ([]actors.ShardSpan, []error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	spans, errs := make([]actors.ShardSpan, len(batches)), make([]error, len(batches))
	for i, b := range batches {
		switch {
		case l.away:
			errs[i] = errStore
			continue
		case l.generations[b.Shard] != b.Generation:
			errs[i] = journal.ErrFenced
			continue
		}
		first := len(l.logs[b.Shard])
		for _, e := range b.Entries {
			l.logs[b.Shard] = append(l.logs[b.Shard], storedRecord{e.Type, bytes.Clone(e.Data), nil})
		}
		l.written = append(l.written, writtenBatch{b.Shard, b.Generation})
		if l.loseAnswers > 0 {
			l.loseAnswers--
			errs[i] = errStore
		} else if len(b.Entries) > 0 {
			spans[i] = actors.ShardSpan{First: l.position(b.Shard, first), Last: l.position(b.Shard, len(l.logs[b.Shard])-1)}
		}
	}
	return spans, errs
}

// note is what a member appends that is not the owner.
func (l *memoryLog) note(shard int, kind uint8, data []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.logs[shard] = append(l.logs[shard], storedRecord{kind, data, nil})
}

func (l *memoryLog) Tail(cursors []actors.ShardCursor, kinds ...uint8) ([]actors.ShardNews, error) {
	const limit = 3 // small, so that More is exercised
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.away {
		return nil, errStore
	}
	var news []actors.ShardNews
	for _, c := range cursors {
		n := actors.ShardNews{Shard: c.Shard, Through: c.After}
		for index := int(c.After.Offset); index < len(l.logs[c.Shard]); index++ {
			if len(n.Records) == limit {
				n.More = true
				break
			}
			r := l.logs[c.Shard][index]
			n.Through = l.position(c.Shard, index)
			if len(kinds) == 0 || slices.Contains(kinds, r.kind) {
				n.Records = append(n.Records, journal.Record{Position: n.Through, Type: r.kind, Data: r.head})
				if len(kinds) > 0 {
					l.found++
				}
			}
		}
		news = append(news, n)
	}
	return news, nil
}

func (l *memoryLog) Read(at journal.Position) (journal.Record, error) {
	l.mu.Lock()
	reading := l.reading
	l.mu.Unlock()
	if reading != nil {
		reading()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	log := l.logs[int(at.Segment)%1024]
	if l.away {
		return journal.Record{}, errStore
	}
	if int(at.Offset) < 1 || int(at.Offset) > len(log) {
		return journal.Record{}, journal.ErrNotFound
	}
	r := log[at.Offset-1]
	return journal.Record{Position: at, Type: r.kind, Data: append(bytes.Clone(r.head), r.body...)}, nil
}

func (l *memoryLog) Storage(shard int, generation int64) actors.ShardStorage {
	return &memoryStorage{l, shard, generation}
}

type memoryStorage struct {
	*memoryLog
	shard      int
	generation int64
}

func (s *memoryStorage) Save(covered journal.Position, write func(io.Writer) error) error {
	var buffer bytes.Buffer
	if err := write(&buffer); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.away:
		return errStore
	case s.generations[s.shard] != s.generation:
		return journal.ErrFenced
	}
	s.snapshots[s.shard] = memorySnapshot{covered, buffer.Bytes()}
	return nil
}

func (s *memoryStorage) Load() (journal.Position, io.ReadCloser, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away {
		return journal.Position{}, nil, errStore
	}
	kept, saved := s.snapshots[s.shard]
	if !saved {
		return journal.Position{}, nil, journal.ErrNoSnapshot
	}
	return kept.covered, io.NopCloser(bytes.NewReader(kept.data)), nil
}

// Compact empties the records that nobody needs: whoever reads one finds nothing.
func (s *memoryStorage) Compact(before journal.Position, live []journal.Position) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for index := range s.logs[s.shard] {
		at := s.position(s.shard, index)
		if at.Compare(before) < 0 && !slices.ContainsFunc(live, func(p journal.Position) bool { return p.Compare(at) == 0 }) {
			s.logs[s.shard][index] = storedRecord{kind: 255}
		}
	}
	return nil
}

// kinds are those of a shard's records, in order.
func (l *memoryLog) kinds(shard int) (kinds []journalv1.RecordType) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range l.logs[shard] {
		kinds = append(kinds, journalv1.RecordType(r.kind))
	}
	return kinds
}

// ended is how many attempts have ended by the records of a shard.
func (l *memoryLog) ended(t *testing.T, shard int) (n int) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range l.logs[shard] {
		kinds := []journalv1.RecordType{journalv1.RecordType(r.kind)}
		if kinds[0] == journalv1.RecordType_RECORD_TYPE_CHANGES {
			var several journalv1.Changes
			if err := proto.Unmarshal(r.head, &several); err != nil {
				t.Fatal(err)
			}
			for _, c := range several.GetChanges() {
				kinds = append(kinds, c.GetType())
			}
		}
		for _, kind := range kinds {
			if kind == journalv1.RecordType_RECORD_TYPE_ATTEMPT_ENDED {
				n++
			}
		}
	}
	return n
}

// looked is how many records were looked for and found.
func (l *memoryLog) looked() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.found
}

// set changes the store as a test likes.
func (l *memoryLog) set(change func(*memoryLog)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(l)
}
