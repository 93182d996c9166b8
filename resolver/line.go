package resolver

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// Bounds of a line. A port that is used for long can be found out by who wants to forge
// answers (RFC 5452, section 9), and one for each question is dear: the dialer may have to
// enter a namespace. So a port serves a few dozen questions or seconds.
const (
	linePort    = 64               // questions by one port
	lineAge     = 5 * time.Second  // of a port
	lineIdle    = 10 * time.Second // without a question, then it is closed
	lineWrite   = 2 * time.Second  // for one message by TCP
	linePending = 128              // questions at a time
)

// replySize is what is read of a datagram: more than we ever say that we take. One that
// fills it was cut.
const replySize = 4096

// Reasons for a line to end, or not to be asked.
var (
	errLineClosed = errors.New("connection is closed")
	errLineBusy   = errors.New("too many questions at a time")
)

// line is a connected socket to an upstream, on which several questions can be under way.
type line struct {
	peer   *peer
	conn   net.Conn
	stream bool // TCP, with a length before each message
	born   time.Time

	write sync.Mutex // of a stream, held for a message

	mu      sync.Mutex // guards what follows
	pending map[uint16]*exchange
	asked   int
	used    time.Time // last
	retired bool      // gets no more questions
	err     error     // why it is closed
}

// exchange is a question under way.
type exchange struct {
	id       uint16
	question []byte
	reply    chan<- reply // never blocks
}

// reply is a message, which is the receiver's, or why there is none.
type reply struct {
	msg []byte
	err error
	// cut is true if more was sent than the message has.
	cut bool
}

// begin registers a question under an ID that nobody can know (RFC 5452, section 9.2).
func (l *line) begin(e *exchange) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.err != nil:
		return errLineClosed
	case l.retired || len(l.pending) >= linePending:
		return errLineBusy
	}
	for {
		var random [2]byte
		rand.Read(random[:]) //nolint:errcheck // never fails, by its documentation
		e.id = binary.BigEndian.Uint16(random[:])
		if l.pending[e.id] == nil {
			break
		}
	}
	l.pending[e.id] = e
	l.asked++
	l.used = time.Now()
	if !l.stream && l.asked >= linePort {
		l.retired = true
	}
	return nil
}

// end forgets a question, whether answered or not.
func (l *line) end(e *exchange) {
	l.mu.Lock()
	if l.pending[e.id] == e {
		// An ID is free from the answer on, and another question may have it by now.
		delete(l.pending, e.id)
	}
	done := l.retired && len(l.pending) == 0
	l.mu.Unlock()
	if done {
		l.close(errLineClosed)
	}
}

// retire lets no more questions in, and closes the line after the last one's end.
func (l *line) retire() {
	l.mu.Lock()
	l.retired = true
	done := len(l.pending) == 0
	l.mu.Unlock()
	if done {
		l.close(errLineClosed)
	}
}

// load returns how many questions are under way; ok is false if no more should be.
func (l *line) load(now time.Time) (pending int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	old := !l.stream && now.Sub(l.born) >= lineAge
	return len(l.pending), l.err == nil && !l.retired && !old
}

// send sends a message; there is room for its length before it.
func (l *line) send(framed []byte) error {
	if !l.stream {
		_, err := l.conn.Write(framed[2:])
		return err
	}
	l.write.Lock()
	defer l.write.Unlock()
	binary.BigEndian.PutUint16(framed, uint16(len(framed)-2))
	if err := l.conn.SetWriteDeadline(time.Now().Add(lineWrite)); err != nil {
		return err
	}
	_, err := l.conn.Write(framed)
	return err
}

// close ends the line and fails what is under way. The first reason counts.
func (l *line) close(why error) {
	l.mu.Lock()
	if l.err != nil {
		l.mu.Unlock()
		return
	}
	l.err = why
	pending := l.pending
	l.pending = nil
	l.mu.Unlock()
	_ = l.conn.Close()
	l.peer.remove(l)
	for _, e := range pending {
		e.reply <- reply{err: why}
	}
}

// read hands out answers until the line is closed.
func (l *line) read() {
	var buffer []byte
	if !l.stream {
		buffer = make([]byte, replySize)
	}
	for {
		msg, err := l.receive(buffer)
		switch {
		case err == nil:
			l.deliver(msg, !l.stream && len(msg) == len(buffer))
		case errors.Is(err, os.ErrDeadlineExceeded) && l.busy():
		default:
			l.close(err)
			return
		}
	}
}

// busy reports whether the line is of use yet.
func (l *line) busy() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.pending) > 0 || !l.retired && time.Since(l.used) < lineIdle
}

// receive reads a message. It is asked again only if nothing was read of one.
func (l *line) receive(buffer []byte) ([]byte, error) {
	if err := l.conn.SetReadDeadline(time.Now().Add(lineIdle)); err != nil {
		return nil, err
	}
	if !l.stream {
		n, err := l.conn.Read(buffer)
		return buffer[:n], err
	}
	var length [2]byte
	if n, err := io.ReadFull(l.conn, length[:]); err != nil {
		if n > 0 {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	msg := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(l.conn, msg); err != nil {
		return nil, io.ErrUnexpectedEOF
	}
	return msg, nil
}

// deliver gives a message to who waits for it. What nobody has asked for is passed over:
// it may be late, or forged (RFC 5452, section 9.1).
func (l *line) deliver(msg []byte, cut bool) {
	if len(msg) >= headerSize && flags(msg)&bitQR != 0 && flags(msg)&opcodeMask == 0 {
		l.mu.Lock()
		e := l.pending[binary.BigEndian.Uint16(msg)]
		ok := e != nil && sameQuestion(msg, e.question)
		if ok {
			delete(l.pending, e.id)
		}
		l.mu.Unlock()
		if ok {
			if !l.stream {
				msg = append([]byte(nil), msg...)
			}
			e.reply <- reply{msg: msg, cut: cut}
			return
		}
	}
	l.peer.forwarder.strays.Add(1)
}
