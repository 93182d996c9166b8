// Package filelock keeps processes apart by a lock on a file (flock(2)). Who waits is let in
// as soon as the lock is free, in the order of coming, with no asking again and again; the
// lock of a process that ends is free, however it ends.
//
// On systems other than Linux every function returns an error of kind Unsupported.
package filelock
