// Package diagnostic lets people look into a network database, and try it, by HTTP: the
// commands of the diagnostic server that Docker's networking library has, with answers in
// JSON.
//
//	curl localhost:2000/clusterpeers
//	curl -X POST 'localhost:2000/joinnetwork?nid=net'
//	curl -X POST 'localhost:2000/createentry?nid=net&tname=table&key=k&value=v'
//	curl 'localhost:2000/watchtable?nid=net&tname=table'
//
// It is for the machine itself. The handler refuses whoever is not on loopback, and
// what a web page makes a browser send: other hosts' names, and origins.
package diagnostic
