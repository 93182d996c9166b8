package daemon

import (
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// refusalTime bounds the telling of the reason to a client that is one too many.
const refusalTime = 100 * time.Millisecond

// connectionLimit counts the connections of all listeners.
type connectionLimit struct {
	most int64
	now  atomic.Int64
}

// limitedListener refuses connections above the limit. Those that speak HTTP as they come
// are told why; the others, by TLS, are closed.
type limitedListener struct {
	net.Listener
	limit *connectionLimit
	plain bool
}

// Accept implements net.Listener.
func (l limitedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.limit.now.Add(1) <= l.limit.most {
			return &limitedConn{Conn: conn, limit: l.limit}, nil
		}
		l.limit.now.Add(-1)
		if l.plain {
			l.refuse(conn)
		}
		_ = conn.Close()
	}
}

func (l limitedListener) refuse(conn net.Conn) {
	reason := fmt.Sprintf("too many connections: this daemon serves %d at a time; close some, or raise maxconnections\n", l.limit.most)
	_ = conn.SetWriteDeadline(time.Now().Add(refusalTime))
	_, _ = fmt.Fprintf(conn, "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\n"+
		"Content-Length: %d\r\nConnection: close\r\n\r\n%s", len(reason), reason)
}

// limitedConn gives its place back once it is closed.
type limitedConn struct {
	net.Conn
	limit *connectionLimit
	once  sync.Once
}

// Close implements net.Conn.
func (c *limitedConn) Close() error {
	c.once.Do(func() { c.limit.now.Add(-1) })
	return c.Conn.Close()
}
