// Package netns makes, pins, opens and enters network namespaces.
//
// A namespace lives as long as something refers to it; pinning it at a path, by a
// bind mount over an empty file, keeps it without a process. No process is started
// for any of this: a thread of this one goes into the namespace and comes back. A
// thread that cannot come back ends.
//
// On systems other than Linux every function returns an error of kind Unsupported.
package netns
