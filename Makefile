include tools.mk

.DEFAULT_GOAL := help
.PHONY: help run cluster cluster-needs build man test test-needs check bench bench-go generate fuzz cover clean \
	check-generate check-format check-lint check-proto check-modules check-api

VERSION  := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
REVISION := $(shell git rev-parse --short HEAD 2>/dev/null || echo unknown)
LDFLAGS  := -s -w -X main.version=$(VERSION) -X main.revision=$(REVISION)

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: build ## build, and start the daemon: a demo unless ./hooktroupe.yaml exists
	@exec bin/hooktroupe serve

cluster: build cluster-needs ## a cluster for trials: PostgreSQL, three members, HAProxy in front; Ctrl-C stops and removes it
	@go build -o bin/cluster ./examples/cluster && exec bin/cluster

build: ## build bin/hooktroupe, static and reproducible
	@CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/hooktroupe ./cmd/hooktroupe

man: build ## write the manual pages to bin/man
	@bin/hooktroupe man bin/man

test: test-needs ## install what the tests need, and run all of them with the race detector
	go test -race -shuffle=on -timeout 20m ./...
	go test -C bench/river -race -shuffle=on ./...

# The package of PostgreSQL is told beforehand to start no server of its own.
INSTALL = [ "$$(id -u)" = 0 ] && { [ -e /etc/postgresql-common/createcluster.conf ] || \
	{ mkdir -p /etc/postgresql-common && \
	echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf; }; } && apt-get update -qq && \
	apt-get install -y -qq --no-install-recommends -o Dpkg::Options::=--force-confold >/dev/null
HAS_POSTGRESQL = ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1
HAS_HAPROXY    = PATH="$$PATH:/usr/sbin" command -v haproxy >/dev/null
HAS_IP         = PATH="$$PATH:/usr/sbin" command -v ip >/dev/null

# strace makes syncs fail under the real daemon, chromium shows its page, prlimit bounds programs, PostgreSQL is the shared
# store, HAProxy spreads deliveries, ip makes networks that a cluster is cut up in. Without one of them its tests skip themselves,
# and say so.
test-needs:
	@command -v strace >/dev/null && command -v chromium >/dev/null && command -v prlimit >/dev/null && \
		command -v promtool >/dev/null && $(HAS_POSTGRESQL) && $(HAS_HAPROXY) && $(HAS_IP) || \
		{ $(INSTALL) strace chromium fonts-dejavu-core util-linux prometheus postgresql-15 haproxy iproute2; } || \
		echo 'strace, chromium, prlimit, promtool, PostgreSQL, HAProxy or ip is not here and cannot be installed: some tests will be skipped'

cluster-needs:
	@$(HAS_POSTGRESQL) && $(HAS_HAPROXY) || { $(INSTALL) postgresql-15 haproxy; } || \
		{ echo 'PostgreSQL and HAProxy are needed: as root, apt-get install --no-install-recommends postgresql-15 haproxy' >&2; exit 1; }

check: check-generate check-format check-modules check-proto check-api check-lint ## everything that is not a test: drift, format, modules, proto, OpenAPI, lint
	go vet ./...
	go vet -C bench/river ./...

check-generate: generate
	@git diff --exit-code --stat -- messages || { echo 'generated code differs: run make generate and commit'; exit 1; }

check-format:
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo 'not formatted: run gofmt -w .'; exit 1; }

check-modules:
	go mod verify
	go mod tidy -diff
	go mod -C bench/river verify
	go mod -C bench/river tidy -diff

# The last commit that is on main already is what the protocol must not break; a clone without one has nothing to break.
check-proto: $(BUF)
	$(BIN)/buf lint
	$(BIN)/buf format -d --exit-code
	@if base=$$(git rev-parse -q --verify HEAD~1) && git cat-file -e $$base:buf.yaml 2>/dev/null; then \
		$(BIN)/buf breaking --against ".git#ref=$$base"; \
	else echo 'buf breaking: no earlier commit to compare with'; fi

# The contract of the API is validated and linted by a test, for the linters there are need another runtime.
check-api:
	go test -run '^TestContractLint$$' ./http/status

check-lint: $(GOLANGCI_LINT)
	$(BIN)/golangci-lint run --allow-parallel-runners ./...
	cd bench/river && $(BIN)/golangci-lint run --allow-parallel-runners ./...

BENCH ?=
bench: ## measure the daemon beside its ceilings; BENCH=-short for a smoke run
	go run ./bench $(BENCH)

bench-go: ## run every Go benchmark once, with allocations
	go test -run '^$$' -bench . -benchmem ./...

generate: $(BUF) $(PROTOC_GEN_GO) ## generate messages/ from proto/
	$(BIN)/buf generate

FUZZTIME ?= 1m
fuzz: ## run every fuzz target for FUZZTIME
	@for target in $$(grep -rl --include='*_test.go' '^func Fuzz' . | xargs -n1 dirname | sort -u); do \
		for name in $$(grep -ho '^func Fuzz[A-Za-z0-9_]*' $$target/*_test.go | cut -c6-); do \
			go test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) $$target || exit 1; \
		done; done

cover: ## tests with coverage, as cover.html
	go test -coverprofile=cover.out -coverpkg=./... ./...
	go tool cover -html=cover.out -o cover.html

clean: ## remove what was built
	rm -rf bin cover.out cover.html bench-results
