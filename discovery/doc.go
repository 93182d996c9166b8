// Package discovery tells the nodes of a cluster of each other: from a list that never
// changes, or from a store that they share, in which each registers and gives signs of
// life.
//
// Clocks of nodes are never compared. A node is gone when its sign of life has not changed
// for its time to live, as measured by who watches. While the store does not answer nobody
// is gone, and afterwards all have their time to live again. So a node that died is told
// up to one time to live, and a bit, too long; also to who begins to watch after that.
package discovery
