package memory

import (
	"bytes"
	"io"

	"github.com/hooktroupe/hooktroupe/journal"
)

// Snapshots is journal.Snapshots in memory; the zero value is ready for use.
type Snapshots struct {
	saved   bool
	covered journal.Position
	content []byte
}

var _ journal.Snapshots = (*Snapshots)(nil)

// Save keeps what write produces, if it succeeds.
func (s *Snapshots) Save(covered journal.Position, write func(io.Writer) error) error {
	var content bytes.Buffer
	if err := write(&content); err != nil {
		return err
	}
	s.saved, s.covered, s.content = true, covered, content.Bytes()
	return nil
}

// Load returns what was saved last.
func (s *Snapshots) Load() (journal.Position, io.ReadCloser, error) {
	if !s.saved {
		return journal.Position{}, nil, journal.ErrNoSnapshot
	}
	return s.covered, io.NopCloser(bytes.NewReader(s.content)), nil
}
