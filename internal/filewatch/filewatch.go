// Package filewatch says when the content of files changes: those that an editor or an orchestrator replaces by a rename
// or by swapping a symbolic link, those that are written in place, and those that are not there yet. It watches the folders
// that lie on the way to each file, and compares contents, so that what only touches a file changes nothing. Where a folder
// cannot be watched it looks now and then.
//
// The one invariant: a change that is there when Watch returns or comes later is told, though several may be told as one.
package filewatch

import (
	"context"
	"crypto/sha256"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/sirupsen/logrus"

	"github.com/hooktroupe/hooktroupe/internal/clock"
	"github.com/hooktroupe/hooktroupe/internal/logfield"
)

// Options are what a Watcher works with. Zero durations mean the defaults.
type Options struct {
	// Clock times the two that follow.
	Clock clock.Clock
	// Settle is how long a folder must be quiet before its files are looked at: 200 ms.
	Settle time.Duration
	// Poll is how often files are looked at although nothing was heard of them: 10 s.
	Poll time.Duration
	// Log is told when folders cannot be watched.
	Log logrus.FieldLogger
}

// Bounds.
const (
	defaultSettle = 200 * time.Millisecond
	defaultPoll   = 10 * time.Second
	// longestSettle bounds the wait for quiet, in multiples of Settle.
	longestSettle = 10
	// maxBytes bounds what is read of a file to tell whether it has changed.
	maxBytes = 8 << 20
	// maxLinks bounds the symbolic links on the way to a file.
	maxLinks = 40
)

// Watcher watches one set of files at a time. All its state belongs to the goroutine of Run.
type Watcher struct {
	options Options
	sets    chan set      // carries the next files; without a buffer, for it is answered
	changes chan struct{} // carries that something has changed; one, for a second would say the same
	ticks   chan struct{} // carries that it is time to look; one, likewise

	seen     map[string]fingerprint
	folders  map[string]os.FileInfo // what is watched, as it was then; nil for one that was not there
	events   *fsnotify.Watcher      // nil while there is none
	pending  clock.Timer            // to look at the files
	since    time.Time              // of the first event of those that pending is for; zero for none
	deafness bool                   // that folders cannot be watched was said
}

// set is files to watch; watched is closed once they are.
type set struct {
	files   []string
	watched chan struct{}
}

// fingerprint tells contents apart.
type fingerprint struct {
	missing bool
	sum     [sha256.Size]byte
}

// New returns a Watcher of no files, which does nothing until Run.
func New(o Options) *Watcher {
	if o.Settle == 0 {
		o.Settle = defaultSettle
	}
	if o.Poll == 0 {
		o.Poll = defaultPoll
	}
	return &Watcher{
		options: o, sets: make(chan set), changes: make(chan struct{}, 1), ticks: make(chan struct{}, 1),
		seen: make(map[string]fingerprint),
	}
}

// Changes yields once something has changed since the last time that it yielded.
func (w *Watcher) Changes() <-chan struct{} { return w.changes }

// Watch puts these files in the place of those that are watched. Of one that was watched before, a change since then is
// told. It returns when that is so, or ctx is done.
func (w *Watcher) Watch(ctx context.Context, files []string) {
	next := set{files: slices.Clone(files), watched: make(chan struct{})}
	select {
	case w.sets <- next:
	case <-ctx.Done():
		return
	}
	<-next.watched
}

// Run watches until ctx is done.
func (w *Watcher) Run(ctx context.Context) {
	defer func() {
		if w.pending != nil {
			w.pending.Stop()
		}
		w.deafen()
	}()
	for {
		var events chan fsnotify.Event
		var errs chan error
		if w.events != nil {
			events, errs = w.events.Events, w.events.Errors
		}
		select {
		case <-ctx.Done():
			return
		case next := <-w.sets:
			w.replace(next.files)
			close(next.watched)
		case <-events:
			w.heard()
		case err := <-errs: // events were lost, perhaps
			w.options.Log.WithField(logfield.Error, err.Error()).Debug("watching folders")
			w.heard()
		case <-w.ticks:
			w.look()
		}
	}
}

