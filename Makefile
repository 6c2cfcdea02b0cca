# One line per target, each a plain command that works without make. `make help` lists them.
TOOL = GOWORK=off go tool -modfile=$(CURDIR)/tools/go.mod
MODULES = . server server/compat
FUZZTIME ?= 10s

.PHONY: help check build test race lint format tidy vuln fuzz fuzz-corpus bench bench-path bench-agents bench-control bench-table soak suites generate oracles dev

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 12

check: ## everything that CI does
	bash .ci/run

build: ## culvert and culvertd into bin/
	go build -trimpath -o bin/ ./cmd/culvert ./server/cmd/culvertd

test: ## all tests that need no outside program
	go test work

race: ## the same under the race detector
	go test -race work

lint: ## golangci-lint in each module
	set -e; for m in $(MODULES); do (cd $$m && $(TOOL) golangci-lint run ./...); done

format: ## rewrite sources as gofumpt and gci want them
	set -e; for m in $(MODULES); do (cd $$m && $(TOOL) golangci-lint fmt ./...); done

tidy: ## go mod tidy in each module
	set -e; for m in $(MODULES) tools; do (cd $$m && GOWORK=off go mod tidy); done

vuln: ## known vulnerabilities in what the code calls
	set -e; for m in $(MODULES); do (cd $$m && $(TOOL) govulncheck ./...); done

fuzz: ## every fuzz target for FUZZTIME each
	bash .ci/fuzz $(FUZZTIME)

fuzz-corpus: ## put the inputs that long runs have kept where go test -fuzz begins from them
	mkdir -p "$$(go env GOCACHE)/fuzz" && tar -xzf .ci/fuzz-corpus.tar.gz -C "$$(go env GOCACHE)/fuzz"

bench: ## every benchmark, once
	go test -run '^$$' -bench . -benchmem work

bench-path: ## the data path beside its peers (nginx, HAProxy, wrk, h2load): make bench-path ARGS="--rounds 3"
	go run ./server/bench $(ARGS)

bench-agents: ## memory of idle agents, and their return after a restart: make bench-agents ARGS="-agents 10000 -idle 10m"
	go run ./server/bench/agents $(ARGS)

bench-control: build ## the control plane, without and with 100 000 endpoints: make bench-control ARGS="-endpoints 1000"
	go run ./server/bench/control $(ARGS)

bench-table: ## the routing table: look-ups among up to a million names, binds, and the memory they depend on
	go test -run '^$$' -bench 'Lookup|Bind|Memory' ./server/internal/route

soak: ## half an hour of load with faults, and 10 GiB bodies: make soak ARGS="--for 4m --body 2GiB"; then 200 kills of each store
	go run ./server/reliability/soak $(ARGS)
	go test ./server/internal/store/sqlstore -run TestS3 -count 1 -timeout 30m -store.rounds 200

suites: ## the public suites, whole, and their scores (slowhttptest and testssl.sh have to be there)
	CULVERT_SUITES=full go test -count=1 -v -parallel 1 -timeout 60m ./server/compat/suites

generate: ## rewrite generated files
	go generate work && go test ./internal/fault -run TestErrorsPage -update

oracles: ## install the npm client that server/compat/node drives
	npm ci --prefix server/compat/node

dev: ## a server and an agent in one process: make dev ARGS="http 8080"
	go run ./server/cmd/culvertd dev $(ARGS)
