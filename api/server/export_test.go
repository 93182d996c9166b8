package server

import "time"

// SetWriteTime shortens how long a client may take for a piece of an answer.
func (s *Server) SetWriteTime(limit time.Duration) { s.writeTime = limit }
