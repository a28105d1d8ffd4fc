package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"path/filepath"

	"github.com/hooktroupe/hooktroupe/actors"
	"github.com/hooktroupe/hooktroupe/internal/logfield"
	"github.com/hooktroupe/hooktroupe/journal"
	"github.com/hooktroupe/hooktroupe/journal/memory"
	"github.com/hooktroupe/hooktroupe/journal/wal"
	"github.com/hooktroupe/hooktroupe/messages"
	"github.com/hooktroupe/hooktroupe/metrics"
	"github.com/hooktroupe/hooktroupe/task"
	"github.com/hooktroupe/hooktroupe/taskfile"
)

// storage is where the daemon keeps its state: on disk, or in memory when persistence is off.
type storage struct {
	journal   journal.Journal
	snapshots journal.Snapshots
	export    actors.Export
	folder    string
	recovery  []actors.RecoverOption
}

// openStorage opens the journal, taking its lock, and brings in the task file of another system when the journal is new.
func (d *daemon) openStorage() (*storage, error) {
	if !d.config.EnablePersistence {
		d.log.Warn("ENABLE_PERSISTENCE is false: what is accepted is lost when the process ends")
		kept, err := memory.New(memory.Config{})
		return &storage{journal: kept, snapshots: &memory.Snapshots{}}, err
	}
	folder := filepath.Join(d.config.DataDir, "journal")
	opened, err := wal.Open(folder, d.walConfig(), wal.WithSyncTimer(d.timeSync))
	if err != nil {
		return nil, d.damaged(fmt.Errorf("open the journal in %s: %w", folder, err))
	}
	d.cleanup.push("journal", opened.Close)
	if torn := opened.TornTail(); torn != nil {
		d.log.WithError(torn).Warn("the journal did not end with a whole group: what lay behind the last one was cut")
	}
	path := d.config.PersistenceFile
	s := &storage{
		journal: opened, snapshots: opened.Snapshots(), folder: d.config.DataDir,
		export: func(tasks iter.Seq[*messages.Task]) error { return taskfile.Write(path, tasks) },
	}
	if opened.Repaired() {
		s.recovery = append(s.recovery, actors.AfterRepair())
	}
	d.metrics.Journal.WatchStats(func() metrics.JournalStats { return journalStats(opened.Stats()) })
	return s, d.importTasks(s, path)
}

// timeSync observes how long a sync of the journal takes.
func (d *daemon) timeSync() (stop func()) {
	started := d.clock.Now()
	return func() { d.metrics.Journal.SyncSeconds.Observe(d.clock.Now().Sub(started).Seconds()) }
}

// damaged adds to an error that says where the journal is damaged what to do about it.
func (d *daemon) damaged(err error) error {
	if !errors.Is(err, journal.ErrCorrupt) {
		return err
	}
	folder := filepath.Join(d.config.DataDir, "journal")
	return fmt.Errorf("%w; `hooktroupe journal verify %s` says all that is damaged, "+
		"`hooktroupe journal repair %s` cuts it out and keeps it", err, folder, folder)
}

// importTasks takes over the task file of the system that ran before, once: when the journal holds nothing yet.
func (d *daemon) importTasks(s *storage, path string) error {
	if !isEmpty(s) {
		return nil
	}
	tasks, err := taskfile.Read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("take over PERSISTENCE_FILE: %w", err)
	}
	imported := make([]actors.Imported, len(tasks))
	for i, t := range tasks {
		imported[i] = importedTask(t)
	}
	if err := actors.Import(s.journal, imported); err != nil {
		return fmt.Errorf("take over PERSISTENCE_FILE: %w", err)
	}
	d.log.WithField(logfield.File, path).WithField("tasks", len(tasks)).Info("tasks taken over from a task file")
	return nil
}

// isEmpty says whether there is neither a record nor a snapshot.
func isEmpty(s *storage) bool {
	_, r, err := s.snapshots.Load()
	if err == nil {
		_ = r.Close()
		return false
	}
	found := errors.New("found")
	return errors.Is(err, journal.ErrNoSnapshot) &&
		s.journal.Replay(journal.Position{}, func(journal.Record) error { return found }) == nil
}

func importedTask(t taskfile.Task) actors.Imported {
	status, err := task.ParseStatus(t.Status)
	if err != nil {
		status = task.Queued // a status that we do not know is surely not final
	}
	imported := actors.Imported{
		ID: t.WebhookID, Source: t.Source, EventType: t.EventType, Status: status,
		CreatedAt: int64(t.CreatedAt), UpdatedAt: int64(t.UpdatedAt), Attempts: t.Attempts,
		MaxAttempts: uint16(min(t.MaxAttempts, 1<<16-1)), Result: nilIfNull(t.Result), Body: nilIfNull(t.Payload),
	}
	if t.Error != nil {
		imported.Error = *t.Error
	}
	return imported
}

func nilIfNull(raw []byte) []byte {
	if string(raw) == "null" {
		return nil
	}
	return raw
}

func journalStats(s journal.Stats) metrics.JournalStats {
	return metrics.JournalStats{
		Segments: float64(s.Segments), Bytes: float64(s.Bytes), BudgetBytes: float64(s.BudgetBytes), Full: s.Full,
		Groups: float64(s.Groups), Records: float64(s.Records), Syncs: float64(s.Syncs),
		WrittenBytes: float64(s.WrittenBytes),
		Recycled:     float64(s.Recycled), Rewritten: float64(s.Rewritten), Removed: float64(s.Removed),
	}
}
