package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/gofrs/flock"

	"github.com/pinterest-go/pinterest"
)

// state is the state of a pin in the results file.
type state string

const (
	stateIntent    state = "intent"    // it is about to be sent, or the program was interrupted then
	statePublished state = "published" // PinID is its id
	stateUncertain state = "uncertain" // it may be on the board: LookFor says what to look for
	stateFailed    state = "failed"    // it is not on the board
)

// entry is what is known of one pin.
type entry struct {
	Key     string               `json:"key"` // of the row
	Title   string               `json:"title"`
	State   state                `json:"state"`
	PinID   string               `json:"pin_id,omitzero"`
	At      time.Time            `json:"at"`
	Problem string               `json:"problem,omitzero"`
	LookFor *pinterest.Uncertain `json:"look_for,omitzero"` // stateIntent, stateUncertain
}

// open reports whether the pin may be on the board without our knowing.
func (e *entry) open() bool {
	return e != nil && e.LookFor != nil && (e.State == stateIntent || e.State == stateUncertain)
}

// results is the results file, with which a second run publishes only what the first
// did not. Each change is on disk when put returns.
type results struct {
	path string
	lock *flock.Flock

	mu      sync.Mutex
	entries []*entry // in the order in which they came up
	byKey   map[string]*entry
}

type resultsFile struct {
	About   string   `json:"about"`
	Version int      `json:"version"`
	Pins    []*entry `json:"pins"`
}

const (
	resultsVersion = 1
	resultsAbout   = "What became of each pin. Keep this file: with it, publishing again sends only what is missing."
)

// openResults opens or creates the results file and locks it. It writes the file at
// once, so that a file that cannot be written is noticed before anything is sent.
// With fresh, the existing file is renamed and ignored.
func openResults(path string, fresh bool) (*results, error) {
	r := &results{path: path, byKey: map[string]*entry{}}
	var err error
	if r.lock, err = lock(path + ".lock"); err != nil {
		return nil, err
	}
	if err = r.load(fresh); err == nil {
		err = r.write()
	}
	if err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

// lock prevents a second run with the same file from sending the same pins.
func lock(path string) (*flock.Flock, error) {
	for {
		l := flock.New(path, flock.SetPermissions(0o600))
		ok, err := l.TryLock()
		switch {
		case err != nil:
			return nil, fmt.Errorf("the results file cannot be written: %w", err)
		case !ok:
			return nil, fmt.Errorf("another run is working on this file (it holds %s)", path)
		}
		// The holder removes the file before it releases the lock, so the lock is
		// valid only if it is on the file that exists now.
		mine, err := l.Stat()
		there, errThere := os.Stat(path)
		if err == nil && errThere == nil && os.SameFile(mine, there) {
			return l, nil
		}
		if err := l.Close(); err != nil {
			return nil, err
		}
	}
}

// close releases the lock.
func (r *results) close() {
	// Nothing can be done about an error, and the lock ends with the process.
	_ = os.Remove(r.lock.Path())
	_ = r.lock.Close()
}

func (r *results) load(fresh bool) error {
	data, err := os.ReadFile(r.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("the results file cannot be read: %w", err)
	case fresh:
		return os.Rename(r.path, r.path+".old")
	}
	var file resultsFile
	if err := json.Unmarshal(data, &file); err != nil {
		return fmt.Errorf("the results file %s is damaged (%w); mend it, or ignore it with -fresh, which publishes everything again", r.path, err)
	}
	if file.Version != resultsVersion {
		return fmt.Errorf("the results file %s has version %d, this program knows version %d", r.path, file.Version, resultsVersion)
	}
	for _, e := range file.Pins {
		if e != nil && e.Key != "" {
			r.entries = append(r.entries, e)
			r.byKey[e.Key] = e
		}
	}
	return nil
}

// get returns the entry of a row, or nil.
func (r *results) get(key string) *entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.byKey[key]
	if e == nil {
		return nil
	}
	known := *e
	return &known
}

// put saves the entry of a row.
func (r *results) put(e entry) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if known := r.byKey[e.Key]; known != nil {
		*known = e
	} else {
		r.entries = append(r.entries, &e)
		r.byKey[e.Key] = &e
	}
	return r.write()
}

// pinIDs returns the pins that are known to belong to other rows.
func (r *results) pinIDs() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var ids []string
	for _, e := range r.entries {
		if e.PinID != "" {
			ids = append(ids, e.PinID)
		}
	}
	return ids
}

// write replaces the whole file, so that a crash at any point leaves either the old
// file or the new one.
func (r *results) write() error {
	pins := r.entries
	if pins == nil {
		pins = []*entry{}
	}
	data, err := json.MarshalIndent(resultsFile{About: resultsAbout, Version: resultsVersion, Pins: pins}, "", "  ")
	if err == nil {
		err = replaceFile(r.path, append(data, '\n'))
	}
	if err != nil {
		return fmt.Errorf("the results file cannot be written: %w", err)
	}
	return nil
}

// replaceFile writes and syncs a temporary file and renames it. The temporary name is
// always the same: the lock is held, and crashes leave at most one such file.
func replaceFile(path string, data []byte) error {
	beside := path + ".tmp"
	tmp, err := os.OpenFile(beside, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600) //nolint:gosec // beside the user's own file
	if err != nil {
		return err
	}
	_, err = tmp.Write(data)
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(beside, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(beside))
	}
	// The rename itself is on disk when the folder is. Not all systems can sync a
	// folder, and those that cannot order renames by themselves.
	if d, err := os.Open(filepath.Dir(path)); err == nil {
		_ = d.Sync()
		_ = d.Close()
	}
	return nil
}
