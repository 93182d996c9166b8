// Package job is what the rig and the first process of its guest say to each other: the
// programs to run, in a file, and what became of them, as lines of JSON on a port.
package job

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

const (
	// File is where the guest's first process finds its job.
	File = "/job.json"
	// Port is the name of the virtio port that events go to.
	Port = "events"
	// Root is the name by which the guest mounts the root of the host.
	Root = "host"
)

// A Job is all that a guest does before it powers off.
type Job struct {
	// Insert are files of kernel modules to load first, each after those it needs.
	Insert []string
	// ModuleTree is the folder of all modules of the guest's kernel, on the host.
	ModuleTree string
	// Modules are names of modules to load when the root is there. Others are loaded as
	// the kernel asks for them.
	Modules []string
	// Now is the time of the host.
	Now time.Time
	// Programs run one after the other.
	Programs []Program
}

// A Program is a static program with its arguments.
type Program struct {
	Path   string
	Args   []string // without the name
	Folder string   // it starts in; empty is the root
}

// Kind tells events apart.
type Kind string

// The events of a guest, in this order; Begun to Ended once for each program.
const (
	Up     Kind = "up"     // the modules are loaded and the root is there
	Begun  Kind = "begun"  // a program starts
	Output Kind = "output" // it wrote something
	Ended  Kind = "ended"  // it ended
	Broken Kind = "broken" // the guest cannot do its job: the last event
	Done   Kind = "done"   // there is no more to do: the last event
)

// An Event is what a guest tells.
type Event struct {
	Kind    Kind
	Program int    `json:",omitempty"` // its place in the job, of the second to the fourth kind
	Output  []byte `json:",omitempty"` // what it wrote, to either stream; what is wrong, if Broken
	// Status is the one that a program ended with; 128 and the number of a signal if
	// that ended it, 127 if it could not be started.
	Status int `json:",omitempty"`
	// Seconds is the time since the kernel started.
	Seconds float64 `json:",omitempty"`
}

// longestLine is far above what one event takes.
const longestLine = 1 << 20

// ReadEvents calls what is to be done for each event until there are no more.
func ReadEvents(from io.Reader, do func(Event)) error {
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, longestLine)
	for lines.Scan() {
		var e Event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return errors.Join(fmt.Errorf("read the guest's events: %q: %w", lines.Text(), err), drain(from))
		}
		do(e)
	}
	if err := lines.Err(); err != nil {
		return errors.Join(fmt.Errorf("read the guest's events: %w", err), drain(from))
	}
	return nil
}

// drain lets the writer get on.
func drain(from io.Reader) error {
	_, err := io.Copy(io.Discard, from)
	return err
}