// replace takes up other files. Folders are watched before files are read, so that no change falls in between.
func (w *Watcher) replace(files []string) {
	before := w.seen
	w.seen = make(map[string]fingerprint, len(files))
	for _, file := range files {
		w.seen[file] = before[file]
	}
	w.listen()
	for file := range w.seen {
		if _, watched := before[file]; !watched {
			w.seen[file] = printOf(file)
		}
	}
	w.schedule(w.options.Poll)
}

// heard waits for quiet, though not for ever.
func (w *Watcher) heard() {
	now := w.options.Clock.Now()
	if w.since.IsZero() {
		w.since = now
	}
	w.schedule(min(w.options.Settle, max(0, longestSettle*w.options.Settle-now.Sub(w.since))))
}

func (w *Watcher) schedule(d time.Duration) {
	if w.pending != nil {
		w.pending.Stop()
	}
	w.pending = w.options.Clock.AfterFunc(d, func() {
		select {
		case w.ticks <- struct{}{}:
		default:
		}
	})
}

// look compares the files with what is known of them.
func (w *Watcher) look() {
	w.since = time.Time{}
	w.listen()
	changed := false
	for file, known := range w.seen {
		if now := printOf(file); now != known {
			w.seen[file], changed = now, true
		}
	}
	w.schedule(w.options.Poll)
	if changed {
		select {
		case w.changes <- struct{}{}:
		default:
		}
	}
}

// listen sees to it that the folders on the way to the files are watched as they are now.
func (w *Watcher) listen() {
	folders := make(map[string]os.FileInfo)
	for file := range w.seen {
		for _, folder := range foldersOf(file) {
			folders[folder], _ = os.Stat(folder)
		}
	}
	if w.events != nil && same(w.folders, folders) {
		return
	}
	w.deafen()
	events, err := fsnotify.NewWatcher()
	if err != nil {
		w.cannot(err)
		return
	}
	for folder, info := range folders {
		if info == nil {
			continue // until the next look
		}
		if err := events.Add(folder); err != nil {
			folders[folder] = nil
			w.cannot(err)
		}
	}
	w.events, w.folders = events, folders
}

// deafen stops watching.
func (w *Watcher) deafen() {
	if w.events != nil {
		_ = w.events.Close() // there is nothing to lose
		w.events = nil
	}
}

func (w *Watcher) cannot(err error) {
	if !w.deafness {
		w.deafness = true
		w.options.Log.WithField(logfield.Error, err.Error()).Warnf(
			"folders cannot be watched; files are looked at every %v", w.options.Poll)
	}
}

func same(a, b map[string]os.FileInfo) bool {
	if len(a) != len(b) {
		return false
	}
	for folder, info := range a {
		other, known := b[folder]
		if !known || (info == nil) != (other == nil) || info != nil && !os.SameFile(info, other) {
			return false
		}
	}
	return true
}

// foldersOf are the folders in which something must change for the content of a file to change: its own, and those of
// what the symbolic links on the way to it name.
func foldersOf(file string) []string {
	var folders []string
	for range maxLinks {
		folders = append(folders, filepath.Dir(file))
		target, err := os.Readlink(file)
		if err != nil {
			break
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(file), target)
		}
		file = target
	}
	// A link among the folders themselves: the one that holds it.
	for folder, i := filepath.Dir(file), 0; i < maxLinks && folder != filepath.Dir(folder); folder, i = filepath.Dir(folder), i+1 {
		if info, err := os.Lstat(folder); err == nil && info.Mode()&os.ModeSymlink != 0 {
			folders = append(folders, filepath.Dir(folder))
		}
	}
	return folders
}

// printOf reads a file. One that cannot be read counts as missing.
func printOf(path string) fingerprint {
	file, err := os.Open(path)
	if err != nil {
		return fingerprint{missing: true}
	}
	defer func() { _ = file.Close() }()
	sum := sha256.New()
	if _, err := io.Copy(sum, io.LimitReader(file, maxBytes)); err != nil {
		return fingerprint{missing: true}
	}
	return fingerprint{sum: [sha256.Size]byte(sum.Sum(nil))}
}
