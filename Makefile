# The verbs of the project. `make help` lists them.

GO ?= go
# What is built here is thrown away. A version stamp would need a git that trusts the
# folder's owner, which it does not when root builds somebody else's checkout.
export GOFLAGS := $(GOFLAGS) -buildvcs=false

.DEFAULT_GOAL := help
.PHONY: help build dnet dnet-cni install deb test lint bench fuzz demo

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-7s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## compile everything, for this system and for the others
	$(GO) build ./...
	GOOS=windows $(GO) build ./...
	GOOS=freebsd $(GO) build ./...
	GOOS=darwin $(GO) build ./...

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo development)
PREFIX ?= /usr/local

# The second program is the daemon, which the first one finds beside itself.
dnet: ## build the programs dnet, dnetd and dnet-hook, static, into bin/ (VERSION=)
	@mkdir -p bin
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w -X github.com/docker/libnetwork/cmd/internal/version.stamp=$(VERSION)' -o bin/ ./cmd/dnet ./cmd/dnetd ./cmd/dnet-hook

# The plugin starts for each container: with the tag it has no stores on servers.
dnet-cni: ## build the CNI plugin, static, into bin/
	CGO_ENABLED=0 $(GO) build -trimpath -tags localstores -ldflags '-s -w' -o bin/dnet-cni ./cmd/dnet-cni

install: dnet ## install the programs, their units, man pages and completions (PREFIX=/usr/local, DESTDIR=)
	install -d '$(DESTDIR)$(PREFIX)/bin'
	install -m 755 bin/dnet bin/dnetd bin/dnet-hook '$(DESTDIR)$(PREFIX)/bin'
	ln -sf dnet-hook '$(DESTDIR)$(PREFIX)/bin/libnetwork-setkey'
	install -d '$(DESTDIR)$(PREFIX)/lib/systemd/system' '$(DESTDIR)$(PREFIX)/share/man/man8' '$(DESTDIR)$(PREFIX)/share/bash-completion/completions'
	for unit in dnet.service dnet.socket dnet-plugin.service; do sed 's,/usr/libexec/dnet/dnetd,$(PREFIX)/bin/dnetd,' packaging/$$unit >'$(DESTDIR)$(PREFIX)/lib/systemd/system/'$$unit; done
	$(GO) run ./cmd/dnet/internal/manpages -version '$(VERSION)' '$(DESTDIR)$(PREFIX)/share/man/man8'
	bin/dnet completion bash >'$(DESTDIR)$(PREFIX)/share/bash-completion/completions/dnet'

deb: ## build a Debian package into bin/ (VERSION=)
	@VERSION='$(VERSION)' ./scripts/deb

test: ## install what the tests need, then run all checks and tests (as root: with the kernel)
	@./scripts/test

lint: ## check format, style and the import rules
	@./scripts/lint
	$(GO) test -count=1 ./internal/importrules

bench: ## measure, for benchstat (BENCH=regexp, COUNT=5, BENCHTIME=1s)
	@./scripts/bench

fuzz: ## run each fuzz target for a while (FUZZTIME=20s)
	@./scripts/fuzz

demo: ## two networks and three containers in a host of their own, with a restart (as root)
	@[ "$$(id -u)" -eq 0 ] || { echo "make demo makes network namespaces, which needs root: sudo make demo" >&2; exit 1; }
	$(GO) run ./test/demo
