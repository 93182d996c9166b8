package conntrack

import (
	"encoding/binary"
	"slices"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Wire is between a Conn and the kernel. It counts what is asked, and can make the kernel
// look older, or in trouble.
type Wire struct {
	socket
	// Age hides what the kernel could do in time of a younger one.
	Age Age

	mu sync.Mutex
	// asked is what was asked since Asked was called.
	asked Asked
	// trouble comes to the answers to the next request of the kind, one by one.
	trouble []Trouble
	kind    uint16
	begun   bool
}

// Trouble stands between who receives an answer and the kernel.
type Trouble func(receive func() ([]byte, error)) ([]byte, error)

// Kinds of requests.
const (
	Count  uint16 = messageGetStats
	Dump   uint16 = messageGet
	Delete uint16 = messageDelete
)

// Age is of a kernel.
type Age string

// Ages, each with what it lacks.
const (
	Present Age = "Linux 6.11 or younger"
	Old     Age = "before 6.11"   // no deletions with a filter
	Ancient Age = "before 5.8"    // no filters
	Wary    Age = "against dumps" // refuses to dump with a filter, which no kernel shall do
)

// Asked is how many requests there were of each kind.
type Asked struct {
	Sends, Filtered, Named, Dumps int
}

// Interpose puts a wire between c and the kernel.
func Interpose(c *Conn, age Age) *Wire {
	w := &Wire{socket: c.socket, Age: age}
	c.socket = w
	return w
}

// Asked returns what was asked since the last call.
func (w *Wire) Asked() Asked {
	w.mu.Lock()
	defer w.mu.Unlock()
	defer func() { w.asked = Asked{} }()
	return w.asked
}

// Send counts, and hides what shall not be known.
func (w *Wire) Send(datagram []byte) error {
	w.mu.Lock()
	w.asked.Sends++
	w.mu.Unlock()
	sent := slices.Clone(datagram)
	for data := sent; len(data) > 0; data = data[binary.NativeEndian.Uint32(data):] {
		w.pass(data[:binary.NativeEndian.Uint32(data)])
	}
	return w.socket.Send(sent)
}

func (w *Wire) pass(m []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	filtered := false
	for data := m[headerSize:]; len(data) > 0; data = data[align(int(binary.NativeEndian.Uint16(data))):] {
		if binary.NativeEndian.Uint16(data[2:]) != attributeFilter|unix.NLA_F_NESTED {
			continue
		}
		filtered = true
		if w.Age == Ancient || w.Age == Old && binary.NativeEndian.Uint16(m[4:]) == messageDelete {
			const unheardOf = 1000 // which is what all are for a kernel that does not know them
			binary.NativeEndian.PutUint16(data[2:], unheardOf)
		}
		if w.Age == Wary && binary.NativeEndian.Uint16(m[4:]) == messageGet {
			binary.NativeEndian.PutUint32(data[unix.SizeofNlAttr+unix.SizeofNlAttr:], 1<<31)
		}
	}
	kind := binary.NativeEndian.Uint16(m[4:])
	w.begun = w.begun || kind == w.kind
	switch {
	case kind == messageGet:
		w.asked.Dumps++
	case kind == messageDelete && filtered:
		w.asked.Filtered++
	case kind == messageDelete:
		w.asked.Named++
	}
}

// Receive makes trouble.
func (w *Wire) Receive(buffer []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	next := Fine
	if w.begun && len(w.trouble) > 0 {
		next, w.trouble = w.trouble[0], w.trouble[1:]
	}
	out, err := next(func() ([]byte, error) {
		n, err := w.socket.Receive(buffer)
		return buffer[:max(n, 0)], err
	})
	copy(buffer, out)
	return len(out), err
}

// Trouble makes it for the next request of the kind.
func (w *Wire) Trouble(kind uint16, trouble ...Trouble) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.kind, w.trouble, w.begun = kind, trouble, false
}

// Fine is no trouble.
func Fine(receive func() ([]byte, error)) ([]byte, error) { return receive() }

// Interrupted says that the table changed while it was read.
func Interrupted(receive func() ([]byte, error)) ([]byte, error) {
	answer, err := receive()
	if err == nil {
		binary.NativeEndian.PutUint16(answer[6:], binary.NativeEndian.Uint16(answer[6:])|unix.NLM_F_DUMP_INTR)
	}
	return answer, err
}

// CutOff takes away the end of an answer.
func CutOff(receive func() ([]byte, error)) ([]byte, error) {
	answer, err := receive()
	return answer[:len(answer)-8], err
}

// TooLarge is an answer of more than there is room for.
func TooLarge(receive func() ([]byte, error)) ([]byte, error) {
	answer, err := receive()
	return append(slices.Clone(answer), make([]byte, dumpSize)...), err
}

// WokenUp receives nothing, for a signal, and Silent as if there was nothing.
func WokenUp(func() ([]byte, error)) ([]byte, error) { return nil, unix.EINTR }
func Silent(func() ([]byte, error)) ([]byte, error)  { return nil, unix.EAGAIN }

// Loses loses an answer, with an error.
func Loses(number syscall.Errno) Trouble {
	return func(receive func() ([]byte, error)) ([]byte, error) {
		if _, err := receive(); err != nil {
			return nil, err
		}
		return nil, number
	}
}

// Refuses says no, whatever the answer was.
func Refuses(number syscall.Errno) Trouble {
	return func(receive func() ([]byte, error)) ([]byte, error) {
		answer, err := receive()
		if err != nil {
			return nil, err
		}
		m := slices.Clone(answer[:unix.SizeofNlMsghdr])
		binary.NativeEndian.PutUint32(m, unix.SizeofNlMsghdr+4)
		binary.NativeEndian.PutUint16(m[4:], unix.NLMSG_ERROR)
		return binary.NativeEndian.AppendUint32(m, uint32(-int32(number))), nil
	}
}
