module github.com/docker/libnetwork

go 1.26
