// Package hangup tells whether the other side of an open connection has closed it, without
// reading from it and without waiting, so that nothing is sent that nobody will read.
//
// On systems other than Linux it never knows: there the next read tells.
package hangup
